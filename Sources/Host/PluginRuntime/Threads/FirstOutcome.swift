import Synchronization

/// Waits for whichever of several outcomes comes first. One waiter.
final class FirstOutcome<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiter: CheckedContinuation<Value, Never>?
    }

    private let state = Mutex(State())

    var isDecided: Bool { state.withLock { $0.value != nil } }

    /// - Returns: whether it is the first one.
    @discardableResult
    func offer(_ value: Value) -> Bool {
        let (isFirst, waiter) = state.withLock { state in
            guard state.value == nil else { return (false, nil as CheckedContinuation<Value, Never>?) }
            state.value = value
            return (true, state.waiter.take())
        }
        waiter?.resume(returning: value)
        return isFirst
    }

    func wait() async -> Value {
        await withCheckedContinuation { continuation in
            let value = state.withLock { state in
                if state.value == nil { state.waiter = continuation }
                return state.value
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
