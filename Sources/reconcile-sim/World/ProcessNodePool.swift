import Host
import ProviderKit

/// A node pool provider as the Azure one works: a prefix per configuration, then one write per machine for all
/// configurations of the batch. A machine that fails leaves the batch half applied.
struct ProcessNodePool: CapabilityClient {
    typealias Contract = NodePool

    private let api: ProcessCloud

    init(process: SimulatedProcess) {
        api = ProcessCloud(process: process)
    }

    func ensure(_ items: [NodePool.Desired]) async throws -> [ItemResult<NodePool.Observed>] {
        var results: [ItemResult<NodePool.Observed>] = []
        for (name, items) in grouped(items, by: \.pool) {
            do {
                try await api.read()
                guard api.cloud.pools[name] != nil else {
                    throw ProviderError(.terminal, "pool \"\(name)\" does not exist", reason: .poolNotFound)
                }
                results += items.filter { !hasItsPrefix($0) }.map { observed($0, in: name) }
                let items = items.filter(hasItsPrefix)
                for item in items where makesPrefix(item) && api.cloud.pools[name]?.prefixes[item.id] == nil {
                    try await api.write("prefix of \(item.id)") { [cloud = api.cloud] () throws(ProviderError) in
                        try cloud.makePrefix(for: item.id, in: name)
                    }
                }
                let ids = items.map(\.id)
                try await eachMachine(of: name) { $0.formUnion(ids) }
                results += items.map { observed($0, in: name) }
            } catch {
                results += items.map { ItemResult(id: $0.id, ProviderError(error)) }
            }
        }
        return results
    }

    func remove(_ items: [PoolReference]) async throws -> [ItemResult<Nothing>] {
        var results: [ItemResult<Nothing>] = []
        for (name, items) in grouped(items, by: \.pool) {
            do {
                try await remove(items.map(\.id), from: name)
                results += items.map { ItemResult(id: $0.id, code: .ok) }
            } catch {
                results += items.map { ItemResult(id: $0.id, ProviderError(error)) }
            }
        }
        return results
    }

    func check(_ items: [NodePool.Desired]) async throws -> [ItemResult<NodePool.Observed>] {
        try await api.read()
        return items.map { item in
            let name = item.pool.simulatedName
            guard let pool = api.cloud.pools[name] else {
                return ItemResult(id: item.id, ProviderError(.terminal, "no pool", reason: .poolNotFound))
            }
            let bare = pool.machines.filter { $0.value.addresses[item.id] == nil }.keys.sorted()
            let hasPrefix = !makesPrefix(item) || pool.prefixes[item.id] != nil
            guard bare.isEmpty, hasPrefix else {
                return ItemResult(
                    id: item.id, code: .conflict, message: "drift",
                    drift: bare.map { "machine \($0) has no address" } + (hasPrefix ? [] : ["the prefix is gone"]))
            }
            return observed(item, in: name)
        }
    }

    func prune(keeping items: [PoolReference], namespaces: [String]) async throws -> [ItemResult<Nothing>] {
        let kept = Set(items.map(\.id))
        var results: [ItemResult<Nothing>] = []
        for name in api.cloud.pools.keys.sorted() {
            try await api.read()
            guard let pool = api.cloud.pools[name] else { continue }
            let held = Set(pool.prefixes.keys).union(pool.machines.values.flatMap(\.addresses.keys))
            let orphans = held.subtracting(kept).sorted()
            guard !orphans.isEmpty else { continue }
            try await remove(orphans, from: name)
            results += orphans.map { ItemResult(id: $0, code: .ok) }
        }
        return results
    }

    func status(_ items: [PoolReference]) async throws -> [ItemResult<NodePool.Observed>] {
        try await api.read()
        return items.map { item in
            let name = item.pool.simulatedName
            guard api.cloud.pools[name] != nil else {
                return ItemResult(id: item.id, ProviderError(.terminal, "no pool", reason: .poolNotFound))
            }
            let desired = NodePool.Desired(
                id: item.id, pool: item.pool, publicIPs: api.cloud.pools[name]?.prefixes[item.id] != nil,
                prefixLength: nil, prefixID: nil)
            return observed(desired, in: name)
        }
    }

    private func remove(_ ids: [String], from name: String) async throws(ProviderError) {
        try await api.read()
        guard api.cloud.pools[name] != nil else { return }
        try await eachMachine(of: name) { $0.subtract(ids) }
        for id in ids where api.cloud.pools[name]?.prefixes[id] != nil {
            try await api.write("prefix of \(id) removed") { [cloud = api.cloud] () throws(ProviderError) in
                try cloud.removePrefix(of: id, in: name)
            }
        }
    }

    /// Changes whose configurations the machines serve. All machines are tried; the first failure counts.
    private func eachMachine(of name: String, _ edit: (inout Set<String>) -> Void) async throws(ProviderError) {
        var failure: ProviderError?
        for machine in api.cloud.pools[name]?.machines.keys.sorted() ?? [] {
            do throws(ProviderError) {
                try await api.read()
                guard let seen = api.cloud.pools[name]?.machines[machine] else { continue }
                let before = Set(seen.addresses.keys)
                var ids = before
                edit(&ids)
                guard ids != before else { continue }
                let wanted = ids
                try await api.write("machine \(machine)") { [cloud = api.cloud] () throws(ProviderError) in
                    try cloud.setAddresses(of: wanted, machine: machine, in: name, ifVersion: seen.version)
                }
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    /// Whether the prefix that it brings is there, if it brings one.
    private func hasItsPrefix(_ item: NodePool.Desired) -> Bool {
        item.prefixID.map { api.cloud.broughtPrefixes[$0] != nil } ?? true
    }

    private func makesPrefix(_ item: NodePool.Desired) -> Bool { item.publicIPs && item.prefixID == nil }

    private func observed(_ item: NodePool.Desired, in name: String) -> ItemResult<NodePool.Observed> {
        let pool = api.cloud.pools[name]
        let nodes = (pool?.machines ?? [:]).sorted { $0.key < $1.key }.compactMap { machine in
            machine.value.addresses[item.id].map {
                NodePool.Node(nodeName: machine.key, primaryIP: machine.value.primaryIP, secondaryIP: $0)
            }
        }
        let own = item.publicIPs ? pool?.prefixes[item.id] ?? "" : nodes.map(\.secondaryIP).joined(separator: ",")
        let brought = item.prefixID.map { api.cloud.broughtPrefixes[$0] }
        guard let prefix = brought ?? own else {
            let message = "prefix \"\(item.prefixID ?? "")\" does not exist"
            return ItemResult(id: item.id, ProviderError(.terminal, message, reason: .prefixNotFound))
        }
        return ItemResult(
            id: item.id, code: .ok, observed: NodePool.Observed(egressPrefix: prefix, nodes: nodes))
    }
}
