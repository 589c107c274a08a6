import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ProviderKit
import Synchronization
import Testing

@testable import Host

@Suite struct WriteFenceTests {
    private final class Leadership: Sendable {
        private let state = Mutex(true)
        var isHeld: Bool {
            get { state.withLock { $0 } }
            set { state.withLock { $0 = newValue } }
        }
    }

    @Test func callsPassOnlyBetweenOpeningAndTheEndOfTheLease() async throws {
        let leadership = Leadership()
        let fence = WriteFence { leadership.isHeld }
        await #expect(throws: ProviderError.self, "a standby") { try await fence.pass {} }
        #expect(!fence.isOpen && !fence.isShut)
        fence.open()
        #expect(try await fence.pass { 7 } == 7)
        leadership.isHeld = false
        await #expect(throws: ProviderError.self, "the local deadline passed") { try await fence.pass {} }
        #expect(fence.isShut)
        leadership.isHeld = true
        fence.shut()
        await #expect(throws: ProviderError.self, "the work has ended") { try await fence.pass {} }
        fence.open()
        #expect(!fence.isOpen && fence.isShut, "nobody leads twice")
    }

    @Test func shuttingCancelsTheCallsUnderWay() async throws {
        let fence = WriteFence { true }
        fence.open()
        let (begun, begin) = AsyncStream.makeStream(of: Void.self)
        let call = Task {
            try await fence.pass {
                begin.finish()
                try await Task.sleep(for: .seconds(600))
            }
        }
        for await _ in begun {}
        fence.shut()
        await #expect(throws: CancellationError.self) { try await call.value }
    }

    /// Answers 200, and tells the methods that came.
    private final class Recorder: ChannelInboundHandler, Sendable {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        let methods = Mutex<[String]>([])

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): methods.withLock { $0.append(head.method.rawValue) }
            case .body: break
            case .end:
                let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: ["Content-Length": "0"])
                context.write(wrapOutboundOut(.head(head)), promise: nil)
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        }
    }

    @Test func aPluginsRequestsAreAskedAboutOneByOne() async throws {
        let recorder = Recorder()
        let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.pipeline.configureHTTPServerPipeline().flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(recorder)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let services = InstanceServices(
            entry: PluginEntry(name: "p", path: "none", configuration: Data("{}".utf8)), logger: Logger(label: "test"))
        func send(_ method: String) async -> Result<HTTPResponse, ProviderError> {
            await withCheckedContinuation { continuation in
                let request = HTTPRequest(
                    method: method, url: "http://127.0.0.1:\(port)/",
                    deadline: HostClock.now().advanced(by: .seconds(20)))
                let code = services.send(request) { continuation.resume(returning: $0) }
                #expect(code == .ok)
            }
        }
        #expect(try await send("PUT").get().status == 200, "nobody fences")
        let isOver = Leadership()
        isOver.isHeld = false
        services.fenceWrites { isOver.isHeld ? ProviderError(.cancelled, "over") : nil }
        #expect(try await send("PATCH").get().status == 200)
        isOver.isHeld = true
        for method in ["PUT", "PATCH", "POST", "DELETE"] {
            guard case .failure(let error) = await send(method) else {
                Issue.record("\(method) was sent")
                continue
            }
            #expect(error.code == .cancelled)
        }
        #expect(try await send("GET").get().status == 200)
        #expect(recorder.methods.withLock { $0 } == ["PUT", "PATCH", "GET"])
        _ = await services.endCallbacks(within: Duration.seconds(5))
        try await server.close()
    }
}
