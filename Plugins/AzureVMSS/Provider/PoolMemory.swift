import AzureARM
import ProviderKit

/// What a check need not read again: things that cannot change while they exist.
actor PoolMemory {
    /// How long a pool of machines and a brought prefix are taken for granted.
    static let lifetime = Duration.seconds(10 * 60)
    /// How long the model of a scale set goes unread. A manager looks every 15 s: at what serves traffic, the network
    /// interfaces, each time, and at the model every second time.
    static let modelLifetime = Duration.seconds(20)
    /// How long the list of prefixes goes unread. Azure lets nobody delete one that is used, so it is looked at once a
    /// minute.
    static let prefixListLifetime = Duration.seconds(50)
    /// How long the instances' own models go unread: what takes effect is read each time.
    static let deepInterval = Duration.seconds(5 * 60)
    /// Entries of each kind at most; above, all are forgotten, which costs one read each.
    private static let maximumEntries = 10_000

    private struct Entry<Value: Sendable> {
        var value: Value
        var until: HostInstant
    }

    private var machines: [PoolSelector: Entry<MachinePool>] = [:]
    private var prefixes: [ResourceID: Entry<EgressPrefix>] = [:]
    private var names: [ResourceID: Entry<[String: String]>] = [:]
    private var scaleSets: [PoolSelector: Entry<PoolLookup>] = [:]
    private var prefixList: Entry<PrefixKeeper.Listing>?
    /// Counts what may have changed the cloud.
    private(set) var edition = 0

    init() {}

    /// To be called before and after each of our own writes: what was read before or meanwhile is not as it was.
    func forgetLooks() {
        edition += 1
        scaleSets = [:]
        prefixList = nil
    }

    /// - Parameter edition: when the reading began; it counts only if nothing was written since.
    func remember(prefixList listing: PrefixKeeper.Listing, edition: Int, at now: HostInstant) {
        guard edition == self.edition else { return }
        prefixList = Entry(value: listing, until: now.advanced(by: Self.prefixListLifetime))
    }

    func prefixList(at now: HostInstant) -> PrefixKeeper.Listing? {
        guard let entry = prefixList, now < entry.until else { return nil }
        return entry.value
    }

    /// - Parameter edition: as above.
    func remember(scaleSets found: [PoolSelector: PoolLookup], edition: Int, at now: HostInstant) {
        guard edition == self.edition else { return }
        if scaleSets.count > Self.maximumEntries { scaleSets = [:] }
        for (selector, lookup) in found {
            guard case .found(.scaleSet) = lookup else { continue }
            scaleSets[selector] = Entry(value: lookup, until: now.advanced(by: Self.modelLifetime))
        }
    }

    func scaleSet(_ selector: PoolSelector, at now: HostInstant) -> PoolLookup? {
        guard let entry = scaleSets[selector], now < entry.until else { return nil }
        return entry.value
    }

    func remember(_ found: [PoolSelector: PoolLookup], at now: HostInstant) {
        if machines.count > Self.maximumEntries { machines = [:] }
        for (selector, lookup) in found {
            if case .found(.machines(let pool)) = lookup {
                machines[selector] = Entry(value: pool, until: now.advanced(by: Self.lifetime))
            } else {
                machines[selector] = nil
            }
        }
    }

    func machinePool(_ selector: PoolSelector, at now: HostInstant) -> MachinePool? {
        guard let entry = machines[selector], now < entry.until else { return nil }
        return entry.value
    }

    func remember(_ prefix: EgressPrefix, at now: HostInstant) {
        if prefixes.count > Self.maximumEntries { prefixes = [:] }
        prefixes[prefix.id] = Entry(value: prefix, until: now.advanced(by: Self.lifetime))
    }

    func prefix(_ id: ResourceID, at now: HostInstant) -> EgressPrefix? {
        guard let entry = prefixes[id], now < entry.until else { return nil }
        return entry.value
    }

    /// Computer names by instance id; ids are not used again.
    func remember(names: [String: String], of scaleSet: ResourceID, at now: HostInstant) {
        if self.names.count > Self.maximumEntries { self.names = [:] }
        self.names[scaleSet] = Entry(value: names, until: now.advanced(by: Self.deepInterval))
    }

    /// Nil if one of the instances is not known, or it is time to look at them again.
    func names(of scaleSet: ResourceID, instances: Set<String>, at now: HostInstant) -> [String: String]? {
        guard let entry = names[scaleSet], now < entry.until, instances.isSubset(of: entry.value.keys) else {
            return nil
        }
        return entry.value
    }
}
