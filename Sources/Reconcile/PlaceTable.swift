/// Finds the places of keys by their hash values: a hash table with linear probing that keeps nothing but the hash
/// value and the place of each key (Knuth, The Art of Computer Programming, volume 3, section 6.4, algorithms L and R).
///
/// A `Dictionary` reads the keys that stand beside one that is removed, and each of them is somewhere else in memory. A
/// controller looks up, adds and removes a key in each run. Pure; the caller knows which key is at a place.
struct PlaceTable: Sendable {
    private struct Bucket: Sendable {
        var hash: UInt32 = 0
        /// One more than the place; 0: nothing is here.
        var mark: UInt32 = 0
    }

    private var buckets: [Bucket] = Array(repeating: Bucket(), count: Self.least)
    private(set) var count = 0

    /// Buckets of an empty table; all numbers of buckets are powers of two.
    private static var least: Int { 16 }

    /// - Parameter isKey: whether the key that is looked for is at this place; asked only where the hash values agree.
    func find(_ hash: Int, _ isKey: (Int) -> Bool) -> Int? {
        let short = Self.shortened(hash)
        var index = home(of: short)
        while buckets[index].mark != 0 {
            if buckets[index].hash == short, isKey(Int(buckets[index].mark) - 1) { return Int(buckets[index].mark) - 1 }
            index = next(index)
        }
        return nil
    }

    /// Adds a place; its key must not have one yet. Places are below 2^31.
    mutating func insert(_ hash: Int, _ place: Int) {
        if 2 * (count + 1) > buckets.count { resize(to: 2 * buckets.count) }
        put(Bucket(hash: Self.shortened(hash), mark: UInt32(place) + 1))
        count += 1
    }

    /// Removes a place, if it is there.
    mutating func remove(_ hash: Int, _ place: Int) {
        var hole = home(of: Self.shortened(hash))
        while buckets[hole].mark != UInt32(place) + 1 {
            guard buckets[hole].mark != 0 else { return }
            hole = next(hole)
        }
        count -= 1
        // What stands behind the hole and may stand in it moves up, so that no search ends too early.
        var index = next(hole)
        while buckets[index].mark != 0 {
            let wanted = home(of: buckets[index].hash)
            if (index &- wanted) & (buckets.count - 1) >= (index &- hole) & (buckets.count - 1) {
                buckets[hole] = buckets[index]
                hole = index
            }
            index = next(index)
        }
        buckets[hole] = Bucket()
    }

    private mutating func put(_ bucket: Bucket) {
        var index = home(of: bucket.hash)
        while buckets[index].mark != 0 { index = next(index) }
        buckets[index] = bucket
    }

    private mutating func resize(to size: Int) {
        let old = buckets
        buckets = Array(repeating: Bucket(), count: size)
        for bucket in old where bucket.mark != 0 { put(bucket) }
    }

    private func home(of hash: UInt32) -> Int { Int(hash) & (buckets.count - 1) }

    private func next(_ index: Int) -> Int { (index + 1) & (buckets.count - 1) }

    private static func shortened(_ hash: Int) -> UInt32 { UInt32(truncatingIfNeeded: hash) }
}
