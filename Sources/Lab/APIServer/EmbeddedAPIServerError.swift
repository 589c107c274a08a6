/// Why the embedded API server does not start.
public struct EmbeddedAPIServerError: Error, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// A member of the configuration has a value that is not allowed.
        case configuration
        /// The database cannot be opened.
        case storage
    }

    public var code: Code
    public var message: String
    public var cause: (any Error)?
    /// What the caller should do.
    public var advice: String

    public var description: String {
        let reason = cause.map { ": \($0)" } ?? ""
        return "\(message)\(reason); \(advice)"
    }

    /// The most bytes of a path in `sockaddr_un`, less the terminating zero (unix(7)).
    static let maximumSocketPath = 107

    static func check(_ configuration: EmbeddedAPIServer.Configuration) throws(Self) {
        if configuration.host == nil, configuration.unixSocketPath == nil {
            throw .init(
                code: .configuration, message: "the API server has neither host nor unixSocketPath",
                advice: "set at least one of them")
        }
        if let host = configuration.host, !isLoopback(host) {
            throw .init(
                code: .configuration,
                message:
                    "host is \(host), which is no loopback address; the API server has no TLS and no authentication",
                advice: "allowed: 127.0.0.0/8, ::1, localhost, or a unix socket")
        }
        guard (0...65535).contains(configuration.port) else {
            throw .init(
                code: .configuration, message: "port is \(configuration.port)",
                advice: "allowed: 0 (pick a free one) to 65535")
        }
        for path in [configuration.unixSocketPath].compactMap({ $0 }) + configuration.guardedSockets.map(\.path)
        where !path.hasPrefix("/") || path.utf8.count > maximumSocketPath {
            throw .init(
                code: .configuration, message: "the path of a unix socket is \(path)",
                advice: "allowed: an absolute path of at most \(maximumSocketPath) bytes")
        }
    }

    private static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
