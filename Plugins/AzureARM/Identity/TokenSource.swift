import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// When tokens are renewed and how often a refused request for one is repeated.
struct TokenTiming: Sendable {
    /// How long before its end a token is renewed, as in the Go SDK; at most half its life.
    var margin = Duration.seconds(300)
    /// The margin grows by a random share of itself up to this, so that many processes do not renew at one moment.
    var jitter = 0.2
    /// A renewal that failed while the token is still good is repeated after this.
    var pauseAfterFailure = Duration.seconds(30)
    /// Requests for one token, the first included (Go SDK, managed identity: five retries).
    var attempts = 6
    /// Wait before the second request, doubled each time.
    var firstPause = Duration.milliseconds(800)
}

/// A token and the moments that matter.
struct Token: Sendable {
    let value: Secret
    var renewAt: HostInstant
    let endsAt: HostInstant

    /// - Parameters:
    ///   - lifetime: in seconds from now.
    ///   - refreshIn: when the answer asks for a renewal, in seconds from now.
    init(
        _ value: Secret, lifetime: Int, refreshIn: Int?, now: HostInstant, timing: TokenTiming, random: Double
    ) {
        self.value = value
        endsAt = now.advanced(by: .seconds(lifetime))
        let margin = min(timing.margin * (1 + timing.jitter * random), .seconds(lifetime) / 2)
        let latest = endsAt.advanced(by: .zero - margin)
        renewAt = refreshIn.map { min(latest, now.advanced(by: .seconds($0))) } ?? latest
    }
}

/// Bearer tokens for the resource manager: asked for once, kept until shortly before they end, renewed by one caller
/// while the others wait. A renewal that fails while the old token is good does not disturb anybody.
actor TokenSource {
    private let host: ProviderHost
    private let request: TokenRequest
    private let timing: TokenTiming
    private let random: @Sendable () -> Double
    private var token: Token?
    private var renewal: Task<Token, any Error>?

    init(host: ProviderHost, request: TokenRequest, timing: TokenTiming = TokenTiming()) {
        self.host = host
        self.request = request
        self.timing = timing
        random = request.surroundings.random
    }

    /// The value of an Authorization header.
    ///
    /// - Throws: ``ARMFailure`` if Azure refuses; ``ProviderError`` if no answer came.
    func authorization(_ environment: CloudEnvironment, deadline: HostInstant) async throws -> Secret {
        if let token, host.now < token.renewAt { return token.value }
        let task: Task<Token, any Error>
        if let renewal {
            task = renewal
        } else {
            task = Task { try await self.fetch(environment, deadline: deadline) }
            renewal = task
        }
        let result = await task.result
        if renewal == task { renewal = nil }
        do {
            let fresh = try result.get()
            token = fresh
            return fresh.value
        } catch {
            // What is refused for good is told at once, even while the old token lasts: a person must act before.
            guard var old = token, host.now < old.endsAt else { throw error }
            host.log(.warning, "token not renewed, the old one is still good", ["reason": "\(ProviderError(error))"])
            old.renewAt = min(old.endsAt, host.now.advanced(by: timing.pauseAfterFailure))
            token = old
            return old.value
        }
    }

    /// Forgets a token that was refused.
    func invalidate(_ refused: Secret) {
        if token?.value == refused { token = nil }
    }

    private func fetch(_ environment: CloudEnvironment, deadline: HostInstant) async throws -> Token {
        var pause = timing.firstPause
        for attempt in 1... {
            let outgoing = try request.make(environment, deadline: deadline)
            let response = try await host.send(outgoing)
            if response.status == 200 { return try read(response) }
            let failure = refusal(response)
            guard isPassing(response.status), attempt < timing.attempts else { throw failure }
            let wait = max(pause * (1 + timing.jitter * random()), .seconds(failure.retryAfterSeconds ?? 0))
            guard host.now.advanced(by: wait) < deadline else { throw failure }
            host.log(.debug, "token request is repeated", ["status": "\(response.status)", "wait": "\(wait)"])
            try await host.sleep(for: wait)
            pause = pause * 2
        }
        throw ProviderError(.retry, "token request: no answer")
    }

    /// Statuses after which the same request may succeed. The metadata service answers 404 and 410 while it is being
    /// updated (managed identities, "retry guidance"; azidentity retries both).
    private func isPassing(_ status: Int) -> Bool {
        [408, 429, 500, 502, 503, 504].contains(status)
            || request.asksMetadataService && (status == 404 || status == 410)
    }

    private func read(_ response: HTTPResponse) throws -> Token {
        let body = try? JSONValue(json: response.body)
        guard let value = body?["access_token"]?.text, !value.isEmpty else {
            throw ProviderError(.retry, "token request: the answer holds no access_token")
        }
        // The metadata service writes its numbers as text.
        func seconds(_ field: String) -> Int? { body?[field].flatMap { $0.int ?? $0.text.flatMap { Int($0) } } }
        let untilEnd = seconds("expires_on").map { end in
            Int((Double(end) - request.surroundings.wallClock().timeIntervalSince1970).rounded(.down))
        }
        // Whatever the server says, a token is used for a day at most and at least for a moment.
        let lifetime = min(max(seconds("expires_in") ?? untilEnd ?? 3600, 1), 86_400)
        return Token(
            Secret("Bearer \(value)"), lifetime: lifetime,
            refreshIn: seconds("refresh_in").map { min(max($0, 0), lifetime) }, now: host.now, timing: timing,
            random: random())
    }

    /// A token error has `error`, `error_description` and the numbers `error_codes` at top level.
    private func refusal(_ response: HTTPResponse) -> ARMFailure {
        let body = try? JSONValue(json: response.body)
        let numbers = (body?["error_codes"]?.elements ?? []).compactMap(\.int).map { "AADSTS\($0)" }
        let code = body?["error"]?.text ?? body?["error.code"]?.text ?? ""
        let description = body?["error_description"]?.text ?? body?["error.message"]?.text ?? "no description"
        return ARMFailure(
            status: response.status, code: request.asksMetadataService ? "ManagedIdentity:\(code)" : code,
            message: Self.stable(description), detailCodes: numbers,
            retryAfterSeconds: retryAfterSeconds(response), request: "token by \(request.credential.kind)")
    }

    /// The description without the numbers that differ in every answer, so that an Event of it stays one Event.
    private static func stable(_ description: String) -> String {
        let end = description.firstRange(of: "Trace ID:")?.lowerBound ?? description.endIndex
        return trimmedOfWhitespace(String(description[..<end]))
    }
}
