import FoundationEssentials
import NIOPosix
import Synchronization

/// The bearer token of the moment. Files are read on NIO's blocking-work threads, at most once a minute (as client-go)
/// and again after the server refused the token.
final class TokenSource: Sendable {
    private struct Cached {
        var token: String
        var readAt: ContinuousClock.Instant
    }

    private let credential: ClientConfiguration.Credential
    private let cached = Mutex<Cached?>(nil)

    init(_ credential: ClientConfiguration.Credential) {
        self.credential = credential
    }

    /// The token, or nil if none is configured. A file that cannot be read now leaves the last token in use.
    func current() async throws -> String? {
        switch credential {
        case .none: return nil
        case .token(let token): return token
        case .tokenFile(let path):
            let last = cached.withLock { $0 }
            if let last, ContinuousClock.now - last.readAt < .seconds(60) { return last.token }
            do {
                return try await read(path)
            } catch {
                if let last { return last.token }
                throw error
            }
        }
    }

    /// Forgets what was read, after a 401. Returns whether asking again can give another token.
    func refresh() async -> Bool {
        guard case .tokenFile(let path) = credential else { return false }
        let before = cached.withLock { $0?.token }
        guard let token = try? await read(path) else { return false }
        return token != before
    }

    private func read(_ path: String) async throws -> String {
        let token = try await NIOThreadPool.singleton.runIfActive {
            try ConfigurationFile.text(path, field: "tokenFile").trimmingWhitespace()
        }
        guard !token.isEmpty else {
            throw KubernetesError(
                .configuration, "tokenFile: \"\(path)\" is empty; allowed: a file with a bearer token")
        }
        cached.withLock { $0 = Cached(token: token, readAt: .now) }
        return token
    }
}
