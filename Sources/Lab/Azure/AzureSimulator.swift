import Logging

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// An Azure Resource Manager on loopback for the lab and for tests: the operations that the Azure plugins use, with
/// ARM's refusals, etags and long-running operations.
///
/// One actor owns the state; HTTP requests, the end of operations and the lab's questions all pass through it.
public actor AzureSimulator {
    /// Calls of one operation since the start.
    public struct OperationCount: Sendable, Equatable, Codable {
        public var calls = 0
        public var requestBytes = 0
        public var responseBytes = 0
        /// Answers 409 and 412.
        public var conflicts = 0
        /// Answers 429.
        public var throttled = 0
        /// All answers of 400 and above, conflicts and throttling included.
        public var refusals = 0
    }

    nonisolated let configuration: Configuration
    nonisolated let logger: Logger
    nonisolated let recorder: ExchangeRecorder?
    nonisolated let clock: any Clock<Duration>
    /// Time since the simulator was made, leaps left out.
    private nonisolated let elapsed: @Sendable () -> Duration
    /// How far ``advanceTime(by:)`` has moved the clock.
    private var leapt = Duration.zero
    private var state: AzureState
    private var published: AzureTopology
    private var watchers: [Int: AsyncStream<AzureTopology>.Continuation] = [:]
    private var nextWatcher = 0
    private var counts: [String: OperationCount] = [:]
    private var listening: [Door: ListeningState] = [:]
    /// Moments at which an operation ends; ``run()`` wakes at each.
    private let ends: AsyncStream<Duration>
    private let endsContinuation: AsyncStream<Duration>.Continuation

    /// Which service a connection comes to.
    enum Door: Sendable, CaseIterable {
        case resourceManager
        case metadata
    }

    private enum ListeningState {
        case notYet([CheckedContinuation<Int, any Error>])
        case listening(Int)
        case ended
    }

    /// - Parameters:
    ///   - recorder: gets every exchange; nil: nothing is recorded.
    ///   - clock: for all latencies and the length of operations; benchmarks bring one that need not be waited for.
    /// - Throws: ``StartError`` that names the field and the value.
    public init(
        configuration: Configuration, logger: Logger, recorder: ExchangeRecorder? = nil,
        clock: some Clock<Duration> = ContinuousClock()
    ) throws {
        self.configuration = configuration
        self.logger = logger
        self.recorder = recorder
        self.clock = clock
        let begin = clock.now
        elapsed = { begin.duration(to: clock.now) }
        state = try AzureState(configuration, epoch: .now)
        published = state.topology
        (ends, endsContinuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(4096))
    }

    /// Serves until the task is cancelled.
    ///
    /// - Throws: what the server throws, for example if the port is taken.
    public func run() async throws {
        defer { stopListening() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.serve() }
            if configuration.metadata != nil { group.addTask { try await self.serveMetadata() } }
            group.addTask { await self.keepTime() }
            try await group.next()
            group.cancelAll()
        }
    }

    /// The port that ``run()`` listens on; waits until it does.
    ///
    /// - Throws: ``StartError`` if it ended first.
    public func boundPort() async throws -> Int { try await port(of: .resourceManager) }

    private func port(of door: Door) async throws -> Int {
        switch listening[door, default: .notYet([])] {
        case .listening(let port): return port
        case .ended: throw StartError(code: .notListening, message: "the Azure simulator has ended")
        case .notYet(var waiting):
            return try await withCheckedThrowingContinuation { continuation in
                waiting.append(continuation)
                listening[door] = .notYet(waiting)
            }
        }
    }

    /// `http://127.0.0.1:PORT`, or https with a certificate: the `resourceManagerEndpoint` of a cloud configuration.
    public func endpoint() async throws -> String {
        let scheme = configuration.certificate == nil ? "http" : "https"
        return "\(scheme)://\(Self.authority(configuration.host, try await boundPort()))"
    }

    /// `http://127.0.0.1:PORT` of the metadata service.
    ///
    /// - Throws: ``StartError`` if there is none or it ended.
    public func metadataEndpoint() async throws -> String {
        guard configuration.metadata != nil else {
            throw StartError(code: .configuration, message: "metadata: this simulator was made without it")
        }
        return "http://\(Self.authority(configuration.host, try await port(of: .metadata)))"
    }

    private static func authority(_ host: String, _ port: Int) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// What the fabric must realise now.
    public func snapshot() -> AzureTopology {
        advance()
        return state.topology
    }

    /// The topology now and after every change; a slow reader sees the latest only.
    public func changes() -> AsyncStream<AzureTopology> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: AzureTopology.self, bufferingPolicy: .bufferingNewest(1))
        let number = nextWatcher
        nextWatcher += 1
        published = state.topology
        watchers[number] = continuation
        continuation.onTermination = { _ in Task { await self.removeWatcher(number) } }
        continuation.yield(published)
        return stream
    }

    /// Everything that an egress gateway made: load balancers, their children, prefixes, and ipConfigurations named
    /// `egressgateway-...`. Empty in a subscription that was cleaned up.
    public func managedResources() -> [String] {
        advance()
        return state.managedResources
    }

    /// Calls by operation name, as in the public operation list; `Token`, `Metadata_Endpoints` and `Operations_Get`
    /// beside them, and `Unknown` for addresses that are not served.
    public func audit() -> [String: OperationCount] { counts }

    // MARK: - For the edge

    /// Answers one request and wakes the fabric if the topology changed.
    func respond(to request: ARMRequest) -> ARMResponse {
        advance()
        let response = state.respond(to: request, now: now)
        if request.method != "GET" {
            if let end = state.nextEnd { endsContinuation.yield(end) }
            publish()
        }
        return response
    }

    func respondMetadata(to request: ARMRequest) -> ARMResponse {
        advance()
        return state.respondMetadata(to: request, now: now)
    }

    /// How long the next answer takes.
    func answerDelay() -> Duration { state.answerDelay() }

    /// Changes the state from outside of ARM, and tells the fabric.
    func change<Value>(_ body: (inout AzureState) throws -> Value) rethrows -> Value {
        advance()
        defer { publish() }
        return try body(&state)
    }

    func leap(by duration: Duration) {
        leapt += duration
        advance()
    }

    /// Counts an answered request.
    func record(_ response: ARMResponse, requestBytes: Int, responseBytes: Int) {
        var count = counts[response.operation ?? "Unknown"] ?? OperationCount()
        count.calls += 1
        count.requestBytes += requestBytes
        count.responseBytes += responseBytes
        if response.status == 409 || response.status == 412 { count.conflicts += 1 }
        if response.status == 429 { count.throttled += 1 }
        if response.status >= 400 { count.refusals += 1 }
        counts[response.operation ?? "Unknown"] = count
    }

    func started(_ door: Door, on port: Int) {
        if case .notYet(let waiting) = listening[door] { waiting.forEach { $0.resume(returning: port) } }
        listening[door] = .listening(port)
    }

    // MARK: - Time

    private var now: Duration { elapsed() + leapt }

    private func advance() {
        if state.advance(to: now) { publish() }
    }

    /// Sleeps until each operation's end, so that the fabric hears of it at once and not at the next request.
    private func keepTime() async {
        var wanted = Set<Duration>()
        await withDiscardingTaskGroup { group in
            for await end in ends where wanted.insert(end).inserted {
                wanted = wanted.filter { $0 >= now }
                group.addTask {
                    let rest = await end - self.now
                    try? await self.clock.sleep(for: max(rest, .zero))
                    await self.advanceAndWakeNext()
                }
            }
            group.cancelAll()
        }
    }

    private func advanceAndWakeNext() {
        advance()
        if let end = state.nextEnd { endsContinuation.yield(end) }
    }

    /// Without watchers nobody is told, and the topology of a large cloud takes longer than most requests.
    private func publish() {
        guard !watchers.isEmpty else { return }
        let topology = state.topology
        guard topology != published else { return }
        published = topology
        for watcher in watchers.values { watcher.yield(topology) }
    }

    private func removeWatcher(_ number: Int) {
        watchers[number] = nil
    }

    private func stopListening() {
        let error = StartError(code: .notListening, message: "the Azure simulator ended before it listened")
        for door in Door.allCases {
            if case .notYet(let waiting) = listening[door] { waiting.forEach { $0.resume(throwing: error) } }
            listening[door] = .ended
        }
        endsContinuation.finish()
        watchers.values.forEach { $0.finish() }
    }
}
