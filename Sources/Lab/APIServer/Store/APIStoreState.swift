/// All objects in memory with their indexes: the pure half of the store. The database holds the same objects.
struct APIStoreState: Sendable {
    /// Objects of one kind.
    struct Table: Sendable {
        var objects: [APIObjectName: APIStoredObject] = [:]
        /// Names in list order; nil after an insertion or removal until the next list.
        var sortedNames: [APIObjectName]?
        var history: APIWatchHistory
    }

    private(set) var revision: Int64
    private(set) var tables: [GroupResource: Table] = [:]
    /// Where the living object with a uid is.
    private(set) var keysByUID: [String: APIObjectKey] = [:]
    /// Owner uid -> objects that name it as owner.
    private(set) var dependents: [String: Set<APIObjectKey>] = [:]
    private let historyCapacity: Int
    /// The revision at which this process began; no history reaches back behind it.
    private let firstRevision: Int64

    init(revision: Int64, objects: [APIStoredObject], historyCapacity: Int) {
        self.revision = revision
        self.historyCapacity = historyCapacity
        firstRevision = revision
        for object in objects { insert(object) }
    }

    func object(_ key: APIObjectKey) -> APIStoredObject? { tables[key.kind]?.objects[key.objectName] }

    func history(of kind: GroupResource) -> APIWatchHistory {
        tables[kind]?.history ?? APIWatchHistory(capacity: historyCapacity, floor: firstRevision)
    }

    /// The objects of a kind in list order.
    mutating func list(_ kind: GroupResource, namespace: String?) -> [APIStoredObject] {
        guard var table = tables[kind] else { return [] }
        if table.sortedNames == nil {
            table.sortedNames = table.objects.keys.sorted()
            tables[kind] = table
        }
        let names = table.sortedNames ?? []
        guard let namespace else { return names.compactMap { table.objects[$0] } }
        let start = names.partitioningIndex { $0.namespace >= namespace }
        return names[start...].prefix { $0.namespace == namespace }.compactMap { table.objects[$0] }
    }

    /// The objects of a kind as they were at a revision; nil when the history does not reach back so far.
    mutating func list(_ kind: GroupResource, namespace: String?, at revision: Int64) -> [APIStoredObject]? {
        guard let changes = history(of: kind).changes(after: revision) else { return nil }
        let current = list(kind, namespace: namespace)
        if changes.isEmpty { return current }
        var objects = Dictionary(current.map { ($0.key.objectName, $0) }) { first, _ in first }
        for change in changes.reversed() where namespace == nil || change.object.key.namespace == namespace {
            objects[change.object.key.objectName] = change.previous
        }
        return objects.values.sorted { $0.key.objectName < $1.key.objectName }
    }

    /// Takes in committed changes.
    mutating func apply(_ changes: [APIStoreChange]) {
        for change in changes {
            if let previous = change.previous { unindex(previous) }
            if change.kind == .deleted {
                remove(change.object.key)
            } else {
                insert(change.object)
            }
            revision = change.revision
            let empty = emptyTable
            tables[change.object.key.kind, default: empty].history.append(change)
        }
    }

    private var emptyTable: Table {
        Table(history: APIWatchHistory(capacity: historyCapacity, floor: firstRevision))
    }

    private mutating func insert(_ object: APIStoredObject) {
        let name = object.key.objectName
        let empty = emptyTable
        if tables[object.key.kind, default: empty].objects.updateValue(object, forKey: name) == nil {
            tables[object.key.kind]?.sortedNames = nil
        }
        keysByUID[object.uid] = object.key
        for owner in object.owners { dependents[owner.uid, default: []].insert(object.key) }
    }

    private mutating func unindex(_ object: APIStoredObject) {
        keysByUID[object.uid] = nil
        for owner in object.owners {
            dependents[owner.uid]?.remove(object.key)
            if dependents[owner.uid]?.isEmpty == true { dependents[owner.uid] = nil }
        }
    }

    private mutating func remove(_ key: APIObjectKey) {
        tables[key.kind]?.objects[key.objectName] = nil
        tables[key.kind]?.sortedNames = nil
    }
}

extension Array {
    /// The first index whose element fulfils the predicate, in an array where all such elements come last.
    func partitioningIndex(where belongsToSecond: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = low + (high - low) / 2
            if belongsToSecond(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
