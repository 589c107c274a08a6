import Kubernetes
import Synchronization

/// The latest known state of one kind's objects; any task or thread may read it.
///
/// One ``Reflector`` writes. A read is a snapshot: it may be older than the API server's state, never torn.
public final class ObjectStore<Resource: KubernetesResource>: Sendable {
    private struct State {
        var objects: [ObjectKey: Resource] = [:]
        var isSynced = false
        var waiters: [UInt64: CheckedContinuation<Void, any Error>] = [:]
        var nextWaiter: UInt64 = 0
    }

    private let state = Mutex(State())

    public init() {}

    /// The object, if it is known.
    public subscript(key: ObjectKey) -> Resource? { state.withLock { $0.objects[key] } }

    /// All objects, in no particular order.
    public var all: [Resource] { state.withLock { Array($0.objects.values) } }

    /// How many objects are known.
    public var count: Int { state.withLock { $0.objects.count } }

    /// Whether the first list is in.
    public var isSynced: Bool { state.withLock { $0.isSynced } }

    /// Waits for the first list.
    ///
    /// - Throws: `CancellationError` if the waiting task is cancelled first.
    public func waitUntilSynced() async throws {
        let ticket = state.withLock { state in
            defer { state.nextWaiter += 1 }
            return state.nextWaiter
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Result<Void, any Error>? = state.withLock { state in
                    if state.isSynced { return .success(()) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiters[ticket] = continuation
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: ticket) }?.resume(throwing: CancellationError())
        }
    }

    /// Replaces everything by a complete list.
    ///
    /// - Returns: keys whose object is new, different or gone.
    @discardableResult
    public func replaceAll(_ objects: [Resource]) -> [ObjectKey] {
        let fresh = Dictionary(objects.map { (ObjectKey($0), $0) }) { $1 }
        let (changed, waiters) = state.withLock { state in
            let gone = state.objects.keys.filter { fresh[$0] == nil }
            let changed = fresh.filter { state.objects[$0.key] != $0.value }.map(\.key)
            state.objects = fresh
            state.isSynced = true
            defer { state.waiters = [:] }
            return (changed + gone, Array(state.waiters.values))
        }
        for waiter in waiters { waiter.resume() }
        return changed
    }

    /// Takes over one object.
    public func set(_ object: Resource) {
        state.withLock { $0.objects[ObjectKey(object)] = object }
    }

    /// Forgets one object.
    public func remove(_ key: ObjectKey) {
        _ = state.withLock { $0.objects.removeValue(forKey: key) }
    }
}
