/// The objects of a store by key, in the order in which they came. Pure.
///
/// An API server lists in the order of names, and what is read together lies together in memory; so who goes over all
/// objects in this order, as a resync does, waits much less for memory than in the order of hash values. The table is not
/// generic, because the compiler makes fast code only for types that it knows, and it holds references, because places
/// that are free are as large as those that are not.
struct ObjectTable: Sendable {
    /// An object of the kind that the owner of the table puts in.
    typealias Reference = any AnyObject & Sendable

    private var places = PlaceTable()
    private var entries: [(key: ObjectKey, reference: Reference)?] = []
    private var freePlaces: [Int] = []

    var count: Int { places.count }

    subscript(key: ObjectKey) -> Reference? {
        places.find(key.hashValue) { entries[$0]?.key == key }.flatMap { entries[$0]?.reference }
    }

    /// - Returns: what the key had before.
    @discardableResult
    mutating func set(_ reference: Reference, for key: ObjectKey) -> Reference? {
        if let place = places.find(key.hashValue, { entries[$0]?.key == key }) {
            defer { entries[place]?.reference = reference }
            return entries[place]?.reference
        }
        if let place = freePlaces.popLast() {
            entries[place] = (key, reference)
            places.insert(key.hashValue, place)
        } else {
            places.insert(key.hashValue, entries.count)
            entries.append((key, reference))
        }
        return nil
    }

    /// - Returns: what the key had.
    mutating func remove(_ key: ObjectKey) -> Reference? {
        guard let place = places.find(key.hashValue, { entries[$0]?.key == key }) else { return nil }
        places.remove(key.hashValue, place)
        freePlaces.append(place)
        defer { entries[place] = nil }
        return entries[place]?.reference
    }

    /// All of them.
    var all: some Sequence<(key: ObjectKey, reference: Reference)> { entries.lazy.compactMap(\.self) }

    /// Their keys.
    var keys: [ObjectKey] {
        var keys: [ObjectKey] = []
        keys.reserveCapacity(count)
        for entry in entries { if let entry { keys.append(entry.key) } }
        return keys
    }
}
