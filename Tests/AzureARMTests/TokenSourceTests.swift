import Foundation
import ProviderKit
import Synchronization
import Testing

@testable import AzureARM

@Suite struct TokenSourceTests {
    private let environment = CloudEnvironment.named("AzureCloud")

    private func source(
        _ host: LapseHost, _ credential: Credential = .managedIdentity(identity: nil), random: Double = 0
    ) -> TokenSource {
        TokenSource(
            host: ProviderHost(host),
            request: TokenRequest(
                credential: credential, userAgent: "test",
                surroundings: Surroundings(environment: [:], random: { random })))
    }

    /// A host whose token endpoint numbers its tokens.
    private func numbering(
        lifetime: String = "3600", speed: Double = 20,
        _ refuse: @escaping @Sendable (Int) -> HTTPResponse? = { _ in nil }
    ) -> LapseHost {
        let count = Mutex(0)
        return LapseHost(speed: speed) { _, _ in
            let number = count.withLock { count in
                count += 1
                return count
            }
            if let refusal = refuse(number) { return refusal }
            try await Task.sleep(for: .milliseconds(20))
            return answer(200, #"{"access_token": "t\#(number)", "expires_in": "\#(lifetime)"}"#)
        }
    }

    @Test func `many callers at once cost one request`() async throws {
        let host = numbering()
        let source = source(host)
        let values = try await withThrowingTaskGroup(of: Secret.self) { group in
            for _ in 0..<50 {
                group.addTask { try await source.authorization(environment, deadline: host.context().deadline) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(values.map(\.value)) == ["Bearer t1"] && host.requests.count == 1)
    }

    @Test func `a token is renewed a margin before its end, with jitter`() {
        let start = HostInstant(nanoseconds: 0)
        func renewal(_ lifetime: Int, refreshIn: Int? = nil, random: Double) -> Duration {
            let token = Token(
                Secret("x"), lifetime: lifetime, refreshIn: refreshIn, now: start, timing: TokenTiming(),
                random: random)
            return start.duration(to: token.renewAt)
        }
        #expect(renewal(3600, random: 0) == .seconds(3300))
        #expect(renewal(3600, random: 0.5) == .seconds(3270))
        #expect(renewal(200, random: 0) == .seconds(100))
        #expect(renewal(86_400, refreshIn: 43_200, random: 0) == .seconds(43_200))
    }

    @Test func `the metadata service's passing refusals are repeated with growing waits`() async throws {
        let host = numbering { number in
            [1: answer(429), 2: answer(404), 3: answer(410), 4: answer(500)][number]
        }
        let value = try await source(host).authorization(environment, deadline: host.context().deadline)
        #expect(value.value == "Bearer t5" && host.requests.count == 5)
        // 0.8 + 1.6 + 3.2 + 6.4 s of the host's time.
        #expect(host.elapsed >= .seconds(12))
    }

    @Test func `a refusal for good is told at once`() async throws {
        let host = numbering { _ in
            answer(400, #"{"error": "invalid_request", "error_description": "Identity not found"}"#)
        }
        let failure = await #expect(throws: ARMFailure.self) {
            _ = try await source(host).authorization(environment, deadline: host.context().deadline)
        }
        #expect(host.requests.count == 1)
        #expect(failure?.providerError.reason == "CredentialRefused")
        #expect(failure?.providerError.message.contains("check userAssignedIdentityID") == true)
    }

    @Test func `tries end`() async throws {
        let host = numbering { _ in answer(503) }
        let failure = await #expect(throws: ARMFailure.self) {
            _ = try await source(host).authorization(environment, deadline: host.context().deadline)
        }
        #expect(host.requests.count == 6 && failure?.providerError.code == .retry)
    }

    /// A lifetime of 4 s is renewed after 2 s; the renewal fails, and nobody notices.
    @Test func `a renewal that fails leaves the old token in use until its end`() async throws {
        let host = numbering(lifetime: "4", speed: 10) { $0 == 1 ? nil : answer(401, #"{"error": "invalid_client"}"#) }
        let source = source(host)
        func value() async throws -> String {
            try await source.authorization(environment, deadline: host.context().deadline).value
        }
        #expect(try await value() == "Bearer t1")
        try await host.sleep(for: .seconds(2.4))
        #expect(try await value() == "Bearer t1" && host.requests.count == 2)
        try await host.sleep(for: .seconds(3))
        await #expect(throws: ARMFailure.self) { _ = try await value() }
    }

    @Test func `an absolute end is understood, as text and as number`() async throws {
        for end in [#""1700000100""#, "1700000100"] {
            let host = LapseHost { _, _ in answer(200, #"{"access_token": "t", "expires_on": \#(end)}"#) }
            let source = TokenSource(
                host: ProviderHost(host),
                request: TokenRequest(
                    credential: .managedIdentity(identity: "x"), userAgent: "test",
                    surroundings: Surroundings(
                        environment: [:], wallClock: { Date(timeIntervalSince1970: 1_700_000_000) }, random: { 0 })))
            _ = try await source.authorization(environment, deadline: host.context().deadline)
            try await host.sleep(for: .seconds(20))
            _ = try await source.authorization(environment, deadline: host.context().deadline)
            #expect(host.requests.count == 1)
            // 100 s of life, half of them margin.
            try await host.sleep(for: .seconds(35))
            _ = try await source.authorization(environment, deadline: host.context().deadline)
            #expect(host.requests.count == 2)
        }
    }

    @Test func `numbers that differ in each answer are left out of the message`() async throws {
        let text = "AADSTS7000222: The secret has expired. Trace ID: 1f Correlation ID: 2e Timestamp: 2026"
        let host = LapseHost { _, _ in
            answer(401, #"{"error": "invalid_client", "error_codes": [7000222], "error_description": "\#(text)"}"#)
        }
        let credential = Credential.clientSecret(tenant: "t", clientID: "c", secret: Secret("s3cr3t"))
        let failure = await #expect(throws: ARMFailure.self) {
            _ = try await source(host, credential).authorization(environment, deadline: host.context().deadline)
        }
        #expect(failure?.message == "AADSTS7000222: The secret has expired.")
        #expect(failure?.providerError.message.contains("s3cr3t") == false)
    }
}
