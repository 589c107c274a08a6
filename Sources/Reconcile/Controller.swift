import Kubernetes
import Logging
import Synchronization

/// Runs reconcile functions over a ``WorkQueue``: each key one run at a time, all keys at most `concurrency` at a time.
public final class Controller: Sendable {
    /// Runs by how they ended.
    public struct Counts: Sendable, Equatable {
        /// Ended with ``Outcome/done``.
        public var done = 0
        /// Ended with ``Outcome/requeue(after:)``.
        public var requeued = 0
        /// Ended with ``Outcome/retry(_:)``.
        public var retried = 0
        /// Ended with ``Outcome/terminal(_:)``.
        public var terminal = 0
        /// Ended with ``Outcome/conflict``.
        public var conflicts = 0
        /// Runs that had to be cancelled at their deadline; they are counted by their outcome, too.
        public var timeouts = 0
    }

    /// The queue, and the workers' one way to wait: the sleeping dispatcher is resumed by every change.
    private struct State {
        var queue: WorkQueue<ObjectKey>
        var counts = Counts()
        var free: Int
        var sleeper: CheckedContinuation<Void, Never>?
        var wasNudged = false
    }

    /// Name in logs and metrics.
    public let name: String
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let elapsed: @Sendable () -> Duration
    private let reconcile: @Sendable (ObjectKey) async -> Outcome
    private let runDeadline: Duration?
    private let state: Mutex<State>

    /// - Parameters:
    ///   - concurrency: runs at a time, 1 or more.
    ///   - runDeadline: a run is cancelled after this time and tried again with backoff; nil: never.
    ///   - clock: for delays; tests bring one that they move.
    ///   - reconcile: reads everything it needs by the key, acts, and says when to be called again. It must end when
    ///     its task is cancelled.
    public init(
        name: String, concurrency: Int, backoff: BackoffPolicy = WorkQueue<ObjectKey>.defaultBackoff, logger: Logger,
        runDeadline: Duration? = nil, clock: some Clock<Duration> = ContinuousClock(),
        reconcile: @escaping @Sendable (ObjectKey) async -> Outcome
    ) {
        self.name = name
        self.logger = logger
        self.clock = clock
        let begin = clock.now
        elapsed = { begin.duration(to: clock.now) }
        self.reconcile = reconcile
        self.runDeadline = runDeadline
        state = Mutex(State(queue: WorkQueue(backoff: backoff), free: max(concurrency, 1)))
    }

    /// Adds a key; from any task or thread.
    public func enqueue(_ key: ObjectKey) {
        change { $0.queue.add(key) }
    }

    /// Adds a key for later.
    public func enqueue(_ key: ObjectKey, after delay: Duration) {
        let due = elapsed() + delay
        change { $0.queue.add(key, at: due) }
    }

    /// How runs ended so far.
    public var counts: Counts { state.withLock { $0.counts } }

    /// Works until its task is cancelled; then waits for the runs under way.
    public func run() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                while let key = take() {
                    group.addTask { await self.work(key) }
                }
                await sleep()
            }
            group.cancelAll()
        }
    }

    private func take() -> ObjectKey? {
        let now = elapsed()
        return state.withLock { state in
            guard state.free > 0, let key = state.queue.next(now: now) else { return nil }
            state.free -= 1
            return key
        }
    }

    private func work(_ key: ObjectKey) async {
        let outcome = await runInTime(key)
        log(key, outcome)
        let now = elapsed()
        change { state in
            var random = SystemRandomNumberGenerator()
            state.queue.finish(key, outcome: outcome, now: now, using: &random)
            state.counts.count(outcome)
            state.free += 1
        }
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
            state.wasNudged = true
            defer { state.sleeper = nil }
            return state.sleeper
        }
        sleeper?.resume()
    }

    /// Sleeps until a change, the next due time, or cancellation.
    private func sleep() async {
        let due = state.withLock { $0.queue.nextDue }
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
    private func log(_ key: ObjectKey, _ outcome: Outcome) {
        let metadata: Logger.Metadata = ["controller": .string(name), "object": .string(key.description)]
        switch outcome {
        case .done, .requeue: logger.debug("reconciled", metadata: metadata)
        case .conflict: logger.debug("object changed meanwhile", metadata: metadata)
        case .retry(let error):
            logger.warning(
                "reconcile failed; it will be tried again",
                metadata: metadata.merging(["error": .string(String(describing: error))]) { $1 })
        case .terminal(let error):
            logger.warning(
                "reconcile failed; it waits for a change of the object",
                metadata: metadata.merging(["error": .string(String(describing: error))]) { $1 })
        }
    }
}

extension Controller.Counts {
    mutating func count(_ outcome: Outcome) {
        switch outcome {
        case .done: done += 1
        case .requeue: requeued += 1
        case .retry: retried += 1
        case .terminal: terminal += 1
        case .conflict: conflicts += 1
        }
    }
}
