import GRDB
import Synchronization

/// The one store behind all listeners: objects in SQLite and, decoded as far as needed, in memory.
///
/// Writes run one after the other on GRDB's own serial queue, never on the cooperative pool; a change is published
/// to memory and watchers after its commit and before the next write begins. Reads take the lock only to copy values.
final class APIObjectStore: Sendable {
    /// What a watcher receives.
    enum Event: Sendable {
        case change(APIStoreChange)
        /// Everything up to this revision has been delivered.
        case bookmark(Int64)
    }

    struct Limits: Sendable {
        /// Changes per kind kept for watches that resume.
        var historyCapacity = 8192
        /// Events a slow watcher may fall behind before it is disconnected.
        var watcherBuffer = 4096
    }

    struct Watcher: Sendable {
        let id: Int
        let kind: GroupResource
        let events: AsyncStream<Event>
    }

    private struct Guarded {
        var state: APIStoreState
        var watchers: [GroupResource: [Int: AsyncStream<Event>.Continuation]] = [:]
        var nextWatcher = 0
        var isClosed = false
    }

    private let database: APIStoreDatabase
    private let guarded: Mutex<Guarded>
    private let limits: Limits
    /// Called after each commit, on the database's queue, in commit order. Must not block.
    private let onCommit = Mutex(CommitHandler())

    /// A Mutex of the function itself would wrap it once more each time that it is read.
    private struct CommitHandler {
        var call: (@Sendable ([APIStoreChange]) -> Void)?
    }

    /// Opens the store; `selectableFields` gives the values for field selectors of an object at load.
    init(
        path: String, limits: Limits,
        selectableFields: (GroupResource, APIValue) -> [String: String]
    ) throws {
        database = try APIStoreDatabase(path: path)
        self.limits = limits
        let (revision, rows) = try database.load()
        let objects = try rows.map { row in
            let value = try APIValueParser.parse(row.body)
            return APIStoredObject(
                key: row.key, value: value, revision: row.revision, extraFields: selectableFields(row.key.kind, value))
        }
        guarded = Mutex(
            Guarded(
                state: APIStoreState(
                    revision: revision, objects: objects, historyCapacity: limits.historyCapacity)))
    }

    func setCommitHandler(_ handler: @escaping @Sendable ([APIStoreChange]) -> Void) {
        onCommit.withLock { $0.call = handler }
    }

    /// Runs a read-modify-write step alone. Throwing, and a dry run, leave everything as it was.
    func transact<Result: Sendable>(
        dryRun: Bool = false, _ body: @escaping @Sendable (inout APIStoreTransaction) throws -> Result
    ) async throws -> Result {
        try await database.queue.writeWithoutTransaction { database in
            let (result, changes) = try self.collectChanges(body)
            guard !dryRun, !changes.isEmpty else { return result }
            try database.inTransaction(.immediate) {
                try APIStoreDatabase.persist(changes, in: database)
                return .commit
            }
            self.publish(changes)
            return result
        }
    }

    /// A function of its own so that the transaction's copy of the state is gone before `publish` changes the state:
    /// a second reference would make that change copy every index.
    private func collectChanges<Result>(
        _ body: (inout APIStoreTransaction) throws -> Result
    ) throws -> (Result, [APIStoreChange]) {
        var transaction = APIStoreTransaction(base: guarded.withLock { $0.state })
        let result = try body(&transaction)
        return (result, transaction.changes)
    }

    private func publish(_ changes: [APIStoreChange]) {
        guarded.withLock { guarded in
            guarded.state.apply(changes)
            for change in changes {
                let kind = change.object.key.kind
                for (id, continuation) in guarded.watchers[kind] ?? [:] {
                    if case .dropped = continuation.yield(.change(change)) {
                        // The watcher is too slow: it is cut off and resumes from its last version.
                        continuation.finish()
                        guarded.watchers[kind]?[id] = nil
                    }
                }
            }
        }
        onCommit.withLock { $0.call }?(changes)
    }

    var revision: Int64 { guarded.withLock { $0.state.revision } }

    func object(_ key: APIObjectKey) -> APIStoredObject? { guarded.withLock { $0.state.object(key) } }

    /// A consistent copy of the whole state; copying is cheap because the parts are copy-on-write.
    var state: APIStoreState { guarded.withLock { $0.state } }

    /// The objects of a kind and the revision at which the list is exact.
    func list(_ kind: GroupResource, namespace: String?) -> (objects: [APIStoredObject], revision: Int64) {
        guarded.withLock { guarded in
            (guarded.state.list(kind, namespace: namespace), guarded.state.revision)
        }
    }

    /// The objects of a kind as they were at a revision; nil when that is no longer known.
    func list(_ kind: GroupResource, namespace: String?, at revision: Int64) -> [APIStoredObject]? {
        guarded.withLock { $0.state.list(kind, namespace: namespace, at: revision) }
    }

    /// Where a watch begins.
    enum WatchStart: Sendable {
        /// With the objects there are, then changes.
        case current
        /// With the changes after a revision.
        case after(Int64)
    }

    /// Begins a watch without a gap between `initial` and the events that follow. Nil when the history does not
    /// reach back to the start, or the store is closing.
    func watch(
        _ kind: GroupResource, from start: WatchStart
    ) -> (watcher: Watcher, objects: [APIStoredObject], changes: [APIStoreChange], revision: Int64)? {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Event.self, bufferingPolicy: .bufferingOldest(limits.watcherBuffer))
        return guarded.withLock { guarded in
            guard !guarded.isClosed else { return nil }
            var objects: [APIStoredObject] = []
            var changes: [APIStoreChange] = []
            switch start {
            case .current: objects = guarded.state.list(kind, namespace: nil)
            case .after(let revision):
                guard let known = guarded.state.history(of: kind).changes(after: revision) else { return nil }
                changes = known
            }
            guarded.nextWatcher += 1
            let watcher = Watcher(id: guarded.nextWatcher, kind: kind, events: stream)
            guarded.watchers[kind, default: [:]][watcher.id] = continuation
            return (watcher, objects, changes, guarded.state.revision)
        }
    }

    /// Asks for a bookmark in the watcher's stream, in order with its changes; `last` also ends the stream.
    func bookmark(_ watcher: Watcher, last: Bool = false) {
        guarded.withLock { guarded in
            guard let continuation = guarded.watchers[watcher.kind]?[watcher.id] else { return }
            continuation.yield(.bookmark(guarded.state.revision))
            if last {
                continuation.finish()
                guarded.watchers[watcher.kind]?[watcher.id] = nil
            }
        }
    }

    func cancel(_ watcher: Watcher) {
        guarded.withLock { $0.watchers[watcher.kind]?.removeValue(forKey: watcher.id) }?.finish()
    }

    /// Ends all watches and lets no new one begin.
    func close() {
        let continuations = guarded.withLock { guarded in
            guarded.isClosed = true
            defer { guarded.watchers = [:] }
            return guarded.watchers.values.flatMap(\.values)
        }
        for continuation in continuations { continuation.finish() }
    }
}
