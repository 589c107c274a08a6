import Foundation
import Glibc
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import Host

@Suite("Node: relay server")
struct RelayServerTests {
    private static func path() -> String { NSTemporaryDirectory() + "kegwt-ro-\(UUID().uuidString.prefix(8))/cni.sock" }

    /// Runs the server around `body`.
    private func serving(
        _ path: String, respond: @escaping RelayServer.Respond, _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        var server = RelayServer(path: path, logger: Logger(label: "test"), respond: respond)
        server.readTimeout = .milliseconds(300)
        server.answerTimeout = .milliseconds(500)
        let (ready, continuation) = AsyncStream<Void>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { [server] group in
            group.addTask { try await server.run { continuation.yield() } }
            for await _ in ready { break }
            try await body()
            group.cancelAll()
            while let result = await group.nextResult() { _ = result }
        }
        try? FileManager.default.removeItem(atPath: (path as NSString).deletingLastPathComponent)
    }

    /// Sends raw bytes, gives what came back until the server closed.
    static func exchange(_ path: String, _ bytes: [UInt8]) async throws -> [UInt8] {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .connect(unixDomainSocketPath: path) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            if !bytes.isEmpty { try await outbound.write(ByteBuffer(bytes: bytes)) }
            var result: [UInt8] = []
            for try await part in inbound { result += part.readableBytesView }
            return result
        }
    }

    static func frame(_ text: String) -> [UInt8] {
        withUnsafeBytes(of: UInt32(text.utf8.count).bigEndian) { Array($0) } + Array(text.utf8)
    }

    private static let request = #"{"version":1,"environment":{"CNI_COMMAND":"ADD"},"configuration":"{}"}"#

    @Test("one request, one answer; the socket is the owner's alone, replaces a stale one and goes with the server")
    func exchanges() async throws {
        let path = Self.path()
        try FileManager.default.createDirectory(
            atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data("stale".utf8).write(to: URL(filePath: path))
        try await serving(path, respond: { RelayResponse(exitCode: 3, output: $0.environment["CNI_COMMAND"] ?? "") }) {
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            let answer = try await Self.exchange(path, Self.frame(Self.request))
            #expect(Array(answer.prefix(3)) == [0, 0, 0] && Int(answer[3]) == answer.count - 4)
            let body = try JSONDecoder().decode(RelayResponse.self, from: Data(answer.dropFirst(4)))
            #expect(body == RelayResponse(exitCode: 3, output: "ADD"))
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("silence, garbage and frames that are too long end the connection; the server goes on")
    func broken() async throws {
        let path = Self.path()
        try await serving(path, respond: { _ in RelayResponse(exitCode: 0, output: "fine") }) {
            #expect(try await Self.exchange(path, []).isEmpty)
            #expect(try await Self.exchange(path, [0, 0, 0, 9, 1]).isEmpty)
            #expect(try await Self.exchange(path, [0x7F, 0xFF, 0xFF, 0xFF]).isEmpty)
            let garbage = try await Self.exchange(path, Self.frame("{}"))
            #expect(String(decoding: garbage, as: UTF8.self).contains("malformed"))
            let good = try await Self.exchange(path, Self.frame(Self.request))
            #expect(String(decoding: good, as: UTF8.self).contains("fine"))
        }
    }

    @Test("work that takes too long is cancelled, and its caller gets its answer")
    func tooSlow() async throws {
        let path = Self.path()
        try await serving(
            path,
            respond: { _ in
                do {
                    try await Task.sleep(for: .seconds(60))
                } catch {
                    return RelayResponse(exitCode: 1, output: "undone")
                }
                return RelayResponse(exitCode: 0, output: "")
            }
        ) {
            let answer = try await Self.exchange(path, Self.frame(Self.request))
            #expect(String(decoding: answer, as: UTF8.self).contains("undone"))
        }
    }

    @Test("a server that ends leaves the socket of its successor")
    func leavesTheSuccessorsSocket() async throws {
        let path = Self.path()
        defer { try? FileManager.default.removeItem(atPath: (path as NSString).deletingLastPathComponent) }
        let (ready, continuation) = AsyncStream<Void>.makeStream()
        let server = RelayServer(path: path, logger: Logger(label: "test")) { _ in
            RelayResponse(exitCode: 0, output: "")
        }
        let running = Task { try await server.run { continuation.yield() } }
        for await _ in ready { break }
        try Data("successor".utf8).write(to: URL(filePath: path + ".next"))
        #expect(rename(path + ".next", path) == 0)
        running.cancel()
        _ = await running.result
        #expect(try Data(contentsOf: URL(filePath: path)) == Data("successor".utf8))
    }
}
