/// The latest changes of one kind, bounded: watches resume from it and consistent pages are made with it.
struct APIWatchHistory: Sendable {
    /// Most changes kept.
    let capacity: Int
    /// Changes up to and including this revision are no longer known.
    private(set) var floor: Int64
    private var ring: [APIStoreChange] = []
    /// Index of the oldest change in a full ring.
    private var start = 0

    init(capacity: Int, floor: Int64) {
        self.capacity = max(1, capacity)
        self.floor = floor
    }

    var count: Int { ring.count }

    mutating func append(_ change: APIStoreChange) {
        if ring.count < capacity {
            ring.append(change)
        } else {
            floor = ring[start].revision
            ring[start] = change
            start = (start + 1) % capacity
        }
    }

    /// The changes after a revision, oldest first; nil when some of them are forgotten.
    func changes(after revision: Int64) -> [APIStoreChange]? {
        guard revision >= floor else { return nil }
        return ordered.filter { $0.revision > revision }
    }

    private var ordered: [APIStoreChange] { Array(ring[start...] + ring[..<start]) }
}
