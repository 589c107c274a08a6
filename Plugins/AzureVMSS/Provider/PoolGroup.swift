import AzureARM
import ProviderKit

/// The items of one call that share a pool.
struct PoolGroup<Item: Identified & Sendable>: Sendable {
    let lookup: PoolLookup
    private(set) var items: [Item]

    /// Pools that one call works on at the same time; each writes its own machines with a bound of its own.
    static var parallelism: Int { 4 }

    /// - Parameter selector: what an item calls its pool. Two selectors can mean the same one; then their items share its
    ///   writes.
    /// - Returns: in the order of their first items.
    static func all(
        _ items: [Item], in pools: [PoolSelector: PoolLookup], by selector: (Item) -> PoolSelector
    ) -> [PoolGroup] {
        var groups: [PoolGroup] = []
        var positions: [Key: Int] = [:]
        for item in items {
            let name = selector(item)
            let lookup = pools[name] ?? .failed(ProviderError(.retry, "pool: was not looked up"))
            let key = Key(lookup, name)
            if let position = positions[key] {
                groups[position].items.append(item)
            } else {
                positions[key] = groups.count
                groups.append(PoolGroup(lookup: lookup, items: [item]))
            }
        }
        return groups
    }

    /// Runs `body` for each group, each failing alone.
    static func separately<Value: Sendable>(
        _ groups: [PoolGroup],
        _ body: @escaping @Sendable (PoolGroup) async throws -> [String: Result<Value, ProviderError>]
    ) async -> [String: Result<Value, ProviderError>] {
        let results = await concurrently(groups, limit: parallelism) { group in
            do {
                return try await body(group)
            } catch {
                let failure = Result<Value, ProviderError>.failure(ProviderError(error))
                return Dictionary(group.items.map { ($0.id, failure) }) { first, _ in first }
            }
        }
        return results.reduce(into: [:]) { all, result in all.merge(result) { first, _ in first } }
    }

    private enum Key: Hashable {
        /// The unique id beside the pool: that of machines depends on the case of the name.
        case pool(String, uniqueID: String)
        case selector(PoolSelector)

        init(_ lookup: PoolLookup, _ selector: PoolSelector) {
            if case .found(let pool) = lookup {
                self = .pool(AzureNodePool.queue(pool), uniqueID: pool.uniqueID)
            } else {
                self = .selector(selector)
            }
        }
    }
}
