import Dispatch
import ProviderKit
import Synchronization

/// A few threads on which the host calls one instance, so that a function of a plugin that does not return holds one of
/// them and nothing else: neither the caller nor the threads that the daemon's own work shares.
///
/// Threads are made when they are needed and end with ``end()``. A function that is inside longer than `limit` is
/// reported as stuck, and again when it came back.
final class PluginThreads: Sendable {
    /// What waits for a thread.
    private struct Job {
        var run: @Sendable () -> Void
        var drop: @Sendable () -> Void
    }

    private struct State {
        var waiting: [Job] = []
        /// Index of the first one in `waiting`; what is before it has been taken.
        var first = 0
        var threads = 0
        var idle = 0
        var lastNumber: UInt64 = 0
        var running: [UInt64: HostInstant] = [:]
        var stuck: Set<UInt64> = []
        var isWatching = false
        var isEnded = false
        var drained: [FirstOutcome<Bool>] = []

        var waitingCount: Int { waiting.count - first }

        mutating func take() -> Job? {
            guard first < waiting.count else { return nil }
            defer {
                first += 1
                if first == waiting.count || first > 512 {
                    waiting.removeFirst(first)
                    first = 0
                }
            }
            return waiting[first]
        }
    }

    private let maximumThreads: Int
    private let maximumWaiting: Int
    private let limit: Duration
    private let timers: TimerQueue
    private let stuckChanged: @Sendable (Int) -> Void
    private let state = Mutex(State())
    private let wakeup = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - limit: how long one job may take before its thread counts as stuck.
    ///   - stuckChanged: gets 1 for a thread that is stuck, -1 for one that came back.
    init(
        maximumThreads: Int, maximumWaiting: Int, limit: Duration, timers: TimerQueue,
        stuckChanged: @escaping @Sendable (Int) -> Void
    ) {
        self.maximumThreads = maximumThreads
        self.maximumWaiting = maximumWaiting
        self.limit = limit
        self.timers = timers
        self.stuckChanged = stuckChanged
    }

    /// Runs `body` on one of the threads, in order of arrival where only one is free.
    ///
    /// - Parameter dropped: called instead of `body` if the end came first.
    /// - Returns: false if it is neither run nor dropped: ended, too many are waiting, or no thread can be had.
    func run(_ body: @escaping @Sendable () -> Void, dropped: @escaping @Sendable () -> Void = {}) -> Bool {
        enum Entry { case refused, queued, needsThread }
        let entry: Entry = state.withLock { state in
            guard !state.isEnded, state.waitingCount < maximumWaiting else { return .refused }
            // All threads stuck: what comes now would wait for one of them.
            if state.threads == maximumThreads, state.stuck.count == maximumThreads { return .refused }
            state.waiting.append(Job(run: body, drop: dropped))
            guard state.waitingCount > state.idle, state.threads < maximumThreads else { return .queued }
            state.threads += 1
            return .needsThread
        }
        switch entry {
        case .refused: return false
        case .queued: break
        case .needsThread:
            if !SystemThread.start({ [self] in work() }) {
                let isAlone = state.withLock { state in
                    state.threads -= 1
                    return state.threads == 0
                }
                if isAlone { return takeBack() }
            }
        }
        wakeup.signal()
        return true
    }

    /// Nobody is there to run the job that was entered last.
    private func takeBack() -> Bool {
        state.withLock { state in
            if state.waitingCount > 0 { state.waiting.removeLast() }
        }
        return false
    }

    /// Runs `body` and waits for its result.
    ///
    /// - Parameter late: gets the result of a `body` that returned after the time was over.
    /// - Returns: nil if it was not run or did not return within the time.
    func call<R: Sendable>(
        within time: Duration, _ body: @escaping @Sendable () -> R, late: @escaping @Sendable (R) -> Void = { _ in }
    ) async -> R? {
        let outcome = FirstOutcome<R?>()
        let accepted = run(
            {
                // Nobody waits for it any more, so it must not happen.
                if outcome.isDecided { return }
                let result = body()
                if !outcome.offer(result) { late(result) }
            }, dropped: { outcome.offer(nil) })
        guard accepted else { return nil }
        let timeout = timers.schedule(after: time) { outcome.offer(nil) }
        defer { timers.cancel(timeout) }
        return await outcome.wait()
    }

    /// As ``end(within:)``, after all that was accepted has been run.
    func end(afterWaitingWithin time: Duration) async -> Bool {
        let start = HostClock.now()
        // One that comes behind all others; with several threads they may still run, and `end` waits for them.
        guard await call(within: time, { true }) == true || state.withLock({ $0.threads == 0 }) else {
            return await end(within: .zero)
        }
        return await end(within: max(.zero, time - start.duration(to: HostClock.now())))
    }

    /// Takes no more work, drops what has not begun, and waits for what has.
    ///
    /// - Returns: false if something is still inside after `time`; its thread ends when it comes back.
    func end(within time: Duration) async -> Bool {
        let outcome = FirstOutcome<Bool>()
        let (dropped, threads) = state.withLock { state in
            state.isEnded = true
            let dropped = Array(state.waiting[state.first...])
            state.waiting = []
            state.first = 0
            if state.running.isEmpty { outcome.offer(true) } else { state.drained.append(outcome) }
            return (dropped, state.threads)
        }
        for job in dropped { job.drop() }
        for _ in 0..<threads { wakeup.signal() }
        let timeout = timers.schedule(after: time) { outcome.offer(false) }
        defer { timers.cancel(timeout) }
        return await outcome.wait()
    }

    private func work() {
        state.withLock { $0.idle += 1 }
        while true {
            wakeup.wait()
            let next: (UInt64, Job)? = state.withLock { state in
                guard let job = state.take() else { return nil }
                state.idle -= 1
                state.lastNumber += 1
                state.running[state.lastNumber] = HostClock.now()
                if !state.isWatching {
                    state.isWatching = true
                    watch(after: limit)
                }
                return (state.lastNumber, job)
            }
            if let (number, job) = next {
                job.run()
                leave(number)
            }
            let isOver = state.withLock { state in
                guard state.isEnded, state.waitingCount == 0 else { return false }
                state.threads -= 1
                return true
            }
            if isOver { return }
        }
    }

    private func leave(_ number: UInt64) {
        let (wasStuck, drained) = state.withLock { state in
            state.running[number] = nil
            state.idle += 1
            let drained = state.running.isEmpty ? state.drained : []
            if state.running.isEmpty { state.drained = [] }
            return (state.stuck.remove(number) != nil, drained)
        }
        if wasStuck { stuckChanged(-1) }
        for outcome in drained { outcome.offer(true) }
    }

    private func watch(after delay: Duration) {
        _ = timers.schedule(after: delay) { [weak self] in self?.look() }
    }

    private func look() {
        let now = HostClock.now()
        let new = state.withLock { state in
            let overdue = state.running.filter { $0.value.duration(to: now) >= limit }.map(\.key)
            let new = overdue.filter { state.stuck.insert($0).inserted }
            let fresh = state.running.filter { !state.stuck.contains($0.key) }.map(\.value)
            state.isWatching = !fresh.isEmpty
            if let oldest = fresh.min() { watch(after: limit - oldest.duration(to: now)) }
            return new.count
        }
        for _ in 0..<new { stuckChanged(1) }
    }
}
