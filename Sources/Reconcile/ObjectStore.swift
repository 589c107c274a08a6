import Kubernetes
import Synchronization

/// The latest known state of one kind's objects; any task or thread may read it.
///
/// One ``Reflector`` writes. A read is a snapshot: it may be older than the API server's state, never torn.
public final class ObjectStore<Resource: KubernetesResource>: Sendable {
    /// One object as it is stored: a reference, which is cheaper to hand about than the object.
    public final class Entry: Sendable {
        /// The object.
        public let object: Resource

        init(_ object: Resource) { self.object = object }
    }

    /// All objects of a list while it comes in, one of each key.
    public struct Contents: Sendable {
        fileprivate var table = ObjectTable()

        /// Starts empty.
        public init() {}

        /// Adds one object; of two with the same key the last one stays.
        public mutating func add(_ object: Resource) { table.set(Entry(object), for: ObjectKey(object)) }
    }

    /// Gives the values under which an object is found in an index; none leaves it out.
    public typealias IndexFunction = @Sendable (Resource) -> [String]

    private let state = Mutex(StoreState())
    private let indexFunctions: [String: IndexFunction]

    /// - Parameter indexes: functions by index name, such as one that gives the owner's uid. They must depend on
    ///   nothing but the object.
    public init(indexes: [String: IndexFunction] = [:]) {
        indexFunctions = indexes
    }

    /// The objects that an index function gave this value for, in no particular order; none for an unknown index.
    public func objects(inIndex index: String, value: String) -> [Resource] {
        state.withLock { state in
            (state.indexes[index]?[value] ?? []).compactMap { state.objects[$0].map(Self.entry)?.object }
        }
    }

    /// How many objects an index function gave this value for.
    public func count(inIndex index: String, value: String) -> Int {
        state.withLock { $0.indexes[index]?[value]?.count ?? 0 }
    }

    /// The object, if it is known.
    public subscript(key: ObjectKey) -> Resource? { entry(for: key)?.object }

    /// As the subscript, without a copy of the object.
    public func entry(for key: ObjectKey) -> Entry? {
        guard let reference = state.withLock({ $0.objects[key] }) else { return nil }
        return Self.entry(reference)
    }

    /// All objects, those of a list in the order of the list.
    public var all: [Resource] { state.withLock { $0.objects }.all.map { Self.entry($0.reference).object } }

    /// The keys of all objects, those of a list in the order of the list. To be preferred to keys that are made anew: to
    /// compare two copies of one key takes no look at their texts.
    public var keys: [ObjectKey] { state.withLock { $0.objects }.keys }

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
    /// - Returns: what is new, different or gone, by key. Background work if it is the first list, else live.
    @discardableResult
    public func replaceAll(_ objects: some Sequence<Resource>) -> [StoreChange] {
        var contents = Contents()
        for object in objects { contents.add(object) }
        return replaceAll(contents)
    }

    /// As ``replaceAll(_:)``, for a list that was put together object by object.
    @discardableResult
    public func replaceAll(_ contents: Contents) -> [StoreChange] {
        let fresh = contents.table
        let (changes, waiters) = state.withLock { state in
            let priority = state.isSynced ? WorkPriority.live : .background
            var changes = state.objects.keys.filter { fresh[$0] == nil }
                .map { StoreChange(key: $0, kind: .deleted, priority: priority) }
            // At once, because growing would leave holes in the heap that are as large as the index of the store.
            changes.reserveCapacity(changes.count + max(fresh.count - state.objects.count, 0))
            for (key, reference) in fresh.all {
                let entry = Self.entry(reference)
                let known = state.objects[key].map(Self.entry)
                guard known?.object != entry.object else { continue }
                changes.append(StoreChange(key: key, kind: known == nil ? .added : .modified, priority: priority))
            }
            state.objects = fresh
            state.indexes = [:]
            for (key, reference) in fresh.all { enter(Self.entry(reference).object, key, &state) }
            state.isSynced = true
            defer { state.waiters = [:] }
            // In order, so that what follows does not depend on how hashes fall.
            changes.sort { $0.key < $1.key }
            return (changes, Array(state.waiters.values))
        }
        for waiter in waiters { waiter.resume() }
        return changes
    }

    /// Takes over one object.
    ///
    /// - Returns: the state known before, if any.
    @discardableResult
    public func set(_ object: Resource) -> Resource? {
        let key = ObjectKey(object)
        return state.withLock { state in
            let old = state.objects.set(Entry(object), for: key).map(Self.entry)?.object
            if let old { leave(old, key, &state) }
            enter(object, key, &state)
            return old
        }
    }

    /// Forgets one object.
    ///
    /// - Returns: the state known before, if any.
    @discardableResult
    public func remove(_ key: ObjectKey) -> Resource? {
        state.withLock { state in
            let old = state.objects.remove(key).map(Self.entry)?.object
            if let old { leave(old, key, &state) }
            return old
        }
    }

    private static func entry(_ reference: ObjectTable.Reference) -> Entry {
        // A store puts in nothing but its own kind of entries.
        unsafeDowncast(reference, to: Entry.self)
    }

    private func enter(_ object: Resource, _ key: ObjectKey, _ state: inout StoreState) {
        for (index, function) in indexFunctions {
            for value in function(object) { state.indexes[index, default: [:]][value, default: []].insert(key) }
        }
    }

    private func leave(_ object: Resource, _ key: ObjectKey, _ state: inout StoreState) {
        for (index, function) in indexFunctions {
            for value in function(object) {
                state.indexes[index]?[value]?.remove(key)
                if state.indexes[index]?[value]?.isEmpty == true { state.indexes[index]?[value] = nil }
            }
        }
    }
}

private struct StoreState {
    /// Entries of the store's kind.
    var objects = ObjectTable()
    /// Index name to index value to the keys of its objects.
    var indexes: [String: [String: Set<ObjectKey>]] = [:]
    var isSynced = false
    var waiters: [UInt64: CheckedContinuation<Void, any Error>] = [:]
    var nextWaiter: UInt64 = 0
}

/// One object that is new, different or gone.
public struct StoreChange: Sendable, Equatable {
    /// What became of the object.
    public enum Kind: Sendable {
        case added, modified, deleted
    }

    /// The object; its state is read from where it is needed, never from the change.
    public let key: ObjectKey
    /// What became of it.
    public let kind: Kind
    /// Background for what a first list brings, which is no news.
    public let priority: WorkPriority
}
