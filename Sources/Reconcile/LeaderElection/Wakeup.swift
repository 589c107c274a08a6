import Synchronization

/// Wakes one task that sleeps. Raised while that task is awake, it ends the next sleep at once.
final class Wakeup: Sendable {
    private enum State {
        case idle
        case raised
        case waiting(CheckedContinuation<Void, Never>)
    }

    private let state = Mutex(State.idle)

    /// Any task or thread may call it.
    func raise() {
        let waiter = state.withLock { state in
            let waiter = Self.takeWaiter(&state)
            if waiter == nil { state = .raised }
            return waiter
        }
        waiter?.resume()
    }

    /// Sleeps for that time, or less if it is woken. One task at a time.
    ///
    /// - Throws: `CancellationError`.
    func sleep(for duration: Duration, clock: any Clock<Duration>) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await clock.sleep(for: duration) }
            group.addTask { await self.wait() }
            defer { group.cancelAll() }
            try await group.next()
        }
        try Task.checkCancellation()
    }

    /// Returns when it is raised or the task is cancelled.
    private func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if case .raised = state {
                        state = .idle
                        return true
                    }
                    if Task.isCancelled { return true }
                    state = .waiting(continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { Self.takeWaiter(&$0) }?.resume()
        }
    }

    private static func takeWaiter(_ state: inout State) -> CheckedContinuation<Void, Never>? {
        guard case .waiting(let continuation) = state else { return nil }
        state = .idle
        return continuation
    }
}
