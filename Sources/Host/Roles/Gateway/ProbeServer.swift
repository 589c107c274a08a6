import NIOCore
import NIOHTTP1
import NIOPosix

/// The HTTP server that the load balancer's health probes ask, on all addresses of the node.
struct ProbeServer: Sendable {
    private let channel: any Channel

    /// Where it listens; the port is the chosen one if 0 was asked for.
    var port: Int { channel.localAddress?.port ?? 0 }

    /// Starts to listen.
    ///
    /// - Throws: ``HostError`` that names the port.
    static func start(port: Int, state: ProbeState) async throws -> ProbeServer {
        do {
            let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        // Upstream's idle limit; a probe comes every 5 seconds.
                        try pipeline.addHandler(IdleStateHandler(allTimeout: .seconds(90)))
                        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                        try pipeline.addHandler(ProbeHandler(state: state))
                    }
                }
                .bind(host: "0.0.0.0", port: port).get()
            return ProbeServer(channel: channel)
        } catch {
            throw HostError(.unavailable, "gateway.gatewayProbePort: cannot listen on \(port): \(error)")
        }
    }

    /// Stops listening; connections that are open end with their clients or by idleness.
    func stop() async {
        try? await channel.close()
    }
}

/// Answers the requests of one connection. Confined to the connection's event loop.
private final class ProbeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let state: ProbeState
    private var request: HTTPRequestHead?

    init(state: ProbeState) {
        self.state = state
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): request = head
        case .body: break
        case .end:
            guard let head = request else { return }
            request = nil
            respond(to: head, context)
        }
    }

    private func respond(to request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let status = state.answer(request.uri)
        let body = request.method == .HEAD ? "" : "\(status.code) \(status.reasonPhrase)\n"
        var headers = HTTPHeaders([("Content-Type", "text/plain"), ("Content-Length", String(body.utf8.count))])
        if !request.isKeepAlive { headers.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(version: request.version, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
        let isKeptAlive = request.isKeepAlive
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            if !isKeptAlive { channel.close(promise: nil) }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
