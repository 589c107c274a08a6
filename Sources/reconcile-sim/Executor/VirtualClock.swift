/// The time of one simulated world. It stands still while anything can run, and then jumps to the next thing that is due.
///
/// `@unchecked Sendable`: all of a simulation runs on the main thread (``JobQueue``), so nothing here is ever touched by
/// two threads.
final class VirtualClock: Clock, @unchecked Sendable {
    struct Instant: InstantProtocol {
        var offset: Swift.Duration
        func advanced(by duration: Swift.Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Swift.Duration { other.offset - offset }
        static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
    }

    private struct Timer {
        var due: Swift.Duration
        var ticket: UInt64
        var fire: (_ cancelled: Bool) -> Void
    }

    private(set) var now = Instant(offset: .zero)
    let minimumResolution = Swift.Duration.nanoseconds(1)
    /// By due time; ties go to the older.
    private var timers: [Timer] = []
    private var nextTicket: UInt64 = 0
    private var isClosed = false

    /// Time since the world began.
    var elapsed: Swift.Duration { now.offset }

    /// Does something at a time.
    @discardableResult
    func schedule(at due: Swift.Duration, _ action: @escaping () -> Void) -> UInt64 {
        insert(due) { isCancelled in if !isCancelled { action() } }
    }

    /// Does something after a time.
    func schedule(after delay: Swift.Duration, _ action: @escaping () -> Void) {
        schedule(at: elapsed + delay, action)
    }

    func sleep(until deadline: Instant, tolerance: Swift.Duration?) async throws {
        let sleeper = Sleeper(clock: self)
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                sleeper.begin(until: deadline.offset, continuation)
            }
        } onCancel: {
            sleeper.cancel()
        }
    }

    /// Sleeps without heeding cancellation: for what goes on although nobody waits for it any more.
    func pass(_ duration: Swift.Duration) async {
        await withCheckedContinuation { continuation in
            insert(elapsed + duration) { _ in continuation.resume() }
        }
    }

    /// Jumps to the next thing that is due and does it; false if nothing is.
    func advance() -> Bool {
        guard let timer = timers.popLast() else { return false }
        now.offset = max(now.offset, timer.due)
        timer.fire(false)
        return true
    }

    /// Ends all waiting; later sleeps end at once.
    func close() {
        isClosed = true
        while let timer = timers.popLast() { timer.fire(true) }
    }

    @discardableResult
    private func insert(_ due: Swift.Duration, _ fire: @escaping (Bool) -> Void) -> UInt64 {
        nextTicket += 1
        guard !isClosed else {
            fire(true)
            return nextTicket
        }
        // Kept in falling order, so that the next one is the last; few timers, so a binary search is enough.
        var low = 0
        var high = timers.count
        while low < high {
            let middle = (low + high) / 2
            if timers[middle].due > due { low = middle + 1 } else { high = middle }
        }
        timers.insert(Timer(due: due, ticket: nextTicket, fire: fire), at: low)
        return nextTicket
    }

    private func remove(_ ticket: UInt64) {
        timers.removeAll { $0.ticket == ticket }
    }

    /// One sleep; the same thread begins and cancels it.
    private final class Sleeper: @unchecked Sendable {
        private let clock: VirtualClock
        private var continuation: CheckedContinuation<Void, any Error>?
        private var ticket: UInt64?
        private var isCancelled = false

        init(clock: VirtualClock) { self.clock = clock }

        func begin(until due: Swift.Duration, _ continuation: CheckedContinuation<Void, any Error>) {
            guard !isCancelled, !clock.isClosed else { return continuation.resume(throwing: CancellationError()) }
            self.continuation = continuation
            ticket = clock.insert(due) { [self] cancelled in end(cancelled) }
        }

        func cancel() {
            isCancelled = true
            if let ticket { clock.remove(ticket) }
            end(true)
        }

        private func end(_ cancelled: Bool) {
            guard let continuation else { return }
            self.continuation = nil
            if cancelled { continuation.resume(throwing: CancellationError()) } else { continuation.resume() }
        }
    }
}
