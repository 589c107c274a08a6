import Dispatch
import Foundation
import Synchronization

/// A clock that nobody waits for: it stands still while anything in this process runs, and leaps to the next sleeper's
/// time once all threads wait.
///
/// So a run of hours takes as long as its computing, and its times do not depend on the machine: computing costs none.
/// What sleeps on other clocks is not waited for. One thread watches; it ends with ``stop()``.
public final class VirtualClock: Clock, Sendable {
    public struct Instant: InstantProtocol {
        /// Since the clock was made.
        public var offset: Duration

        public func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        public func duration(to other: Instant) -> Duration { other.offset - offset }
        public static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
    }

    private struct Sleeper {
        let due: Duration
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now = Duration.zero
        var sleepers: [UInt64: Sleeper] = [:]
        /// Sleepers that were cancelled before they slept.
        var cancelled: Set<UInt64> = []
        var nextSleeper: UInt64 = 0
        var isStopped = false
    }

    private let state = Mutex(State())

    /// Longest the watcher waits for quiet, in real time; then it leaps all the same, so that a thread that spins for
    /// ever cannot stop the clock.
    private static let patience = Duration.seconds(20)

    public init() {
        let watcher = Thread { [weak self] in
            let quiet = ProcessQuiet()
            var waited = ContinuousClock.now
            while let self, !self.isStopped {
                if quiet.isQuiet() || ContinuousClock.now - waited > Self.patience {
                    self.leap()
                    waited = .now
                }
                usleep(200)
            }
        }
        watcher.name = "virtual-clock"
        watcher.start()
    }

    public var now: Instant { Instant(offset: state.withLock { $0.now }) }
    public var minimumResolution: Duration { .nanoseconds(1) }

    /// Ends the watcher and all sleeps.
    public func stop() {
        let sleepers = state.withLock { state in
            state.isStopped = true
            defer { state.sleepers = [:] }
            return state.sleepers.values
        }
        for sleeper in sleepers { sleeper.continuation.resume(throwing: CancellationError()) }
    }

    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        let number = state.withLock { state in
            state.nextSleeper += 1
            return state.nextSleeper
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    if state.isStopped || state.cancelled.remove(number) != nil { return .failure(CancellationError()) }
                    if deadline.offset <= state.now { return .success(()) }
                    state.sleepers[number] = Sleeper(due: deadline.offset, continuation: continuation)
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                let sleeper = state.sleepers.removeValue(forKey: number)
                if sleeper == nil { state.cancelled.insert(number) }
                return sleeper
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
        // A cancellation that came too late is not kept.
        _ = state.withLock { $0.cancelled.remove(number) }
    }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Goes to the next due time and wakes whoever waits for it.
    private func leap() {
        let due: [Sleeper] = state.withLock { state in
            guard let next = state.sleepers.values.map(\.due).min() else { return [] }
            state.now = max(state.now, next)
            let due = state.sleepers.filter { $0.value.due <= state.now }
            for number in due.keys { state.sleepers[number] = nil }
            return due.sorted { $0.key < $1.key }.map(\.value)
        }
        for sleeper in due { sleeper.continuation.resume() }
    }
}
