import NIOCore
import NIOPosix
import ProviderKit

/// One end of the socket pair between host and child.
struct IsolationChannel: Sendable {
    /// Bytes that may wait to be written; a child that does not read costs no more.
    private static let maximumPending = 4 * IsolationFrame.maximumBytes

    private let channel: any Channel

    /// Takes the descriptor over, in each case.
    ///
    /// - Parameters:
    ///   - received: called on one event loop, in order.
    ///   - ended: called once, after the last frame, when the other side is gone or ``close()`` was called.
    init(
        descriptor: CInt, received: @escaping @Sendable (IsolationFrame) -> Void,
        ended: @escaping @Sendable () -> Void
    ) async throws {
        channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(
                .writeBufferWaterMark,
                value: .init(low: Self.maximumPending / 2, high: Self.maximumPending)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(
                        ByteToMessageHandler(
                            IsolationFrameDecoder(), maximumBufferSize: 2 * IsolationFrame.maximumBytes))
                    try pipeline.addHandler(MessageToByteHandler(IsolationFrameEncoder()))
                    try pipeline.addHandler(IsolationHandler(received: received, ended: ended))
                }
            }
            .withConnectedSocket(descriptor).get()
    }

    /// - Returns: false if the other side is gone, or has not read for so long that no more is kept for it.
    @discardableResult
    func send(_ frame: IsolationFrame) -> Bool {
        guard channel.isActive, channel.isWritable else { return false }
        channel.writeAndFlush(frame, promise: nil)
        return true
    }

    /// Sends a last frame and returns when the socket has taken it and all before it, or the other side is gone.
    func sendLast(_ frame: IsolationFrame) async {
        try? await channel.writeAndFlush(frame).get()
    }

    func close() {
        channel.close(promise: nil)
    }
}

/// Hands frames on. Confined to the channel's event loop.
private final class IsolationHandler: ChannelInboundHandler {
    typealias InboundIn = IsolationFrame

    private let received: @Sendable (IsolationFrame) -> Void
    private let ended: @Sendable () -> Void

    init(received: @escaping @Sendable (IsolationFrame) -> Void, ended: @escaping @Sendable () -> Void) {
        self.received = received
        self.ended = ended
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received(unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A malformed frame or a broken socket: the rest cannot be trusted.
        context.close(promise: nil)
    }
}
