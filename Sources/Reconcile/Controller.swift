import Kubernetes
import Logging
import Synchronization

/// Runs reconcile functions over a ``WorkQueue``: each key one run at a time, all keys at most `concurrency` at a time.
///
/// The queue decides; this class holds it behind a lock. A dispatcher starts workers and sleeps until something is added
/// for which there is no worker, or due, or late; a worker goes on with the next key for as long as one is ready. A run that traps ends the process: in Swift a trap cannot be caught, so a key that makes its run trap is
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

    private struct State {
        var queue: WorkQueue<ObjectKey>
        var workers: [Worker]
        /// Workers that are not free.
        var busy = 0
        var counts = Counts()
        var runs: UInt64 = 0
        /// The dispatcher while it sleeps.
        var sleeper: CheckedContinuation<Void, Never>?
        /// When the dispatcher wakes by itself; nil: never.
        var alarm: Duration?
        /// Something changed while the dispatcher was awake, so it looks once more before it sleeps.
        var wasNudged = false
    }

    /// One of `concurrency` places for runs.
    private struct Worker {
        /// When its run began; nil: it is free.
        var runningSince: Duration?
        /// What to cancel when its run is late.
        var task: Task<Void, Never>?
        /// Whether its run was cancelled at the deadline; the worker's task ends with that run.
        var isLate = false
    }

    /// One run that was handed out.
    private struct Run {
        var work: WorkQueue<ObjectKey>.Run
        /// Numbers the runs of this controller in logs.
        var number: UInt64
        var startedAt: Duration
        var worker: Int
    }

    /// What is under way and what waits, for the metrics.
    private struct Figures {
        var active, ready, quarantined: Int

        init(_ state: borrowing State) {
            (active, ready) = (state.busy, state.queue.readyCount)
            quarantined = state.queue.quarantinedCount
        }
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
        state = Mutex(
            State(
                queue: WorkQueue(policy: policy),
                workers: Array(repeating: Worker(), count: self.concurrency)))
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
        metrics.added(1, ready: depth)
    }

    /// Adds many keys, such as those of a resync; work that is handed out meanwhile waits for some of them at most.
    public func enqueue(_ keys: [ObjectKey], priority: WorkPriority) {
        var rest = keys[...]
        while !rest.isEmpty {
            let some = rest.prefix(Self.keysAtOnce)
            rest = rest.dropFirst(some.count)
            let now = elapsed()
            var depth = 0
            change {
                for key in some { $0.queue.add(key, priority: priority, now: now) }
                depth = $0.queue.readyCount
            }
            metrics.added(some.count, ready: depth)
        }
    }

    /// Keys that are added while the queue is held.
    private static let keysAtOnce = 256

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
        metrics.added(1, ready: depth)
    }

    /// Records how long the runs under way have taken so far; a run that hangs is seen by nothing else. Somebody has to
    /// call it every few seconds.
    public func measureRuns() {
        let now = elapsed()
        let times = state.withLock { state in
            state.workers.compactMap(\.runningSince).map { max(now - $0, .zero) }
        }
        metrics.unfinished(total: times.reduce(.zero, +), longest: times.max() ?? .zero)
    }

    /// How runs ended so far.
    public var counts: Counts { state.withLock { $0.counts } }

    /// Works until its task is cancelled; then cancels the runs under way and waits for them.
    public func run() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                cancelLateRuns()
                while let run = take() {
                    group.addTask { await self.work(from: run) }
                }
                await sleep()
            }
            group.cancelAll()
        }
    }

    // MARK: Dispatcher

    /// Hands a key to a free worker, if there are both.
    private func take() -> Run? {
        let now = elapsed()
        let begun = state.withLock { state -> (run: Run, figures: Figures)? in
            guard let worker = state.workers.firstIndex(where: { $0.runningSince == nil }),
                let run = begin(worker, &state, now)
            else { return nil }
            state.busy += 1
            return (run, Figures(state))
        }
        guard let begun else { return nil }
        metrics.started(waited: begun.run.work.waited)
        record(begun.figures)
        return begun.run
    }

    private func begin(_ worker: Int, _ state: inout State, _ now: Duration) -> Run? {
        guard let work = state.queue.next(now: now) else { return nil }
        state.runs += 1
        state.workers[worker].runningSince = now
        return Run(work: work, number: state.runs, startedAt: now, worker: worker)
    }

    private func cancelLateRuns() {
        let now = elapsed()
        let late = state.withLock { state -> [Task<Void, Never>] in
            state.wasNudged = false
            guard let runDeadline else { return [] }
            return state.workers.indices.compactMap { worker in
                guard let since = state.workers[worker].runningSince, !state.workers[worker].isLate,
                    since + runDeadline <= now, let task = state.workers[worker].task
                else { return nil }
                state.workers[worker].isLate = true
                return task
            }
        }
        for task in late { task.cancel() }
    }

    /// Applies a change and wakes the dispatcher if it is for it.
    private func change(_ body: (inout State) -> Void) {
        let sleeper = state.withLock { state in
            body(&state)
            return wake(&state)
        }
        sleeper?.resume()
    }

    /// Makes the dispatcher look again, if there is something for it; the caller resumes what is returned, without the
    /// lock. While all workers are busy there is nothing: who ends a run takes the next one.
    private func wake(_ state: inout State) -> CheckedContinuation<Void, Never>? {
        guard let sleeper = state.sleeper else {
            state.wasNudged = true
            return nil
        }
        guard state.busy < concurrency else { return nil }
        let alarm = state.alarm
        let isDueEarlier = state.queue.nextDue().map { due in alarm.map { due < $0 } ?? true } ?? false
        guard state.queue.readyCount > 0 || isDueEarlier else { return nil }
        state.sleeper = nil
        return sleeper
    }

    /// Makes the dispatcher look again in any case.
    private func ring() {
        let sleeper = state.withLock { state in
            state.wasNudged = true
            defer { state.sleeper = nil }
            return state.sleeper
        }
        sleeper?.resume()
    }

    /// The next time at which the dispatcher has something to do, as far as is known.
    private func nextAlarm(_ state: inout State) -> Duration? {
        let begun = state.workers.compactMap { $0.isLate ? nil : $0.runningSince }.min()
        let deadline = runDeadline.flatMap { deadline in begun.map { $0 + deadline } }
        let due = state.busy < concurrency ? state.queue.nextDue() : nil
        return [deadline, due].compactMap(\.self).min()
    }

    /// Sleeps until a change, the next due time or deadline, or cancellation.
    private func sleep() async {
        let now = elapsed()
        let alarm = state.withLock { state in
            state.alarm = nextAlarm(&state)
            return state.alarm
        }
        let bell = alarm.map { due in
            Task { [clock] in
                try? await clock.sleep(for: max(due - now, .zero))
                if !Task.isCancelled { self.ring() }
            }
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goesOn = state.withLock { state in
                    if state.wasNudged || Task.isCancelled { return true }
                    state.sleeper = continuation
                    return false
                }
                if goesOn { continuation.resume() }
            }
        } onCancel: {
            ring()
        }
        bell?.cancel()
    }

    // MARK: Workers

    /// Time after which a worker lets other tasks run: runs that find all well may never suspend.
    private static let timeWithoutYield = Duration.milliseconds(1)

    /// A worker: one run, and others for as long as keys are ready. A task for each run would cost more than most runs.
    private func work(from first: Run) async {
        let task = state.withLock { state in
            let task = Task { await self.workWhileKeysAreReady(first) }
            state.workers[first.worker].task = task
            return task
        }
        await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
    }

    private func workWhileKeysAreReady(_ first: Run) async {
        var run = first
        var yielded = first.startedAt
        while let next = end(run, await reconcile(run.work.key)) {
            run = next
            guard run.startedAt - yielded > Self.timeWithoutYield else { continue }
            await letOthersRun()
            yielded = run.startedAt
        }
    }

    /// As `Task.yield()`, whose jobs the runtime (Swift 6.3) does not give to an executor that took the place of the global
    /// one, as the simulation's does.
    private func letOthersRun() async {
        await withCheckedContinuation { continuation in
            Task { continuation.resume() }
        }
    }

    /// - Returns: the run that takes the place of this one; nil if none is ready, or the worker ends.
    private func end(_ run: Run, _ reported: Outcome) -> Run? {
        let now = elapsed()
        // A worker whose run was late, or whose controller ends.
        let goesOn = !Task.isCancelled
        var (outcome, next, isLate) = (reported, Run?.none, false)
        let (figures, sleeper) = state.withLock { state in
            isLate = state.workers[run.worker].isLate
            if isLate {
                outcome = cutShort(reported)
                state.counts.timeouts += 1
            }
            var random = random
            state.queue.finish(run.work, outcome: outcome, now: now, using: &random)
            state.counts.count(outcome)
            if goesOn { next = begin(run.worker, &state, now) }
            if next == nil {
                state.workers[run.worker] = Worker()
                state.busy -= 1
            }
            return (Figures(state), wake(&state))
        }
        sleeper?.resume()
        if isLate { metrics.timedOut() }
        log(run, outcome, took: now - run.startedAt)
        metrics.ended(outcome, after: now - run.startedAt)
        if let next { metrics.started(waited: next.work.waited) }
        record(figures)
        return next
    }

    private func record(_ figures: Figures) {
        metrics.record(active: figures.active, ready: figures.ready, quarantined: figures.quarantined)
    }

    /// What becomes of a run that was cancelled at the deadline, and waited for even then: a key never has two runs.
    private func cutShort(_ reported: Outcome) -> Outcome {
        // What ended well after all stands; a run cut short is tried again, whatever it says about being cancelled.
        if case .done = reported { return .done }
        return .retry(
            ReconcileError(
                .runDeadlineExceeded, "a run took longer than \(runDeadline.map(String.init(describing:)) ?? "")"))
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
            "controller": .string(name), "object": .string(run.work.key.description),
            "reconcileID": .string("\(name)-\(run.number)"), "took": .stringConvertible(took),
        ]
        if let failure { metadata["error"] = .string(String(describing: failure)) }
        logger.log(level: level, text, metadata: metadata)
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
