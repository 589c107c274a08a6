import ProviderKit

/// The cloud of one simulated world: pools of gateway machines, each with a load balancer and public prefixes.
///
/// Writes carry the version they were decided on, as Azure's ETags; only a prefix is made without one. The cloud holds
/// the rules that no provider and no controller may make it break.
///
/// `@unchecked Sendable`: touched by the main thread alone (``JobQueue``).
final class SimulatedCloud: @unchecked Sendable {
    struct Machine {
        var primaryIP: String
        var version = 1
        /// Secondary address by configuration.
        var addresses: [String: String] = [:]
    }

    struct Balancer {
        var version = 1
        /// Port by configuration.
        var ports: [String: Int] = [:]
    }

    struct Pool {
        var network: Int
        var machines: [String: Machine] = [:]
        var balancer = Balancer()
        /// Public prefix by configuration.
        var prefixes: [String: String] = [:]

        var frontendIP: String { "10.\(network).0.4" }
    }

    private(set) var pools: [String: Pool] = [:]
    /// Prefixes that the operator has made, by name; they are nobody's holding.
    private(set) var broughtPrefixes: [String: String] = [:]
    /// Writes that are on their way.
    var writesUnderWay = 0
    private var machineNumber = 0

    /// Every resource of a configuration, by names that two runs share if the configurations do.
    func holds(id: String) -> Bool {
        pools.values.contains { pool in
            pool.balancer.ports[id] != nil || pool.prefixes[id] != nil
                || pool.machines.values.contains { $0.addresses[id] != nil }
        }
    }

    /// Identifiers of all configurations that hold anything.
    var holders: Set<String> {
        var ids: Set<String> = []
        for pool in pools.values {
            ids.formUnion(pool.balancer.ports.keys)
            ids.formUnion(pool.prefixes.keys)
            for machine in pool.machines.values { ids.formUnion(machine.addresses.keys) }
        }
        return ids
    }

    func addPool(_ name: String) { pools[name] = Pool(network: pools.count + 1) }

    /// - Returns: the new machine's name.
    func addMachine(to pool: String) -> String {
        machineNumber += 1
        let name = "\(pool)-\(machineNumber)"
        let network = pools[pool]?.network ?? 0
        pools[pool]?.machines[name] = Machine(primaryIP: "10.\(network).1.\(machineNumber)")
        return name
    }

    func bringPrefix(_ name: String, _ prefix: String) { broughtPrefixes[name] = prefix }

    func removeMachine(_ name: String, from pool: String) { pools[pool]?.machines[name] = nil }

    // MARK: Writes

    /// Replaces the rules of a load balancer.
    ///
    /// - Throws: `conflict` unless the version is the present one.
    func setPorts(_ ports: [String: Int], of pool: String, ifVersion version: Int) throws(ProviderError) {
        guard pools[pool]?.balancer.version == version else {
            throw ProviderError(.conflict, "load balancer of \(pool): the version is another one")
        }
        pools[pool]?.balancer = Balancer(version: version + 1, ports: ports)
    }

    /// Makes a public prefix, or leaves the one that is there.
    func makePrefix(for id: String, in pool: String) throws(ProviderError) {
        guard let found = pools[pool], found.prefixes[id] == nil else { return }
        let taken = Set(pools.values.flatMap(\.prefixes.values))
        let free = (0..<128).map { "203.0.113.\($0 * 2)/31" }.first { !taken.contains($0) }
        guard let free else { throw ProviderError(.retry, "no public prefix is left") }
        pools[pool]?.prefixes[id] = free
    }

    /// Removes a public prefix; refused while a machine uses it.
    func removePrefix(of id: String, in pool: String) throws(ProviderError) {
        guard let found = pools[pool] else { return }
        guard !found.machines.values.contains(where: { $0.addresses[id] != nil }) else {
            throw ProviderError(.retry, "prefix of \(id): is in use")
        }
        pools[pool]?.prefixes[id] = nil
    }

    /// Gives a machine addresses for exactly these configurations; those it has stay the same.
    func setAddresses(
        of ids: Set<String>, machine: String, in pool: String, ifVersion version: Int
    ) throws(ProviderError) {
        guard var found = pools[pool]?.machines[machine] else {
            throw ProviderError(.retry, "machine \(machine): is gone")
        }
        guard found.version == version else {
            throw ProviderError(.conflict, "machine \(machine): the version is another one")
        }
        var taken = Set(pools.values.flatMap { $0.machines.values.flatMap(\.addresses.values) })
        found.addresses = found.addresses.filter { ids.contains($0.key) }
        let network = pools[pool]?.network ?? 0
        for id in ids.sorted() where found.addresses[id] == nil {
            let free = (1...250).map { "10.\(network).2.\($0)" }.first { !taken.contains($0) }
            guard let free else { throw ProviderError(.retry, "the subnet of \(pool) is full") }
            taken.insert(free)
            found.addresses[id] = free
        }
        found.version += 1
        pools[pool]?.machines[machine] = found
    }
}
