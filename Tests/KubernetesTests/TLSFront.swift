import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import ScriptedServer
import Synchronization

/// Takes TLS off and hands the bytes on to a scripted server, so that its scripts serve here, too.
final class TLSFront: Sendable {
    private let channel: any Channel
    /// The clients' certificates, DER, one per connection that sent something; empty: none was shown.
    private let seen: Mutexed<[[UInt8]]>

    /// - Parameter clients: PEM of the authority whose clients are let in; nil: no certificate is asked for.
    init(_ identity: TestAuthority.Identity, clients: [UInt8]? = nil, to server: ScriptedServer) throws {
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(identity.certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: identity.key, format: .pem)))
        if let clients {
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(clients))
            tls.certificateVerification = .noHostnameVerification
        }
        let context = try NIOSSLContext(configuration: tls)
        let seen = Mutexed<[[UInt8]]>([])
        self.seen = seen
        let port = Int(server.address.split(separator: ":").last ?? "") ?? 0
        channel = try ServerBootstrap(group: NIOSingletons.posixEventLoopGroup)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        NIOSSLServerHandler(context: context), Relay(port: port, seen: seen))
                }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
    }

    var address: String { "https://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    var certificates: [[UInt8]] { seen.value }

    func stop() { channel.close(promise: nil) }

    /// Between one client and a connection of its own to the server.
    private final class Relay: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let port: Int
        private let seen: Mutexed<[[UInt8]]>
        private var server: (any Channel)?
        private var waiting: [ByteBuffer] = []
        private var isConnecting = false

        init(port: Int, seen: Mutexed<[[UInt8]]>) {
            self.port = port
            self.seen = seen
        }

        private func connect(_ context: ChannelHandlerContext) {
            let client = context.channel
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            ClientBootstrap(group: context.eventLoop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Back(client: client))
                    }
                }
                .connect(host: "127.0.0.1", port: port).whenComplete { result in
                    guard let server = try? result.get() else { return client.close(promise: nil) }
                    let relay = bound.value
                    relay.server = server
                    for buffer in relay.waiting { server.writeAndFlush(buffer, promise: nil) }
                    relay.waiting = []
                }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            if let server { return server.writeAndFlush(buffer, promise: nil) }
            waiting.append(buffer)
            guard !isConnecting else { return }
            isConnecting = true
            let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()?.toDERBytes()
            seen.change { $0.append(certificate ?? []) }
            connect(context)
        }

        func channelInactive(context: ChannelHandlerContext) {
            server?.close(promise: nil)
            context.fireChannelInactive()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private final class Back: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let client: any Channel

        init(client: any Channel) { self.client = client }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            client.writeAndFlush(unwrapInboundIn(data), promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { client.close(promise: nil) }
    }
}

/// A value that many threads change.
final class Mutexed<Value: Sendable>: Sendable {
    private let state: Mutex<Value>

    init(_ value: Value) { state = Mutex(value) }

    var value: Value { state.withLock { $0 } }

    func change(_ body: (inout Value) -> Void) { state.withLock { body(&$0) } }
}
