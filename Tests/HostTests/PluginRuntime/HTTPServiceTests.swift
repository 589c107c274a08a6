import Foundation
import NIOCore
import NIOPosix
import ProviderKit
import Testing

@testable import Host

@Suite struct HTTPServiceTests {
    /// Answers every request with a head that promises 100 bytes, and one byte.
    private final class Dawdler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let answer = ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
            context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
        }
    }

    @Test func theDeadlineHoldsForTheWholeAnswer() async throws {
        let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Dawdler()) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let clock = ContinuousClock()
        let started = clock.now
        let request = HTTPRequest(
            method: "GET", url: "http://127.0.0.1:\(port)/", deadline: HostInstant(nanoseconds: 0))
        let error = await #expect(throws: ProviderError.self) {
            _ = try await HTTPService().send(request, timeout: .milliseconds(300))
        }
        #expect(error?.code == .retry)
        #expect(error?.message.contains("no whole answer within") == true, "\(error?.message ?? "")")
        #expect(clock.now - started < .seconds(10))
        try await server.close()
    }
}
