/// Reads and writes of one serialised step on the store. Nothing is visible to others before the commit.
struct APIStoreTransaction {
    /// The state before this transaction; only one transaction exists at a time, so it cannot grow stale.
    private let base: APIStoreState
    private var pending: [APIObjectKey: APIStoredObject?] = [:]
    private(set) var changes: [APIStoreChange] = []

    init(base: APIStoreState) { self.base = base }

    /// The revision of the last change made here or before.
    var revision: Int64 { base.revision + Int64(changes.count) }

    func object(_ key: APIObjectKey) -> APIStoredObject? {
        if let overlaid = pending[key] { return overlaid }
        return base.object(key)
    }

    /// The objects of a kind, in no particular order.
    func objects(of kind: GroupResource, namespace: String? = nil) -> [APIStoredObject] {
        var objects = (base.tables[kind]?.objects ?? [:]).values.filter {
            (namespace == nil || $0.key.namespace == namespace) && pending[$0.key] == nil
        }
        for case (let key, let object?) in pending
        where key.kind == kind && (namespace == nil || key.namespace == namespace) {
            objects.append(object)
        }
        return objects
    }

    /// All kinds that have objects.
    var kinds: Set<GroupResource> {
        Set(base.tables.filter { !$0.value.objects.isEmpty }.keys).union(pending.keys.map(\.kind))
    }

    /// Objects that name the owner. Changes made in this transaction are not in the answer.
    func dependents(of uid: String) -> [APIStoredObject] {
        (base.dependents[uid] ?? []).compactMap { object($0) }
    }

    /// Whether a living object has the uid. Changes made in this transaction are not in the answer.
    func key(ofUID uid: String) -> APIObjectKey? { base.keysByUID[uid] }

    /// Stores an object under the next revision and gives it back as stored.
    mutating func put(_ value: APIValue, at key: APIObjectKey, extraFields: [String: String]) -> APIStoredObject {
        let previous = object(key)
        let stored = stamped(value, key: key, extraFields: extraFields)
        pending[key] = .some(stored)
        changes.append(
            APIStoreChange(kind: previous == nil ? .added : .modified, object: stored, previous: previous))
        return stored
    }

    /// Removes an object; its last state carries the revision of the removal.
    mutating func remove(_ value: APIValue, previous: APIStoredObject) -> APIStoredObject {
        let stored = stamped(value, key: previous.key, extraFields: previous.fields)
        pending[previous.key] = .some(nil)
        changes.append(APIStoreChange(kind: .deleted, object: stored, previous: previous))
        return stored
    }

    private func stamped(_ value: APIValue, key: APIObjectKey, extraFields: [String: String]) -> APIStoredObject {
        var value = value
        let next = revision + 1
        value[path: "metadata", "resourceVersion"] = .string(String(next))
        return APIStoredObject(key: key, value: value, revision: next, extraFields: extraFields)
    }
}
