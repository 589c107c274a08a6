import CoreMetrics
import FoundationEssentials
import Logging
import ProviderAPI
import ProviderKit
import Synchronization

/// Bounds of one instance; those of the border (`egress_types.h`) unless a test says otherwise.
struct InstanceLimits: Sendable {
    var timers = Int(EGP_MAXIMUM_TIMERS)
    var exchanges = Int(EGP_MAXIMUM_HTTP_EXCHANGES)
    var metricSeries = Int(EGP_MAXIMUM_METRIC_SERIES)
    var secretBytes = Int(EGP_MAXIMUM_SECRET)
    /// How long a function of the plugin may be inside before its thread counts as stuck, and how long each step of
    /// the end of an instance waits.
    var inside = Duration.seconds(Int(EGP_MAXIMUM_HOST_THREAD_SECONDS))
    /// Threads on which verbs are called, and those for callbacks of timers and exchanges.
    var verbThreads = 4
    var callbackThreads = 2
    /// Calls that wait for one of these threads.
    var waitingCalls = 1024
}

/// Gets what plugins tell about items, on any thread; must not block.
///
/// - Parameters:
///   - plugin: the instance's name.
///   - count: how often the event happened since it was told last, with this time.
public typealias PluginEventHandler = @Sendable (_ plugin: String, _ event: PluginEvent, _ count: Int) -> Void

/// What the host gives one plugin instance, however the instance is reached.
final class InstanceServices: InstanceHost {
    let name: String
    let logger: Logger
    let limits: InstanceLimits
    let timers: TimerQueue
    let calls = CallTable()
    let health: HealthMonitor
    /// Decides by the faults whether the plugin gets calls.
    let books: InstanceGuard
    private let http: HTTPService
    private let callbacks: CallbackTable
    private let callbackThreads: PluginThreads
    private let secrets: SecretStore
    private let metrics: MetricSeries
    private let forwardMetric: (@Sendable (PluginMetric) -> ResultCode)?
    private let events = Mutex(Events())
    /// Says why requests that change something are not sent; nil where nobody fences them.
    private let fence = Mutex(Fence())

    /// A Mutex of the function itself would wrap it once more each time that it is read.
    private struct Fence {
        var refusal: (@Sendable () -> ProviderError?)?
    }

    private struct Events {
        var items = RequestedItems()
        var gate = EventGate()
        var handler: PluginEventHandler?
    }

    /// - Parameters:
    ///   - books: nil: the instance's own.
    ///   - forwardMetric: takes observations away to where they are kept: in a plugin's process, to the host.
    init(
        entry: PluginEntry, logger: Logger, books: InstanceGuard? = nil, limits: InstanceLimits = InstanceLimits(),
        http: HTTPService = HTTPService(),
        timers: TimerQueue = .shared, metrics: any MetricsFactory = MetricsSystem.factory,
        forwardMetric: (@Sendable (PluginMetric) -> ResultCode)? = nil
    ) {
        name = entry.name
        var logger = logger
        logger[metadataKey: "plugin"] = .string(entry.name)
        self.logger = logger
        self.limits = limits
        self.http = http
        self.timers = timers
        let books = books ?? InstanceGuard(name: entry.name, logger: logger)
        self.books = books
        let health = HealthMonitor(logger: logger) { books.report($0, $1) }
        self.health = health
        self.forwardMetric = forwardMetric
        let bounds = CallbackTable.Bounds(timers: limits.timers, exchanges: limits.exchanges)
        callbackThreads = PluginThreads(
            maximumThreads: limits.callbackThreads, maximumWaiting: limits.timers + limits.exchanges,
            limit: limits.inside, timers: timers,
            stuckChanged: { health.stuck($0) })
        callbacks = CallbackTable(bounds: bounds, threads: callbackThreads, timers: timers)
        secrets = SecretStore(files: entry.secrets, maximumBytes: limits.secretBytes, logger: logger)
        self.metrics = MetricSeries(plugin: entry.name, maximum: limits.metricSeries, factory: metrics)
    }

    // MARK: - What the host does with them

    /// Tells which items the plugin may speak of from now on.
    func expectItems(_ ids: some Sequence<String>) { events.withLock { $0.items.insert(ids) } }

    /// Registers the one receiver of events; before, they are logged.
    func handleEvents(_ handler: @escaping PluginEventHandler) { events.withLock { $0.handler = handler } }

    /// Asks before each request of the plugin that changes something; the request fails with the answer.
    ///
    /// - Parameter refusal: nil lets the request pass. Called on any thread; must not block.
    func fenceWrites(_ refusal: @escaping @Sendable () -> ProviderError?) { fence.withLock { $0.refusal = refusal } }

    /// The instance has ended: nothing of it is needed any more.
    func forget() { secrets.forget() }

    // MARK: - InstanceHost

    func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {
        guard isLogEnabled(level) else { return }
        logger.log(
            level: level.loggerLevel, "\(secrets.blotted(message))",
            metadata: metadata.mapValues { .string(secrets.blotted($0)) })
    }

    func isLogEnabled(_ level: LogLevel) -> Bool { logger.logLevel <= level.loggerLevel }

    func complete(_ ticket: UInt64, _ completion: PluginCompletion) {
        switch calls.complete(ticket, with: outcome(of: completion)) {
        case .waiting: break
        case .late: health.count(\.lateCompletions)
        case .repeated: report(.repeatedCompletion(ticket: ticket))
        case .unknown: report(.unknownCompletion(ticket: ticket))
        }
    }

    private func outcome(of completion: PluginCompletion) -> Result<Data, any Error> {
        guard completion.code == .ok else {
            var error = ProviderError(
                completion.code, secrets.blotted(completion.message),
                retryAfterMilliseconds: completion.retryAfterMilliseconds)
            error.reason = completion.reason.flatMap { ProviderError.isReason($0) ? $0 : nil }
            return .failure(error)
        }
        guard completion.result.count <= BatchLimits.maximumBytes else {
            return .failure(
                ProviderError(.terminal, "plugin \(name): result exceeds \(BatchLimits.maximumBytes) bytes"))
        }
        return .success(completion.result)
    }

    func refuse(_ ticket: UInt64, _ code: ResultCode, _ message: String?) {
        let error = ProviderError(code, "plugin \(name): \(message ?? "refused the call with code \(code.rawValue)")")
        // Who could not take the call has not shown how it works.
        let isAnswer = code != .retry && code != .cancelled
        if !calls.refuse(ticket, with: isAnswer ? error : UnansweredCall(end: .abandoned, error: error)) {
            report(.repeatedCompletion(ticket: ticket))
        }
    }

    func isCancelled(_ ticket: UInt64) -> Bool { !calls.isWaiting(ticket) }

    func send(
        _ request: HTTPRequest, _ done: @escaping @Sendable (Result<HTTPResponse, ProviderError>) -> Void
    ) -> ResultCode {
        callbacks.startExchange { [self, http] in
            do {
                if let refusal = refusal(of: request) { throw refusal }
                let timeout = HostClock.now().duration(to: request.deadline)
                let response = try await http.send(request, timeout: timeout)
                return { done(.success(response)) }
            } catch {
                let error = ProviderError(error)
                return { done(.failure(error)) }
            }
        }
    }

    private func refusal(of request: HTTPRequest) -> ProviderError? {
        // Safe methods (RFC 9110 section 9.2.1) change nothing.
        guard !["GET", "HEAD", "OPTIONS"].contains(request.method.uppercased()) else { return nil }
        return fence.withLock { $0.refusal }?()
    }

    func startTimer(
        after delay: Duration, _ done: @escaping @Sendable (_ fired: Bool) -> Void
    ) -> (ResultCode, UInt64) {
        callbacks.startTimer(after: delay, done)
    }

    func cancelTimer(_ number: UInt64) -> ResultCode { callbacks.cancelTimer(number) ? .ok : .invalid }

    func readSecret(_ name: String) -> (ResultCode, Data) { secrets.read(name) }

    func record(_ metric: PluginMetric) -> ResultCode {
        var metric = metric
        metric.labels = metric.labels.mapValues { secrets.blotted($0) }
        let code = forwardMetric.map { metric.isValid ? $0(metric) : .invalid } ?? metrics.record(metric)
        if code == .throttled { health.count(\.droppedMetrics) }
        return code
    }

    func post(_ event: PluginEvent) -> ResultCode {
        guard event.hasGoodReason else { return .invalid }
        var event = event
        event.message = secrets.blotted(event.message).cut(toBytes: PluginEvent.maximumMessageBytes)
        let now = HostClock.now()
        let (code, count, handler): (ResultCode, Int, PluginEventHandler?) = events.withLock { [event] events in
            guard events.items.contains(event.item) else { return (.invalid, 0, nil) }
            switch events.gate.decide(event, now: now) {
            case .tell(let count): return (.ok, count, events.handler)
            case .counted: return (.ok, 0, nil)
            case .dropped: return (.throttled, 0, nil)
            }
        }
        if code == .throttled { health.count(\.droppedEvents) }
        guard count > 0 else { return code }
        if let handler { handler(name, event, count) } else { log(event, count) }
        return code
    }

    private func log(_ event: PluginEvent, _ count: Int) {
        logger.log(
            level: event.severity == .warning ? .warning : .info, "event",
            metadata: [
                "item": .string(event.item), "reason": .string(event.reason), "detail": .string(event.message),
                "count": .stringConvertible(count),
            ])
    }

    func report(_ violation: ContractViolation) { health.violation(violation) }

    /// A fault that was seen elsewhere: at the plugin's own process.
    func report(_ fault: PluginFault, _ detail: String) { health.report(fault, detail) }

    func reportStuck(_ change: Int) { health.stuck(change) }

    func endCallbacks(within time: Duration) async -> Bool {
        let ended = await callbacks.end(within: time)
        // What hangs keeps its thread; the others go.
        _ = await callbackThreads.end(within: .zero)
        return ended
    }
}

extension String {
    /// The longest beginning of at most that many bytes that ends with a whole character.
    func cut(toBytes maximum: Int) -> String {
        guard utf8.count > maximum else { return self }
        var length = 0
        for character in self {
            let next = length + character.utf8.count
            guard next <= maximum else { break }
            length = next
        }
        return String(decoding: utf8.prefix(length), as: UTF8.self)
    }
}

/// How a call ended without an answer of the plugin's.
struct UnansweredCall: Error {
    var end: InstanceGuard.End
    var error: ProviderError
}

extension LogLevel {
    var loggerLevel: Logger.Level {
        switch self {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}
