import Foundation
import Kubernetes
import ScriptedServer
import Testing

/// What a watch does with streams as real and as broken servers send them. The first tests are the gaps known from
/// other clients: each once ended or falsified a watch.
@Suite struct WatchTests {
    private func collect(
        idle: Duration = .seconds(10), maximumLineBytes: Int = 1 << 20, _ steps: [Step]
    ) async throws -> (events: [WatchEvent<PodEndpoint>], error: KubernetesError?, requests: [SeenRequest]) {
        var events: [WatchEvent<PodEndpoint>] = []
        var failure: KubernetesError?
        var requests: [SeenRequest] = []
        try await withClient(
            configure: {
                $0.watchIdleTimeout = idle
                $0.maximumLineBytes = maximumLineBytes
            }, { _, _ in steps }
        ) { client, server in
            do {
                let watch = try await client.watch(PodEndpoint.self, namespace: "team-a", resourceVersion: "41 a")
                for try await event in watch { events.append(event) }
            } catch let error as KubernetesError {
                failure = error
            }
            requests = server.requests
        }
        return (events, failure, requests)
    }

    @Test func theVersionToResumeFromIsAQueryParameter() async throws {
        let seen = try await collect([.watchHead(), .endChunks]).requests
        #expect(seen.count == 1)
        let request = try #require(seen.first)
        #expect(request.query["resourceVersion"] == "41%20a")
        #expect(request.query["watch"] == "true")
        #expect(request.query["allowWatchBookmarks"] == "true")
        #expect(request.query["timeoutSeconds"] == "300")
        #expect(request.headers["resourceversion"] == nil)
        #expect(
            request.target.hasPrefix(
                "/apis/egressgateway.kubernetes.azure.com/v1alpha1/namespaces/team-a/podendpoints?"))
    }

    @Test func aBookmarkMovesTheVersionAndDoesNotEndTheStream() async throws {
        let bookmark = line("BOOKMARK", #"{"kind":"PodEndpoint","metadata":{"resourceVersion":"50"}}"#)
        let result = try await collect([
            .watchHead(), .chunk(bookmark), .chunk(line("ADDED", endpointJSON("a", version: 51))), .endChunks,
        ])
        #expect(result.error == nil)
        #expect(result.events.map(\.resourceVersion) == ["50", "51"])
        guard case .bookmark = result.events.first else {
            Issue.record("no bookmark: \(result.events)")
            return
        }
    }

    @Test func aLineMayComeInManyChunksAndAChunkMayHoldManyLines() async throws {
        let all = (1...5).map { line("MODIFIED", endpointJSON("grün-\($0)", version: $0)) }.joined()
        var steps: [Step] = [.watchHead()]
        // Pieces of 7 bytes cut lines, characters and newlines anywhere.
        let bytes = Array(all.unicodeScalars)
        for start in stride(from: 0, to: bytes.count, by: 7) {
            let piece = String(String.UnicodeScalarView(bytes[start..<min(start + 7, bytes.count)]))
            steps.append(.chunk(piece))
        }
        let result = try await collect(steps + [.chunk("\r\n\n" + all), .endChunks])
        #expect(result.error == nil)
        #expect(result.events.map(\.resourceVersion) == ["1", "2", "3", "4", "5", "1", "2", "3", "4", "5"])
        guard case .modified(let object) = result.events[0] else {
            Issue.record("not modified: \(result.events[0])")
            return
        }
        #expect(object.metadata.name == "grün-1")
    }

    @Test func aLineThatNeverEndsIsBounded() async throws {
        let piece = String(repeating: "x", count: 1000)
        let steps: [Step] = [.watchHead()] + Array(repeating: .chunk(piece), count: 20) + [.endChunks]
        let result = try await collect(maximumLineBytes: 4096, steps)
        #expect(result.error?.code == .responseTooLarge)
        #expect(result.events.isEmpty)
    }

    @Test func halfALineAtTheEndIsAFaultAndTheEventsBeforeItCount() async throws {
        let whole = line("ADDED", endpointJSON("a", version: 7))
        let result = try await collect([.watchHead(), .chunk(whole + whole.prefix(40)), .endChunks])
        #expect(result.events.map(\.resourceVersion) == ["7"])
        #expect(result.error?.code == .unavailable)
    }

    @Test func aConnectionCutInTheMiddleIsUnavailable() async throws {
        let whole = line("ADDED", endpointJSON("a", version: 7))
        let result = try await collect([.watchHead(), .chunk(whole), .pause(0.05), .close])
        #expect(result.events.count == 1)
        #expect(result.error?.code == .unavailable)
        #expect(result.error?.advice == .retry)
    }

    @Test func anErrorEventWith410IsGone() async throws {
        let result = try await collect([
            .watchHead(), .chunk(line("ERROR", Step.statusBody(410, "Expired"))), .endChunks,
        ])
        #expect(result.error?.code == .gone)
        #expect(result.error?.advice == .listAgain)
    }

    @Test func anAnswerWith410IsGone() async throws {
        #expect(try await collect(Step.status(410, "Expired")).error?.code == .gone)
    }

    @Test func htmlWithStatus200IsRefused() async throws {
        let page = "<html>sign in</html>\n"
        let byType = try await collect([.watchHead(type: "text/html"), .chunk(page), .endChunks])
        #expect(byType.error?.code == .unexpectedResponse)
        let byContent = try await collect([.watchHead(), .chunk(page), .endChunks])
        #expect(byContent.error?.code == .unexpectedResponse)
        #expect(byContent.error?.message.contains("<html>") == true)
    }

    @Test func aSlowStreamIsFollowed() async throws {
        let steps: [Step] = (1...4).flatMap { number -> [Step] in
            [.pause(0.1), .chunk(line("ADDED", endpointJSON("a", version: number)))]
        }
        let result = try await collect(idle: .milliseconds(900), [.watchHead()] + steps + [.endChunks])
        #expect(result.error == nil)
        #expect(result.events.count == 4)
    }

    @Test func silenceIsATimeout() async throws {
        let began = ContinuousClock.now
        let result = try await collect(
            idle: .milliseconds(300),
            [.watchHead(), .chunk(line("ADDED", endpointJSON("a", version: 1))), .pause(3), .endChunks])
        #expect(result.events.count == 1)
        #expect(result.error?.code == .timeout)
        #expect(ContinuousClock.now - began < .seconds(2.5))
    }

    @Test func anUndecodableObjectIsSetAsideAndTheRestGoesOn() async throws {
        let broken =
            #"{"metadata":{"name":"b","namespace":"team-a","resourceVersion":"8"},"spec":{"podIpAddress":[1]}}"#
        let result = try await collect([
            .watchHead(), .chunk(line("MODIFIED", broken)), .chunk(line("DELETED", broken)),
            .chunk(line("ADDED", endpointJSON("c", version: 9))), .endChunks,
        ])
        #expect(result.error == nil)
        #expect(result.events.map(\.resourceVersion) == ["8", "8", "9"])
        guard case .undecodable(let object, _, false) = result.events[0],
            case .undecodable(_, _, true) = result.events[1]
        else {
            Issue.record("not set aside: \(result.events)")
            return
        }
        #expect(object.name == "b")
        #expect(object.namespace == "team-a")
        #expect(object.reason.contains("spec.podIpAddress"))
    }

    @Test func droppingAWatchClosesItsConnection() async throws {
        // The server notices a closed connection when it writes.
        let event = Step.chunk(line("ADDED", endpointJSON("a", version: 1)))
        let steps = Array(repeating: [event, Step.pause(0.1)], count: 200).flatMap { $0 }
        try await withClient({ _, _ in [.watchHead()] + steps }) { client, server in
            let dropped = Task {
                for try await _ in try await client.watch(PodEndpoint.self, resourceVersion: "1") { return }
            }
            try await dropped.value
            #expect(await eventually { server.openConnections == 0 })
            let cancelled = Task {
                for try await _ in try await client.watch(PodEndpoint.self, resourceVersion: "1") {}
            }
            #expect(await eventually { server.openConnections == 1 })
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            #expect(await eventually { server.openConnections == 0 })
        }
    }
}
