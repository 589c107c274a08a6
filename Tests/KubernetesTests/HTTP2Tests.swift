import Foundation
import HTTPTypes
import Hummingbird
import Kubernetes
import Logging
import NIOCore
import ScriptedServer
import Testing

/// The client over HTTP/2, which servers offer by ALPN.
@Suite struct HTTP2Tests {
    private static let node = #"{"metadata":{"name":"n"}}"#

    private func withServer(
        configure: (inout ClientConfiguration) -> Void = { _ in },
        _ respond: @escaping @Sendable (Int, HTTP2Server.Seen) async throws -> Response,
        _ body: (KubernetesClient, HTTP2Server) async throws -> Void
    ) async throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let authority = try TestAuthority(folder)
        let server = try await HTTP2Server(authority.server(), respond)
        var configuration = ClientConfiguration(server: server.address)
        configuration.certificateAuthority = try authority.certificate
        configure(&configuration)
        let client = try KubernetesClient(configuration: configuration, logger: Logger(label: "test"))
        let result: Result<Void, any Error>
        do { result = .success(try await body(client, server)) } catch { result = .failure(error) }
        try await client.shutdown()
        await server.stop()
        try result.get()
    }

    private static func events(_ count: Int, pause: Duration) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: .init { writer in
                for number in 1...count {
                    try await writer.write(ByteBuffer(string: line("ADDED", endpointJSON("a", version: number))))
                    try await Task.sleep(for: pause)
                }
                try await writer.finish(nil)
            })
    }

    @Test func requestsOfManyTasksShareOneConnection() async throws {
        try await withServer({ _, _ in
            try await Task.sleep(for: .milliseconds(50))
            return HTTP2Server.json(Self.node)
        }) { client, server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<40 { group.addTask { _ = try await client.get(Node.self, name: "n") } }
                try await group.waitForAll()
            }
            #expect(server.seen.count == 40)
            #expect(server.seen.filter { !$0.isHTTP2 }.isEmpty)
            #expect(Set(server.seen.map(\.connection)).count == 1)
        }
    }

    @Test func watchesAreStreamsOfOneConnection() async throws {
        try await withServer({ _, _ in Self.events(4, pause: .milliseconds(30)) }) { client, server in
            let counts = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<5 {
                    group.addTask {
                        var count = 0
                        for try await _ in try await client.watch(PodEndpoint.self, resourceVersion: "0") { count += 1 }
                        return count
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(counts == [4, 4, 4, 4, 4])
            #expect(Set(server.seen.map(\.connection)).count == 1)
        }
    }

    @Test func aSilentWatchIsGivenUp() async throws {
        try await withServer(configure: { $0.watchIdleTimeout = .milliseconds(400) }) { _, _ in
            Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: .init { writer in
                    try await writer.write(ByteBuffer(string: line("ADDED", endpointJSON("a", version: 1))))
                    try await Task.sleep(for: .seconds(60))
                    try await writer.finish(nil)
                })
        } _: { client, _ in
            var count = 0
            let failed = await code {
                for try await _ in try await client.watch(PodEndpoint.self, resourceVersion: "0") { count += 1 }
            }
            #expect(failed == .timeout && count == 1)
        }
    }

    /// Nothing closes a connection of HTTP/2 whose other end is gone without a word: it must not be used for ever.
    @Test func aConnectionThatFellSilentIsLeft() async throws {
        let dead = Mutexed<Int?>(nil)
        try await withServer(configure: { $0.requestTimeout = .milliseconds(600) }) { number, seen in
            if number == 0 { dead.change { $0 = seen.connection } }
            if number > 0, seen.connection == dead.value { try await Task.sleep(for: .seconds(60)) }
            return HTTP2Server.json(Self.node)
        } _: { client, server in
            _ = try await client.get(Node.self, name: "n")
            #expect(await code { _ = try await client.get(Node.self, name: "n") } == .timeout)
            _ = try await client.get(Node.self, name: "n")
            #expect(Set(server.seen.map(\.connection)).count == 2)
        }
    }
}
