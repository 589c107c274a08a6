import AzureARM
import ProviderKit

/// The unique ids of pools: names of frontends and backend pools.
///
/// A pool keeps its id for as long as it exists, so a check need not ask for it each time. One that was deleted and
/// made again under its name has another; what is remembered is asked for again after a while, and by every `ensure`.
actor PoolIdentities {
    private struct Entry {
        var uniqueID: String
        var until: HostInstant
    }

    /// How long an id is taken for granted.
    static let lifetime = Duration.seconds(6 * 3600)
    /// Pools remembered at most; above, all are forgotten, which costs one look-up.
    private static let maximumEntries = 10_000

    private let directory: PoolDirectory
    private var entries: [PoolSelector: Entry] = [:]

    init(directory: PoolDirectory) {
        self.directory = directory
    }

    /// Each selector's unique id, read from the cloud.
    func refreshed(
        _ selectors: Set<PoolSelector>, _ context: CallContext
    ) async throws -> [PoolSelector: Result<String, ProviderError>] {
        let pools = try await directory.find(selectors, deadline: context.deadline)
        if entries.count > Self.maximumEntries { entries = [:] }
        let until = context.host.now.advanced(by: Self.lifetime)
        var result: [PoolSelector: Result<String, ProviderError>] = [:]
        for (selector, lookup) in pools {
            do {
                let uniqueID = try lookup.get().uniqueID
                result[selector] = .success(uniqueID)
                entries[selector] = Entry(uniqueID: uniqueID, until: until)
            } catch {
                result[selector] = .failure(ProviderError(error))
                entries[selector] = nil
            }
        }
        return result
    }

    /// Each selector's unique id; reads only for those that are not known, or were asked for too long ago.
    func known(
        _ selectors: Set<PoolSelector>, _ context: CallContext
    ) async throws -> [PoolSelector: Result<String, ProviderError>] {
        let now = context.host.now
        var result: [PoolSelector: Result<String, ProviderError>] = [:]
        for selector in selectors {
            guard let entry = entries[selector], now < entry.until else { continue }
            result[selector] = .success(entry.uniqueID)
        }
        let unknown = selectors.filter { result[$0] == nil }
        guard !unknown.isEmpty else { return result }
        return result.merging(try await refreshed(unknown, context)) { _, new in new }
    }
}
