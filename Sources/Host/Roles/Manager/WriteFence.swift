import ProviderKit
import Synchronization

/// Stands between a manager and everything it changes: open while the manager leads, and never again after that.
///
/// It is asked right before each call of a provider (``FencedCapability``), each write to the API server
/// (`KubernetesClient.guarded`) and each request of a plugin that changes something
/// (``PluginRuntime/fenceWrites(_:)``). When the work ends, calls under way are cancelled. What was sent before may still
/// arrive; against that, objects and the cloud's resources are written under their versions.
final class WriteFence: Sendable {
    private enum Term {
        case ahead, running, over
    }

    private struct State {
        var term = Term.ahead
        /// Cancels calls under way, by their number.
        var calls: [UInt64: @Sendable () -> Void] = [:]
        var nextCall: UInt64 = 0
    }

    private let isLeading: @Sendable () -> Bool
    private let state = Mutex(State())

    /// - Parameter isLeading: whether the Lease allows to act now, by the local clock. It must not block.
    init(isLeading: @escaping @Sendable () -> Bool) {
        self.isLeading = isLeading
    }

    /// Whether the work has begun and not ended. Leadership may be in doubt meanwhile; see ``isOpen``.
    var isRunning: Bool { state.withLock { $0.term == .running } }

    /// Whether something may be changed now.
    var isOpen: Bool { state.withLock { $0.term == .running } && isLeading() }

    /// Whether the manager led and must not change anything any more. A standby has not led yet: its plugins may do what
    /// they do without being called, such as fetching a token.
    var isShut: Bool {
        switch state.withLock({ $0.term }) {
        case .ahead: false
        case .running: !isLeading()
        case .over: true
        }
    }

    /// The manager begins to lead.
    func open() {
        state.withLock { state in
            if state.term == .ahead { state.term = .running }
        }
    }

    /// The manager's work ends: nothing is begun any more, and what is under way is cancelled.
    func shut() {
        let calls = state.withLock { state in
            state.term = .over
            defer { state.calls = [:] }
            return state.calls.values
        }
        for cancel in calls { cancel() }
    }

    /// Makes a call of a provider, cancelled when the fence is shut or the caller is cancelled.
    ///
    /// - Throws: ``ProviderError`` with code `cancelled` unless the fence is open; what the call throws.
    func pass<Value: Sendable>(_ call: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let isLeading = isLeading()
        let begun: (number: UInt64, task: Task<Value, any Error>)? = state.withLock { state in
            guard state.term == .running, isLeading else { return nil }
            let task = Task { try await call() }
            state.nextCall += 1
            state.calls[state.nextCall] = { task.cancel() }
            return (state.nextCall, task)
        }
        guard let (number, task) = begun else {
            throw ProviderError(.cancelled, "this manager does not lead (any more); it changes nothing")
        }
        defer { state.withLock { _ = $0.calls.removeValue(forKey: number) } }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }
}
