import Foundation
import Kubernetes
import Logging
import Reconcile
import ScriptedServer
import Synchronization
import Testing

/// What a server, or something between, may send by mistake: it costs time, never truth.
@Suite("Bad input") struct BadInputTests {
    private typealias Bench = ReflectorBench
    private static let page = "<!doctype html><html><body>Please sign in</body></html>\n"

    @Test(arguments: [true, false])
    func halfALineIsNoEventAndComesAgain(inOrder: Bool) async throws {
        let second = Bench.line("ADDED", Bench.item("b", 3))
        try await Bench.run({ number, _ in
            switch number {
            case 0: return Bench.list([], 1)
            case 1:
                let half = String(second.prefix(second.count / 2))
                return [.watchHead(), Bench.event("ADDED", Bench.item("a", 2)), .chunk(half), .pause(0.02)]
                    + [inOrder ? .endChunks : .close]
            default: return [.watchHead(), .chunk(second), .pause(20)]
            }
        }) { bench in
            #expect(await eventually { bench.changes.all == [key("a"), key("b")] })
            #expect(bench.requests.map { $0.query["resourceVersion"] } == [nil, "1", "2"])
        }
    }

    @Test(arguments: ["text/html", "application/json"])
    func aPageInsteadOfAListOrWatchIsNoAnswer(type: String) async throws {
        try await Bench.run({ number, _ in
            switch number {
            case 0, 1: return Step.answer(200, Self.page, type: type)
            case 2: return Bench.list([Bench.item("a", 1)], 1)
            case 3, 4: return [.watchHead(type: type), .chunk(Self.page), .endChunks]
            default: return [.watchHead(), Bench.event("ADDED", Bench.item("b", 2)), .pause(20)]
            }
        }) { bench in
            #expect(await eventually { bench.changes.all == [key("a"), key("b")] })
            // It was never taken for an empty list.
            #expect(bench.requests.map { $0.query["resourceVersion"] } == [nil, nil, nil, "1", "1", "1"])
            #expect(bench.waits.all.count == 4)
            let told = bench.log.lines.all.map { "\($0.metadata["error", default: ""])" }
            #expect(told.contains { $0.contains("<!doctype html>") || $0.contains("text/html") })
        }
    }

    @Test func aPageInsteadOfAStreamedListIsNoAnswer() async throws {
        try await Bench.run(
            version: "1.34",
            { number, request in
                if request.query["sendInitialEvents"] != nil {
                    return [.watchHead(type: "text/html"), .chunk(Self.page), .endChunks]
                }
                return request.query["watch"] == nil ? Bench.list([Bench.item("a", 1)], 1) : Bench.silence
            }
        ) { bench in
            #expect(await eventually { bench.changes.all == [key("a")] })
        }
    }

    @Test func aTokenThatEndsInTheMiddleIsReplacedWithoutANewList() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "bad-input-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "token")
        try Data("first".utf8).write(to: file)
        try await Bench.run(
            configure: { $0.credential = .tokenFile(file.path) },
            { number, request in
                let good = number < 2 ? "first" : "second"
                guard request.headers["authorization"] == "Bearer \(good)" else {
                    return Step.status(401, "Unauthorized")
                }
                switch number {
                case 0: return Bench.list([Bench.item("a", 1)], 1)
                case 1:
                    return [
                        .watchHead(), Bench.event("ADDED", Bench.item("b", 2)),
                        .reached { try? Data("second".utf8).write(to: file) }, .endChunks,
                    ]
                default: return [.watchHead(), Bench.event("ADDED", Bench.item("c", 3)), .pause(20)]
                }
            }
        ) { bench in
            #expect(await eventually { bench.changes.all == [key("a"), key("b"), key("c")] })
            #expect(bench.requests.map { $0.query["resourceVersion"] } == [nil, "1", "2", "2"])
            #expect(bench.requests.last?.headers["authorization"] == "Bearer second")
        }
    }

    @Test func anObjectNobodyCanReadIsToldOnceAndTheOthersGoOn() async throws {
        let broken = #"{"metadata":{"name":"x","namespace":"team-a","resourceVersion":"5"},"spec":{"podIpAddress":{}}}"#
        try await Bench.run({ number, _ in
            switch number {
            case 0: return Bench.list([Bench.item("a", 1), broken, Bench.item("b", 2)], 6)
            case 1:
                return [
                    .watchHead(), Bench.event("MODIFIED", broken), Bench.event("MODIFIED", Bench.item("a", 7)),
                    .pause(20),
                ]
            default: return Bench.silence
            }
        }) { bench in
            #expect(await eventually { bench.changes.all == [key("a"), key("b"), key("a")] })
            #expect(bench.store[key("x")] == nil && bench.store.count == 2)
            #expect(bench.requests.count == 2)
            let warnings = bench.log.lines.all.filter { $0.level == .warning }
            #expect(warnings.count == 2)
            #expect(warnings.first?.metadata["object"] == "team-a/x")
            #expect(warnings.first.map { "\($0.metadata["reason", default: ""])" }?.contains("podIpAddress") == true)
            #expect(bench.metrics.count("egress_undecodable_objects_total") == 2)
        }
    }

    /// A server behind the others of its cluster catches up; one that was restored from a backup never does.
    @Test(arguments: [true, false])
    func aVersionTheServerHasNotSeenIsTriedAgainThenListedAnew(catchesUp: Bool) async throws {
        let body =
            #"{"kind":"Status","status":"Failure","code":504,"reason":"Timeout","message":"Timeout: Too large resource "#
            + #"version: 900, current: 10","details":{"retryAfterSeconds":1,"causes":[{"reason":"#
            + #""ResourceVersionTooLarge","message":"Too large resource version"}]}}"#
        try await Bench.run({ number, request in
            switch number {
            case 0: return Bench.list([Bench.item("a", 1)], 900)
            case 1, 2: return Step.answer(504, body)
            case 3 where catchesUp: return [.watchHead(), Bench.event("ADDED", Bench.item("b", 901)), .pause(20)]
            case 3: return Step.answer(504, body)
            case 4: return Bench.list([Bench.item("b", 3)], 10)
            default: return Bench.silence
            }
        }) { bench in
            #expect(await eventually { bench.store[key("b")] != nil })
            #expect(await eventually { bench.requests.count == (catchesUp ? 4 : 6) })
            let versions = bench.requests.map { $0.query["resourceVersion"] }
            #expect(versions == [nil, "900", "900", "900"] + (catchesUp ? [] : [nil, "10"]))
            #expect(bench.store.count == (catchesUp ? 2 : 1))
            // The server's wish is the least wait.
            #expect(bench.waits.all.allSatisfy { $0 >= .seconds(1) })
        }
    }
}
