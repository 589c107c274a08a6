import Kubernetes
import Logging
import Synchronization

/// Runs reconcile functions over a ``WorkQueue``: each key one run at a time, all keys at most `concurrency` at a time.
///
/// The queue decides; this class holds it behind a lock, starts what it hands out, and sleeps until something is added
/// or due. A run that traps ends the process: in Swift a trap cannot be caught, so a key that makes its run trap is
/// found by the restarts of the process, not by this class.
public final class Controller: Sendable {
    /// Runs by how they ended.
    public struct Counts: Sendable, Equatable {
        /// Ended with ``Outcome/done``.
        public var done = 0
        /// Ended with ``Outcome/requeue(after:)``.
        public var requeued = 0
        /// Ended with ``Outcome/throttled(after:)``.
        public var throttled = 0
        /// Ended with ``Outcome/retry(_:)``.
        public var retried = 0
        /// Ended with ``Outcome/terminal(_:)``.
        public var terminal = 0
        /// Ended with ``Outcome/conflict``.
        public var conflicts = 0
        /// Runs that had to be cancelled at their deadline; they are counted by their outcome, too.
        public var timeouts = 0
    }

    /// The queue, and the dispatcher's one way to wait: it is resumed by every change.
    private struct State {
        var queue: WorkQueue<ObjectKey>
        var counts = Counts()
        var free: Int
        var runs: UInt64 = 0
        /// When the runs under way began, by their number.
        var running: [UInt64: Duration] = [:]
        var sleeper: CheckedContinuation<Void, Never>?
        var wasNudged = false
    }

    /// One run that was handed out.
    private struct Run {
        var key: ObjectKey
        /// Numbers the runs of this controller in logs.
        var number: UInt64
        var startedAt: Duration
    }

    /// Name in logs and metrics.
    public let name: String
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let random: RandomSource
    private let elapsed: @Sendable () -> Duration
    private let reconcile: @Sendable (ObjectKey) async -> Outcome
    private let runDeadline: Duration?
    private let concurrency: Int
    private let metrics: ControllerMetrics
    private let state: Mutex<State>

    /// - Parameters:
    ///   - concurrency: runs at a time, 1 or more; quarantined keys get a quarter of them.
    ///   - backoff: waits of a key after failures.
    ///   - runDeadline: a run is cancelled after this time and tried again with backoff; nil: never.
    ///   - environment: clock and randomness; tests bring their own.
    ///   - reconcile: reads everything it needs by the key, acts, and says when to be called again. It must end when
    ///     its task is cancelled.
    public init(
        name: String, concurrency: Int, backoff: BackoffPolicy = WorkQueuePolicy.defaultBackoff, logger: Logger,
        runDeadline: Duration? = nil, environment: ReconcileEnvironment = ReconcileEnvironment(),
        reconcile: @escaping @Sendable (ObjectKey) async -> Outcome
    ) {
        self.name = name
        self.logger = logger
        clock = environment.clock
        random = environment.random
        elapsed = environment.stopwatch()
        self.reconcile = reconcile
        self.runDeadline = runDeadline
        self.concurrency = max(concurrency, 1)
        metrics = ControllerMetrics(
            controller: name, concurrency: self.concurrency, factory: environment.metrics)
        var policy = WorkQueuePolicy(backoff: backoff)
        policy.quarantineRuns = max(self.concurrency / 4, 1)
        state = Mutex(State(queue: WorkQueue(policy: policy), free: self.concurrency))
    }

    /// Adds a key; from any task or thread.
    ///
    /// - Parameter priority: `background` for what is no news: a first list, a resync.
    public func enqueue(_ key: ObjectKey, priority: WorkPriority = .live) {
        let now = elapsed()
        var depth = 0
        change {
            $0.queue.add(key, priority: priority, now: now)
            depth = $0.queue.readyCount
        }
        metrics.added(ready: depth)
    }

    /// Adds the key of a change.
    public func enqueue(_ change: StoreChange) {
        enqueue(change.key, priority: change.priority)
    }

    /// Adds a key for later.
    public func enqueue(_ key: ObjectKey, after delay: Duration) {
        let due = elapsed() + delay
        var depth = 0
        change {
            $0.queue.add(key, at: due)
            depth = $0.queue.readyCount
        }
        metrics.added(ready: depth)
    }

    /// Records how long the runs under way have taken so far; a run that hangs is seen by nothing else. Somebody has to
    /// call it every few seconds.
    public func measureRuns() {
        let now = elapsed()
        let times = state.withLock { state in state.running.values.map { max(now - $0, .zero) } }
        metrics.unfinished(total: times.reduce(.zero, +), longest: times.max() ?? .zero)
    }

    /// How runs ended so far.
    public var counts: Counts { state.withLock { $0.counts } }

    /// Works until its task is cancelled; then cancels the runs under way and waits for them.
    public func run() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                while let run = take() {
                    group.addTask { await self.work(from: run) }
                }
                await sleep()
            }
            group.cancelAll()
        }
    }

    /// One run that begins, with what the metrics want to know of it.
    private struct Start {
        var run: Run
        var waited: Duration
        var active: Int
        var ready: Int
    }

    private func take() -> Run? {
        let now = elapsed()
        guard let start = state.withLock({ start(&$0, now) }) else { return nil }
        return tell(start)
    }

    private func start(_ state: inout State, _ now: Duration) -> Start? {
        guard state.free > 0, let next = state.queue.next(now: now) else { return nil }
        state.free -= 1
        state.runs += 1
        state.running[state.runs] = now
        return Start(
            run: Run(key: next.key, number: state.runs, startedAt: now), waited: next.waited,
            active: concurrency - state.free, ready: state.queue.readyCount)
    }

    private func tell(_ start: Start) -> Run {
        metrics.started(waited: start.waited, active: start.active, ready: start.ready)
        return start.run
    }

    /// Runs after which a worker lets other tasks run: runs that find all well may never suspend.
    private static let runsWithoutYield = 32

    /// A worker: one run, and others for as long as keys are ready. A task for each run would cost more than most runs.
    private func work(from first: Run) async {
        var run = first
        for count in 1... {
            guard let next = await work(run) else { return }
            run = next
            if count.isMultiple(of: Self.runsWithoutYield) { await Task.yield() }
        }
    }

    /// - Returns: the run that takes the place of this one; nil if none is ready, or the controller ends.
    private func work(_ run: Run) async -> Run? {
        let outcome = await runInTime(run.key)
        let goesOn = !Task.isCancelled
        let now = elapsed()
        log(run, outcome, took: now - run.startedAt)
        var figures = (active: 0, ready: 0, quarantined: 0)
        var next: Start?
        let sleeper = state.withLock { state in
            var random = random
            state.queue.finish(run.key, outcome: outcome, now: now, using: &random)
            state.counts.count(outcome)
            state.free += 1
            state.running[run.number] = nil
            figures = (concurrency - state.free, state.queue.readyCount, state.queue.quarantinedCount)
            if goesOn { next = start(&state, now) }
            // The dispatcher sleeps on if there is nothing for it: no time to wait for, no run to hand out.
            let isNothingLeft = state.free == 0 || state.queue.readyCount == 0
            return next != nil && isNothingLeft && !outcome.isDelayed ? nil : wake(&state)
        }
        sleeper?.resume()
        metrics.ended(
            outcome, after: now - run.startedAt, active: figures.active, ready: figures.ready,
            quarantined: figures.quarantined)
        return next.map(tell)
    }

    /// One run, cancelled at the deadline. It is waited for even then: a key never has two runs.
    private func runInTime(_ key: ObjectKey) async -> Outcome {
        guard let runDeadline else { return await reconcile(key) }
        return await withTaskGroup(of: Outcome?.self) { group in
            group.addTask { await self.reconcile(key) }
            group.addTask { [clock] in
                try? await clock.sleep(for: runDeadline)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            if let first { return first }
            let late = await group.next() ?? nil
            guard !Task.isCancelled else { return late ?? .done }
            metrics.timedOut()
            change { $0.counts.timeouts += 1 }
            // What ended well after all stands; a run cut short is tried again, whatever it says about being cancelled.
            if case .done? = late { return .done }
            return .retry(ReconcileError(.runDeadlineExceeded, "a run took longer than \(runDeadline)"))
        }
    }

    /// Applies a change and wakes the dispatcher.
    private func change(_ body: (inout State) -> Void) {
        let sleeper = state.withLock { state in
            body(&state)
            return wake(&state)
        }
        sleeper?.resume()
    }

    /// Makes the dispatcher look again; the caller resumes what is returned, without the lock.
    private func wake(_ state: inout State) -> CheckedContinuation<Void, Never>? {
        state.wasNudged = true
        defer { state.sleeper = nil }
        return state.sleeper
    }

    /// Sleeps until a change, the next due time, or cancellation.
    private func sleep() async {
        let due = state.withLock { $0.queue.nextDue() }
        let now = elapsed()
        let alarm = due.map { due in
            Task { [clock] in
                try? await clock.sleep(for: max(due - now, .zero))
                if !Task.isCancelled { self.change { _ in } }
            }
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goesOn = state.withLock { state in
                    if state.wasNudged || Task.isCancelled {
                        state.wasNudged = false
                        return true
                    }
                    state.sleeper = continuation
                    return false
                }
                if goesOn { continuation.resume() }
            }
        } onCancel: {
            change { _ in }
        }
        state.withLock { $0.wasNudged = false }
        alarm?.cancel()
    }

    /// One line per run that a person may have to know of; nothing about a run that found all well.
    private func log(_ run: Run, _ outcome: Outcome, took: Duration) {
        var level = Logger.Level.debug
        let text: Logger.Message
        var failure: (any Error)?
        switch outcome {
        case .done, .requeue: text = "reconciled"
        case .conflict: text = "object changed meanwhile"
        case .throttled: text = "asked to wait"
        case .retry(let error):
            (level, text, failure) = (.warning, "reconcile failed; it will be tried again", error)
        case .terminal(let error):
            (level, text, failure) = (.warning, "reconcile failed; it waits for a change of the object", error)
        }
        guard logger.logLevel <= level else { return }
        var metadata: Logger.Metadata = [
            "controller": .string(name), "object": .string(run.key.description),
            "reconcileID": .string("\(name)-\(run.number)"), "took": .stringConvertible(took),
        ]
        if let failure { metadata["error"] = .string(String(describing: failure)) }
        logger.log(level: level, text, metadata: metadata)
    }
}

extension Outcome {
    /// Whether the key waits for a time after this run.
    fileprivate var isDelayed: Bool {
        switch self {
        case .done, .terminal: false
        case .requeue, .throttled, .retry, .conflict: true
        }
    }
}

extension Controller.Counts {
    mutating func count(_ outcome: Outcome) {
        switch outcome {
        case .done: done += 1
        case .requeue: requeued += 1
        case .throttled: throttled += 1
        case .retry: retried += 1
        case .terminal: terminal += 1
        case .conflict: conflicts += 1
        }
    }
}
