import GRDB

/// The SQLite file of the store: one row per object, and the revision counter.
///
/// Durability: WAL with `synchronous=NORMAL`. A committed transaction is in the kernel's page cache before the write
/// is acknowledged, so it survives `kill -9` of this process at any moment; only a crash of the machine itself could
/// lose the last transactions (never tear one). That is the right price for a lab on one machine.
struct APIStoreDatabase: Sendable {
    let queue: DatabaseQueue

    /// Opens or makes the file at `path` and takes it for this process alone.
    init(path: String) throws {
        var configuration = Configuration()
        configuration.label = "api-server-store"
        configuration.busyMode = .timeout(1)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            _ = try String.fetchOne(database, sql: "PRAGMA journal_mode = WAL")
            try database.execute(sql: "PRAGMA synchronous = NORMAL")
        }
        queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.write { database in
            try database.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS object (
                        api_group TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
                        revision INTEGER NOT NULL, body TEXT NOT NULL,
                        PRIMARY KEY (api_group, resource, namespace, name)
                    ) WITHOUT ROWID;
                    CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
                    INSERT OR IGNORE INTO counter (name, value) VALUES ('revision', 1);
                    """)
        }
    }

    /// A row as it was stored.
    struct Row: Sendable {
        var key: APIObjectKey
        var revision: Int64
        var body: [UInt8]
    }

    /// Everything in the file.
    func load() throws -> (revision: Int64, rows: [Row]) {
        try queue.read { database in
            let revision = try Int64.fetchOne(database, sql: "SELECT value FROM counter WHERE name = 'revision'") ?? 1
            let cursor = try GRDB.Row.fetchCursor(
                database, sql: "SELECT api_group, resource, namespace, name, revision, body FROM object")
            var rows: [Row] = []
            while let row = try cursor.next() {
                let kind = GroupResource(group: row[0], resource: row[1])
                let text: String = row[5]
                rows.append(
                    Row(
                        key: APIObjectKey(kind: kind, namespace: row[2], name: row[3]), revision: row[4],
                        body: Array(text.utf8)))
            }
            return (revision, rows)
        }
    }

    /// Writes changes; the caller holds a transaction.
    static func persist(_ changes: [APIStoreChange], in database: Database) throws {
        guard let last = changes.last else { return }
        let put = try database.cachedStatement(
            sql: """
                INSERT INTO object (api_group, resource, namespace, name, revision, body) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET revision = excluded.revision, body = excluded.body
                """)
        let delete = try database.cachedStatement(
            sql: "DELETE FROM object WHERE api_group = ? AND resource = ? AND namespace = ? AND name = ?")
        for change in changes {
            let key = change.object.key
            if change.kind == .deleted {
                try delete.execute(arguments: [key.kind.group, key.kind.resource, key.namespace, key.name])
            } else {
                try put.execute(arguments: [
                    key.kind.group, key.kind.resource, key.namespace, key.name, change.revision,
                    String(decoding: change.object.body, as: UTF8.self),
                ])
            }
        }
        try database.cachedStatement(sql: "UPDATE counter SET value = ? WHERE name = 'revision'")
            .execute(arguments: [last.revision])
    }
}
