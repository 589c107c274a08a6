import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// Bearer tokens for the resource manager: asked for once, kept until shortly before they end, renewed by one caller
/// while the others wait.
actor TokenSource {
    private struct Token {
        let value: Secret
        let renewAt: HostInstant
    }

    private let host: ProviderHost
    private let credential: Credential
    private let userAgent: String
    private var token: Token?
    private var renewal: Task<Token, any Error>?

    /// How long before its end a token is renewed, as in the Go SDK; at most half its life.
    private static let margin = Duration.seconds(300)
    private static let metadataService = "http://169.254.169.254"

    init(host: ProviderHost, credential: Credential, userAgent: String) {
        self.host = host
        self.credential = credential
        self.userAgent = userAgent
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
        let fresh = try result.get()
        token = fresh
        return fresh.value
    }

    /// Forgets a token that was refused.
    func invalidate(_ refused: Secret) {
        if token?.value == refused { token = nil }
    }

    private func fetch(_ environment: CloudEnvironment, deadline: HostInstant) async throws -> Token {
        let response = try await host.send(request(environment, deadline: deadline))
        let body = try? JSONValue(json: response.body)
        guard response.status == 200, let value = body?["access_token"]?.text else {
            throw ARMFailure(
                status: response.status, body: tokenError(body),
                retryAfterSeconds: response.header("retry-after").flatMap(Int.init).map { min(max($0, 0), 3600) },
                request: "token request")
        }
        // The metadata service writes its numbers as text.
        let lifetime = body?["expires_in"].flatMap { $0.int ?? $0.text.flatMap(Int.init) } ?? 3600
        let margin = min(Self.margin, .seconds(lifetime) / 2)
        return Token(
            value: Secret("Bearer \(value)"), renewAt: host.now.advanced(by: .seconds(lifetime) - margin))
    }

    /// A token error has `error` and `error_description` at top level.
    private func tokenError(_ body: JSONValue?) -> JSONValue? {
        guard let code = body?["error"]?.text else { return body }
        return ["code": .string(code), "message": .string(body?["error_description"]?.text ?? "no description")]
    }

    private func request(_ environment: CloudEnvironment, deadline: HostInstant) -> HTTPRequest {
        switch credential {
        case .clientSecret(let tenant, let clientID, let secret):
            let form = formEncoded([
                ("grant_type", "client_credentials"), ("client_id", clientID), ("client_secret", secret.value),
                ("scope", "\(environment.audience)/.default"),
            ])
            return HTTPRequest(
                method: "POST", url: "\(environment.authority)/\(tenant)/oauth2/v2.0/token",
                headers: [
                    HTTPField("content-type", "application/x-www-form-urlencoded"), HTTPField("user-agent", userAgent),
                ], body: Data(form.utf8), deadline: deadline)
        case .managedIdentity(let identity):
            var fields = [("api-version", "2018-02-01"), ("resource", environment.audience)]
            if let identity {
                fields.append((identity.contains("/subscriptions/") ? "msi_res_id" : "client_id", identity))
            }
            return HTTPRequest(
                method: "GET", url: "\(Self.metadataService)/metadata/identity/oauth2/token?\(formEncoded(fields))",
                headers: [HTTPField("metadata", "true")], deadline: deadline)
        }
    }
}

/// The `application/x-www-form-urlencoded` form; everything but the unreserved characters of RFC 3986 is escaped.
func formEncoded(_ fields: [(String, String)]) -> String {
    fields.map { "\(percentEncoded($0.0))=\(percentEncoded($0.1))" }.joined(separator: "&")
}

private func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF")
    var result = ""
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            result.append(Character(UnicodeScalar(byte)))
        default: result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
        }
    }
    return result
}
