import CoreMetrics
import Foundation
import Kubernetes
import Logging
import Reconcile
import ScriptedServer
import Synchronization
import Testing

/// A reflector of PodEndpoints against a scripted server, with everything that may be observed of it.
struct ReflectorBench: Sendable {
    let store: ObjectStore<PodEndpoint>
    let server: ScriptedServer
    /// Keys of all changes, in order.
    let changes: Collector<ObjectKey>
    /// How long each wait between failures was to be; no time passes.
    let waits: Collector<Swift.Duration>
    let log: CollectedLog
    let metrics: CountedMetrics

    /// The n-th request of the reflector, the one for the server's version left out.
    var requests: [SeenRequest] { Array(server.requests.dropFirst()) }

    /// - Parameters:
    ///   - version: of the server; since 1.32 lists are streamed.
    ///   - script: for the requests after the one for the version, counted from 0.
    static func run(
        version: String = "1.30", configure: (inout ClientConfiguration) -> Void = { _ in },
        _ script: @escaping ScriptedServer.Script, _ body: (ReflectorBench) async throws -> Void
    ) async throws {
        let parts = version.split(separator: ".")
        let server = try ScriptedServer { number, request in
            guard number > 0 else {
                return Step.answer(200, #"{"major":"\#(parts[0])","minor":"\#(parts[1])"}"#)
            }
            return script(number - 1, request)
        }
        let log = CollectedLog()
        let logger = Logger(label: "test") { _ in log }
        var configuration = ClientConfiguration(server: server.address)
        configure(&configuration)
        let client = try KubernetesClient(configuration: configuration, logger: logger)
        let (changes, waits, metrics) = (Collector<ObjectKey>(), Collector<Swift.Duration>(), CountedMetrics())
        let reflector = Reflector(
            PodEndpoint.self, client: client, logger: logger,
            environment: ReconcileEnvironment(
                clock: ImpatientClock(waits: waits), random: .seeded(1), metrics: metrics)
        ) { changes.add($0.key) }
        let task = Task { try await reflector.run() }
        let bench = ReflectorBench(
            store: reflector.store, server: server, changes: changes, waits: waits, log: log, metrics: metrics)
        let result: Result<Void, any Error>
        do { result = .success(try await body(bench)) } catch { result = .failure(error) }
        task.cancel()
        server.stop()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await client.shutdown()
        try result.get()
    }

    static func item(_ name: String, _ version: Int) -> String {
        #"{"metadata":{"name":"\#(name)","namespace":"team-a","resourceVersion":"\#(version)"},"spec":{}}"#
    }

    static func list(_ items: [String], _ version: Int, continueToken: String = "") -> [Step] {
        let metadata = #"{"resourceVersion":"\#(version)","continue":"\#(continueToken)"}"#
        return Step.answer(200, #"{"metadata":\#(metadata),"items":[\#(items.joined(separator: ","))]}"#)
    }

    static func line(_ type: String, _ object: String) -> String { #"{"type":"\#(type)","object":\#(object)}"# + "\n" }

    static func event(_ type: String, _ object: String) -> Step { .chunk(line(type, object)) }

    /// A watch that says nothing more.
    static let silence: [Step] = [.watchHead(), .pause(20)]
}

/// A clock on which every wait is over at once.
struct ImpatientClock: Clock {
    struct Instant: InstantProtocol {
        var offset: Swift.Duration
        func advanced(by duration: Swift.Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Swift.Duration { other.offset - offset }
        static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
    }

    let waits: Collector<Swift.Duration>

    var now: Instant { Instant(offset: .zero) }
    var minimumResolution: Swift.Duration { .nanoseconds(1) }

    func sleep(until deadline: Instant, tolerance: Swift.Duration?) async throws {
        waits.add(deadline.offset)
        // A script that only fails must not spin.
        try await Task.sleep(for: .milliseconds(1))
    }
}

/// Keeps what is logged.
struct CollectedLog: LogHandler {
    let lines = Collector<(level: Logger.Level, message: String, metadata: Logger.Metadata)>()
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        lines.add((event.level, event.message.description, metadata.merging(event.metadata ?? [:]) { $1 }))
    }
}

/// Counts counters.
final class CountedMetrics: MetricsFactory {
    private final class Entry: CounterHandler, RecorderHandler, TimerHandler {
        let total = Atomic<Int64>(0)
        func increment(by amount: Int64) { total.add(amount, ordering: .relaxed) }
        func reset() { total.store(0, ordering: .relaxed) }
        func record(_ value: Int64) {}
        func record(_ value: Double) {}
        func recordNanoseconds(_ duration: Int64) {}
    }

    private let entries = Mutex<[String: Entry]>([:])

    func count(_ label: String) -> Int64 { entries.withLock { $0[label]?.total.load(ordering: .relaxed) ?? 0 } }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        entries.withLock { entries in
            let entry = entries[label] ?? Entry()
            entries[label] = entry
            return entry
        }
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler { Entry() }
    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { Entry() }
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
}
