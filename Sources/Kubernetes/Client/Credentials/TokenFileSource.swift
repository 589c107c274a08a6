import FoundationEssentials
import NIOPosix
import Synchronization

/// The bearer token in a file, which clusters rotate. The file is read on NIO's blocking-work threads, at most once a
/// minute (as client-go's cachingTokenSource) and again after the server refused the token.
final class TokenFileSource: CredentialSource {
    private struct Cached {
        var token: String
        var readAt: ContinuousClock.Instant
    }

    /// How long a token is used without a look at its file.
    static let period = Duration.seconds(60)

    private let path: String
    private let certificate: ClientCertificate?
    private let now: @Sendable () -> ContinuousClock.Instant
    private let cached = Mutex<Cached?>(nil)

    /// - Parameters:
    ///   - certificate: goes with each token.
    ///   - now: the time since boot; tests give their own.
    init(
        path: String, certificate: ClientCertificate? = nil,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.path = path
        self.certificate = certificate
        self.now = now
    }

    /// The token. A file that cannot be read now leaves the last token in use.
    func current() async throws -> Credentials {
        let last = cached.withLock { $0 }
        if let last, now() - last.readAt < Self.period { return credentials(last.token) }
        do {
            return credentials(try await read())
        } catch {
            if let last { return credentials(last.token) }
            throw error
        }
    }

    func refresh(refused: Credentials) async -> Bool {
        guard let token = try? await read() else { return false }
        return token != refused.token
    }

    func stop() {}

    private func credentials(_ token: String) -> Credentials { Credentials(token: token, certificate: certificate) }

    private func read() async throws -> String {
        let path = path
        let token = try await NIOThreadPool.singleton.runIfActive {
            try ConfigurationFile.text(path, field: "tokenFile").trimmingWhitespace()
        }
        guard !token.isEmpty else {
            throw KubernetesError(
                .configuration, "tokenFile: \"\(path)\" is empty; allowed: a file with a bearer token")
        }
        let time = now()
        cached.withLock { $0 = Cached(token: token, readAt: time) }
        return token
    }
}
