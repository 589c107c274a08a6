import ProviderKit
import Synchronization

/// The timers and HTTP exchanges of one instance, each of which ends with exactly one callback.
///
/// Callbacks run on threads of the instance's own, never on the caller's. An entry counts against its bound until its
/// callback has returned. ``end(within:)`` ends all of them and waits, after which there is none.
final class CallbackTable: Sendable {
    struct Bounds: Sendable {
        var timers: Int
        var exchanges: Int
    }

    typealias TimerDone = @Sendable (_ fired: Bool) -> Void

    private struct PendingTimer {
        var token: TimerQueue.Token?
        var done: TimerDone
    }

    private struct State {
        var isOpen = true
        var lastNumber: UInt64 = 0
        var pending: [UInt64: PendingTimer] = [:]
        /// Timers whose time came and whose callback has not returned.
        var firing = 0
        /// The task is nil for a moment, while it is made.
        var exchanges: [UInt64: Task<Void, Never>?] = [:]
        var emptied: [FirstOutcome<Bool>] = []

        var isEmpty: Bool { pending.isEmpty && firing == 0 && exchanges.isEmpty }

        mutating func next() -> UInt64 {
            lastNumber += 1
            return lastNumber
        }
    }

    private let bounds: Bounds
    private let threads: PluginThreads
    private let timers: TimerQueue
    private let state = Mutex(State())

    init(bounds: Bounds, threads: PluginThreads, timers: TimerQueue) {
        self.bounds = bounds
        self.threads = threads
        self.timers = timers
    }

    /// - Parameter done: called once after `delay` or when the timer is cancelled.
    /// - Returns: ok and the timer's number; throttled, invalid or cancelled and 0.
    func startTimer(after delay: Duration, _ done: @escaping TimerDone) -> (ResultCode, UInt64) {
        guard delay >= .zero else { return (.invalid, 0) }
        let (code, number): (ResultCode, UInt64) = state.withLock { state in
            guard state.isOpen else { return (.cancelled, 0) }
            guard state.pending.count + state.firing < bounds.timers else { return (.throttled, 0) }
            let number = state.next()
            state.pending[number] = PendingTimer(token: nil, done: done)
            return (.ok, number)
        }
        guard code == .ok else { return (code, 0) }
        let token = timers.schedule(after: delay) { [weak self] in self?.finish(number, fired: true) }
        let isPending = state.withLock { state in
            state.pending[number]?.token = token
            return state.pending[number] != nil
        }
        if !isPending { timers.cancel(token) }
        return (.ok, number)
    }

    /// - Returns: false if no such timer is pending.
    func cancelTimer(_ number: UInt64) -> Bool { finish(number, fired: false) }

    /// Whoever takes the entry calls it back.
    @discardableResult
    private func finish(_ number: UInt64, fired: Bool) -> Bool {
        let timer = state.withLock { state in
            let timer = state.pending.removeValue(forKey: number)
            if timer != nil { state.firing += 1 }
            return timer
        }
        guard let timer else { return false }
        if let token = timer.token { timers.cancel(token) }
        callBack {
            timer.done(fired)
        } after: {
            $0.firing -= 1
        }
        return true
    }

    /// - Parameter exchange: does the exchange; its task is cancelled if it must end early. What it returns is called
    ///   once.
    func startExchange(_ exchange: @escaping @Sendable () async -> @Sendable () -> Void) -> ResultCode {
        let (code, number): (ResultCode, UInt64) = state.withLock { state in
            guard state.isOpen else { return (.cancelled, 0) }
            guard state.exchanges.count < bounds.exchanges else { return (.throttled, 0) }
            let number = state.next()
            state.exchanges[number] = .some(nil)
            return (.ok, number)
        }
        guard code == .ok else { return code }
        let task = Task { [self] in
            let done = await exchange()
            callBack(done) { $0.exchanges[number] = nil }
        }
        let mustEnd = state.withLock { state in
            // It may have ended already.
            if state.exchanges[number] != nil { state.exchanges[number] = task }
            return !state.isOpen
        }
        if mustEnd { task.cancel() }
        return .ok
    }

    private func callBack(
        _ body: @escaping @Sendable () -> Void, after change: @escaping @Sendable (inout State) -> Void
    ) {
        let finish: @Sendable () -> Void = { [self] in
            let emptied = state.withLock { state in
                change(&state)
                guard state.isEmpty else { return [FirstOutcome<Bool>]() }
                defer { state.emptied = [] }
                return state.emptied
            }
            for outcome in emptied { outcome.offer(true) }
        }
        let run: @Sendable () -> Void = {
            body()
            finish()
        }
        if threads.run(run) { return }
        // All threads are stuck in the plugin: this one gets a thread of its own, which the bounds above bound.
        if !SystemThread.start(run) { finish() }
    }

    /// Ends all timers and exchanges, accepts no more, and waits until the last callback has returned.
    ///
    /// - Returns: false if one has not returned after `time`.
    func end(within time: Duration) async -> Bool {
        let outcome = FirstOutcome<Bool>()
        let (pending, tasks) = state.withLock { state in
            state.isOpen = false
            if state.isEmpty { outcome.offer(true) } else { state.emptied.append(outcome) }
            return (Array(state.pending.keys), state.exchanges.values.compactMap { $0 })
        }
        for number in pending { finish(number, fired: false) }
        for task in tasks { task.cancel() }
        let timeout = timers.schedule(after: time) { outcome.offer(false) }
        defer { timers.cancel(timeout) }
        return await outcome.wait()
    }
}
