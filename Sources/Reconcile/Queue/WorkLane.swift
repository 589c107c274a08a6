/// Places of keys in the order of their arrival. A key that left by another way stays as an entry whose ticket is stale;
/// whoever takes from the lane passes over it.
struct WorkLane: Sendable {
    struct Entry: Sendable {
        /// Where the queue keeps the key's state.
        var place: Int
        var ticket: UInt64
    }

    private var entries: [Entry] = []
    private var head = 0

    /// Entries, stale ones included.
    var entryCount: Int { entries.count - head }

    mutating func append(_ entry: Entry) { entries.append(entry) }

    /// The oldest entry that is not stale; stale ones before it go.
    mutating func first(where isCurrent: (Entry) -> Bool) -> Entry? {
        while head < entries.count {
            if isCurrent(entries[head]) { return entries[head] }
            removeFirst()
        }
        return nil
    }

    mutating func removeFirst() {
        head += 1
        if head > 1024, head * 2 > entries.count {
            entries.removeFirst(head)
            head = 0
        }
    }

    /// Leaves out stale entries.
    mutating func keep(_ isCurrent: (Entry) -> Bool) {
        entries = entries[head...].filter(isCurrent)
        head = 0
    }
}
