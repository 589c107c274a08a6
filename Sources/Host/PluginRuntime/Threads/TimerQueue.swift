import Dispatch
import ProviderKit
import Synchronization

/// Runs closures at their times, all on one thread of its own: one heap for deadlines, plugins' timers and watches.
///
/// A closure must not block; it hands on what takes time. Starting and cancelling cost one lock and O(log n).
final class TimerQueue: Sendable {
    /// For the whole process; its thread lives as long.
    static let shared = TimerQueue()

    /// Names one closure; never used twice.
    struct Token: Sendable, Hashable {
        fileprivate var number: UInt64
    }

    fileprivate struct Entry {
        var time: HostInstant
        var token: Token
    }

    fileprivate struct State {
        /// A binary heap, earliest first. Entries of cancelled timers stay until their time or until they are half.
        var heap: [Entry] = []
        var bodies: [Token: @Sendable () -> Void] = [:]
        var lastNumber: UInt64 = 0
        var isRunning = false
    }

    private let state = Mutex(State())
    private let wakeup = DispatchSemaphore(value: 0)

    /// Runs `body` once at `time`, or soon after; at once if it has passed, but never before this returns its token.
    func schedule(at time: HostInstant, _ body: @escaping @Sendable () -> Void) -> Token {
        let (token, isEarliest, isFirst) = state.withLock { state in
            state.lastNumber += 1
            let token = Token(number: state.lastNumber)
            state.bodies[token] = body
            state.push(Entry(time: time, token: token))
            let isFirst = !state.isRunning
            state.isRunning = true
            return (token, state.heap.first?.token == token, isFirst)
        }
        if isFirst { startThread() }
        if isEarliest { wakeup.signal() }
        return token
    }

    func schedule(after delay: Duration, _ body: @escaping @Sendable () -> Void) -> Token {
        schedule(at: HostClock.now().advanced(by: delay), body)
    }

    /// - Returns: whether the closure will now not run; false if it did, does, or was cancelled before.
    @discardableResult
    func cancel(_ token: Token) -> Bool {
        state.withLock { state in
            guard state.bodies.removeValue(forKey: token) != nil else { return false }
            if state.heap.count > 2 * state.bodies.count + 64 { state.dropCancelled() }
            return true
        }
    }

    private func startThread() {
        // Without a thread nothing would ever end by its deadline: there is no going on.
        if !SystemThread.start({ [self] in run() }) { fatalError("no thread for timers can be made") }
    }

    private func run() {
        while true {
            let now = HostClock.now()
            let (due, next) = state.withLock { $0.takeDue(now) }
            for body in due { body() }
            guard due.isEmpty else { continue }
            if let next {
                let wait = now.duration(to: next).components
                // An hour at most at a time: far times need no exactness, and no number overflows.
                let nanoseconds =
                    wait.seconds < 3600
                    ? wait.seconds * 1_000_000_000 + wait.attoseconds / 1_000_000_000 : 3_600_000_000_000
                _ = wakeup.wait(timeout: .now() + .nanoseconds(Int(nanoseconds)))
            } else {
                wakeup.wait()
            }
        }
    }
}

extension TimerQueue.State {
    fileprivate mutating func push(_ entry: TimerQueue.Entry) {
        heap.append(entry)
        var index = heap.count - 1
        while index > 0, heap[index].time < heap[(index - 1) / 2].time {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func popFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        sink(0)
    }

    private mutating func sink(_ start: Int) {
        var index = start
        while true {
            let left = 2 * index + 1
            guard left < heap.count else { return }
            let right = left + 1
            let child = right < heap.count && heap[right].time < heap[left].time ? right : left
            guard heap[child].time < heap[index].time else { return }
            heap.swapAt(child, index)
            index = child
        }
    }

    /// Takes the closures whose time has come.
    ///
    /// - Returns: also the time of the next one.
    fileprivate mutating func takeDue(_ now: HostInstant) -> ([@Sendable () -> Void], next: HostInstant?) {
        var due: [@Sendable () -> Void] = []
        while let first = heap.first {
            if let body = bodies[first.token] {
                guard first.time <= now else { return (due, first.time) }
                bodies[first.token] = nil
                due.append(body)
            }
            popFirst()
        }
        return (due, nil)
    }

    fileprivate mutating func dropCancelled() {
        heap.removeAll { bodies[$0.token] == nil }
        for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(index) }
    }
}
