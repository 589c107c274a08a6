import CMnl

/// Links, addresses, routes and rules of one network namespace: that of the thread that opened the socket, or the one
/// given to `open`. The namespace stays usable for as long as the socket lives, even when its file is removed.
///
/// The verbs `add`, `create`, `remove` fail if the thing is (not) there; the `ensure` forms are idempotent and say
/// whether they changed anything.
public struct RouteSocket: Sendable {
    /// For requests this type has no function for.
    public let socket: NetlinkSocket

    /// Opens in the calling thread's network namespace.
    public init() throws {
        socket = try NetlinkSocket(.route)
    }

    /// Opens in that namespace; the socket may then be used from anywhere.
    public static func open(in namespace: NetworkNamespace) async throws -> RouteSocket {
        try await namespace.run { try RouteSocket() }
    }

    /// As `open`, for synchronous callers.
    public static func openBlocking(in namespace: NetworkNamespace) throws -> RouteSocket {
        try namespace.runBlocking { try RouteSocket() }
    }

    /// Does `change` and gives false instead of an error if the kernel says `expected`.
    func tolerating(_ expected: LinuxNetError.Code, _ change: () throws -> Void) throws -> Bool {
        do {
            try change()
            return true
        } catch let error as LinuxNetError where error.code == expected {
            return false
        }
    }
}
