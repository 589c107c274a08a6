import Foundation
import Kubernetes
import Logging
import Reconcile
import ScriptedServer
import Synchronization
import Testing

/// Each of these is a gap of a Swift client that was there before this one (swiftkube/client); each ended, falsified or
/// bloated its watches. All are seen here as a server sees them.
@Suite("Gaps of earlier clients") struct EarlierClientGapsTests {
    private typealias Bench = ReflectorBench

    /// Theirs sent the version as a header, which servers do not read: every watch began anew.
    @Test func theVersionToResumeFromIsAQueryParameterAndNoHeader() async throws {
        try await Bench.run({ number, _ in
            switch number {
            case 0: return Bench.list([Bench.item("a", 7)], 10)
            case 1: return [.watchHead(), Bench.event("ADDED", Bench.item("b", 4711)), .pause(0.02), .endChunks]
            default: return Bench.silence
            }
        }) { bench in
            #expect(await eventually { bench.requests.count == 3 })
            #expect(bench.requests.map { $0.query["resourceVersion"] } == [nil, "10", "4711"])
            for request in bench.requests {
                #expect(!request.headers.contains { $0.key.contains("version") || $0.value.contains("4711") })
            }
        }
    }

    /// Theirs knew no bookmarks; the first one ended the stream.
    @Test func aBookmarkNeitherEndsTheStreamNorIsAChange() async throws {
        try await Bench.run({ number, _ in
            switch number {
            case 0: return Bench.list([], 1)
            case 1:
                return [
                    .watchHead(), Bench.event("ADDED", Bench.item("a", 2)),
                    Bench.event("BOOKMARK", #"{"kind":"PodEndpoint","metadata":{"resourceVersion":"50"}}"#),
                    Bench.event("ADDED", Bench.item("b", 51)),
                    Bench.event("BOOKMARK", #"{"kind":"PodEndpoint","metadata":{"resourceVersion":"99"}}"#),
                    .pause(0.05), .endChunks,
                ]
            default: return Bench.silence
            }
        }) { bench in
            #expect(await eventually { bench.requests.count == 3 })
            #expect(bench.changes.all == [key("a"), key("b")])
            // Both came by one watch, and the last bookmark is where the next one begins.
            #expect(bench.requests[1].query["allowWatchBookmarks"] == "true")
            #expect(bench.requests.last?.query["resourceVersion"] == "99")
        }
    }

    /// Theirs took every piece of the stream for lines; one without a newline ended it.
    @Test func aLineMayComeInPiecesAnywhere() async throws {
        let line = Bench.line("ADDED", Bench.item("a", 2))
        let pieces = line.map { Step.chunk(String($0)) }
        try await Bench.run({ number, _ in
            switch number {
            case 0: return Bench.list([], 1)
            case 1:
                let half = line.prefix(20)
                return [.watchHead()] + pieces + [
                    .chunk(String(half)), .pause(0.1), .chunk(String(line.dropFirst(20))),
                ]
                    + [.pause(20)]
            default: return Bench.silence
            }
        }) { bench in
            #expect(await eventually { bench.changes.all == [key("a"), key("a")] })
            #expect(bench.requests.count == 2)
        }
    }

    /// Theirs kept all that came until a newline did.
    @Test func aLineWithoutEndIsCutOffAndTheStoreGoesOn() async throws {
        let sent = Mutex(0)
        let piece = String(repeating: "x", count: 64 * 1024)
        try await Bench.run(
            configure: { $0.maximumLineBytes = 256 * 1024 },
            { number, _ in
                switch number {
                case 0: return Bench.list([], 1)
                case 1:
                    let flood = Array(
                        repeating: [Step.chunk(piece), .reached { sent.withLock { $0 += 1 } }], count: 2000
                    ).flatMap { $0 }
                    return [.watchHead(), Bench.event("ADDED", Bench.item("a", 2))] + flood
                default: return [.watchHead(), Bench.event("ADDED", Bench.item("b", 3)), .pause(20)]
                }
            }
        ) { bench in
            #expect(await eventually { bench.changes.all == [key("a"), key("b")] })
            // What was whole counts; 128 MB were never taken.
            #expect(bench.requests.last?.query["resourceVersion"] == "2")
            #expect(sent.withLock { $0 } < 1000)
        }
    }

    /// Theirs read on while nobody took what had come: here the server is made to wait.
    @Test func nothingPilesUpWhileNobodyTakesEvents() async throws {
        let sent = Mutex(0)
        let padding = String(repeating: "p", count: 64 * 1024)
        let object =
            #"{"metadata":{"name":"a","namespace":"n","resourceVersion":"2","annotations":{"p":"\#(padding)"}}}"#
        let flood = Array(
            repeating: [Bench.event("MODIFIED", object), .reached { sent.withLock { $0 += 1 } }], count: 2000)
        let server = try ScriptedServer { _, _ in [.watchHead()] + flood.flatMap { $0 } + [.endChunks] }
        defer { server.stop() }
        let client = try KubernetesClient(
            configuration: ClientConfiguration(server: server.address), logger: Logger(label: "test"))
        var iterator = try await client.watch(PodEndpoint.self, resourceVersion: "1").makeAsyncIterator()
        _ = try await iterator.next()
        // Until the buffers of both kernels and of the client are full.
        var before = -1
        for _ in 0..<100 where sent.withLock({ $0 }) != before {
            before = sent.withLock { $0 }
            try await Task.sleep(for: .milliseconds(200))
        }
        #expect(before < 1000, "the server got rid of \(before) of 2000 events of 64 KiB")
        #expect(server.openConnections == 1)
        // Nothing is lost by waiting.
        var count = 1
        while try await iterator.next() != nil { count += 1 }
        #expect(count == 2000)
        try await client.shutdown()
    }

    /// Theirs counted retries over the whole life of a watch, and gave up after a few.
    @Test func theWaitsBeginAnewAfterEverySuccess() async throws {
        try await Bench.run({ number, request in
            switch number {
            case 0: return Bench.list([], 1)
            // Three failures, an event, a failure, an event, and so on for longer than any counter would go.
            case 1, 2: return Step.status(500, "InternalError")
            case let number where number < 40 && number.isMultiple(of: 2):
                return Step.status(500, "InternalError")
            case let number where number < 40:
                return [.watchHead(), Bench.event("ADDED", Bench.item("a", number)), .pause(0.005), .close]
            default: return Bench.silence
            }
        }) { bench in
            #expect(await eventually { bench.requests.count >= 41 })
            let waits = bench.waits.all
            // Half of the wait at least is left by the jitter: 0.4...0.8 s, 0.8...1.6 s, and never more than that.
            #expect((0.4...0.8).contains(waits[0] / .seconds(1)))
            #expect((0.8...1.6).contains(waits[1] / .seconds(1)))
            #expect(waits.count >= 30)
            #expect(waits.dropFirst(2).allSatisfy { $0 <= .seconds(1.6) }, "\(waits)")
            // Every change of the one object came through.
            #expect(bench.store[key("a")]?.metadata.resourceVersion == "39")
        }
    }

    /// Theirs had no way back from 410 and ended.
    @Test(arguments: [true, false])
    func goneBeginsAListWhoseDifferencesAreToldWithoutAnError(inTheStream: Bool) async throws {
        try await Bench.run({ number, _ in
            switch number {
            case 0: return Bench.list([Bench.item("a", 1), Bench.item("b", 2)], 2)
            case 1 where inTheStream:
                return [.watchHead(), Bench.event("ERROR", Step.statusBody(410, "Expired")), .endChunks]
            case 1: return Step.status(410, "Expired")
            case 2: return Bench.list([Bench.item("a", 1), Bench.item("c", 8)], 9)
            default: return Bench.silence
            }
        }) { bench in
            #expect(await eventually { bench.requests.count == 4 })
            #expect(bench.requests.map { $0.query["watch"] } == [nil, "true", nil, "true"])
            #expect(bench.requests.last?.query["resourceVersion"] == "9")
            #expect(Set(bench.store.all.map(\.metadata.name)) == ["a", "c"])
            #expect(bench.changes.all == [key("a"), key("b"), key("b"), key("c")])
            #expect(bench.waits.all.isEmpty)
        }
    }

    /// Theirs had no list before the watch and no store.
    @Test func theStoreIsWholeOrNotThere() async throws {
        try await Bench.run({ number, request in
            switch request.query["continue"] {
            case nil where request.query["watch"] == nil:
                return Bench.list([Bench.item("a", 1)], 5, continueToken: "more")
            case "more": return [.pause(0.2)] + Bench.list([Bench.item("b", 2)], 5)
            default: return Bench.silence
            }
        }) { bench in
            #expect(await eventually { bench.requests.count == 2 })
            #expect(!bench.store.isSynced && bench.store.count == 0)
            try await bench.store.waitUntilSynced()
            #expect(bench.store.count == 2)
            #expect(bench.requests.first?.query["limit"] == "500")
        }
    }
}
