import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// A unix socket whose connections go on, each by itself, as TLS to a port of 127.0.0.1. It reads nothing of what it
/// carries: who speaks through it brings a token of their own.
///
/// Only root opens the socket.
struct SocketBridge: Sendable {
    let socketPath: String
    let port: Int
    /// PEM file of the one authority that the server is checked against.
    let authority: String

    /// More are closed at once; a lab has a handful of programs with a few connections each.
    static let maximumConnections = 256
    private typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    /// Serves until the task is cancelled.
    ///
    /// - Throws: what keeps it from listening, or from reading the authority.
    func run() async throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(authority)
        let context = try NIOSSLContext(configuration: configuration)
        unlink(socketPath)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(unixDomainSocketPath: socketPath) { channel in
                channel.eventLoop.makeCompletedFuture { try Connection(wrappingChannelSynchronously: channel) }
            }
        chmod(socketPath, 0o600)
        defer { unlink(socketPath) }
        let open = OpenConnections()
        try await listener.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in connections {
                    let isAllowed = open.begin() <= Self.maximumConnections
                    group.addTask { [self] in
                        // What ends one connection, a server that is not up among it, is for its two ends to notice.
                        if isAllowed {
                            try? await carry(connection, context)
                        } else {
                            try? await connection.executeThenClose { _, _ in }
                        }
                        open.end()
                    }
                }
            }
        }
    }

    private func carry(_ near: Connection, _ context: NIOSSLContext) async throws {
        try await near.executeThenClose { nearInbound, nearOutbound in
            let far = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let handler = try NIOSSLClientHandler(context: context, serverHostname: nil)
                        try channel.pipeline.syncOperations.addHandler(handler)
                        return try Connection(wrappingChannelSynchronously: channel)
                    }
                }
            try await far.executeThenClose { farInbound, farOutbound in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { for try await bytes in nearInbound { try await farOutbound.write(bytes) } }
                    group.addTask { for try await bytes in farInbound { try await nearOutbound.write(bytes) } }
                    // HTTP/1.1 has no use for a connection of which one end has gone.
                    defer { group.cancelAll() }
                    try await group.next()
                }
            }
        }
    }
}

private final class OpenConnections: Sendable {
    private let count = Mutex(0)

    /// - Returns: How many there are now.
    func begin() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }

    func end() { count.withLock { $0 -= 1 } }
}
