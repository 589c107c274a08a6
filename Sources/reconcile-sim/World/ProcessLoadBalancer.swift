import Host
import ProviderKit

/// A load balancer provider as the Azure one works: read the balancer, change it for the whole batch, write it once
/// under its version.
struct ProcessLoadBalancer: CapabilityClient {
    typealias Contract = LoadBalancer

    private let api: ProcessCloud
    private let plant: Plant

    init(process: SimulatedProcess, plant: Plant) {
        api = ProcessCloud(process: process)
        self.plant = plant
    }

    func ensure(_ items: [LoadBalancer.Desired]) async throws -> [ItemResult<LoadBalancer.Observed>] {
        var results: [ItemResult<LoadBalancer.Observed>] = []
        for (name, items) in grouped(items, by: \.pool) {
            do {
                let (frontend, ports) = try await change(name) { ports in
                    for item in items where ports[item.id] == nil {
                        ports[item.id] = plant.port(among: ports)
                    }
                }
                results += items.map {
                    ItemResult(
                        id: $0.id, code: .ok,
                        observed: LoadBalancer.Observed(frontendIP: frontend, port: ports[$0.id] ?? 0))
                }
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
                if api.cloud.pools[name] != nil, plant != .forgetRemoval {
                    _ = try await change(name) { ports in for item in items { ports[item.id] = nil } }
                }
                results += items.map { ItemResult(id: $0.id, code: .ok) }
            } catch {
                results += items.map { ItemResult(id: $0.id, ProviderError(error)) }
            }
        }
        return results
    }

    func check(_ items: [LoadBalancer.Desired]) async throws -> [ItemResult<LoadBalancer.Observed>] {
        try await api.read()
        return items.map { item in
            guard let pool = api.cloud.pools[item.pool.simulatedName] else {
                return ItemResult(id: item.id, ProviderError(.terminal, "no pool", reason: .poolNotFound))
            }
            guard let port = pool.balancer.ports[item.id] else {
                return ItemResult(id: item.id, code: .conflict, message: "drift", drift: ["the rule is gone"])
            }
            return ItemResult(
                id: item.id, code: .ok, observed: LoadBalancer.Observed(frontendIP: pool.frontendIP, port: port))
        }
    }

    func prune(keeping items: [PoolReference], namespaces: [String]) async throws -> [ItemResult<Nothing>] {
        let kept = Set(items.map(\.id))
        var results: [ItemResult<Nothing>] = []
        for name in api.cloud.pools.keys.sorted() {
            var orphans: [String] = []
            _ = try await change(name) { ports in
                orphans = ports.keys.filter { !kept.contains($0) }.sorted()
                for id in orphans { ports[id] = nil }
            }
            results += orphans.map { ItemResult(id: $0, code: .ok) }
        }
        return results
    }

    func status(_ items: [PoolReference]) async throws -> [ItemResult<LoadBalancer.Observed>] {
        try await api.read()
        return items.map { item in
            guard let pool = api.cloud.pools[item.pool.simulatedName], let port = pool.balancer.ports[item.id] else {
                return ItemResult(id: item.id, ProviderError(.retry, "no rule"))
            }
            return ItemResult(
                id: item.id, code: .ok, observed: LoadBalancer.Observed(frontendIP: pool.frontendIP, port: port))
        }
    }

    /// Reads, edits and, if there is anything to change, writes.
    private func change(
        _ name: String, _ edit: (inout [String: Int]) -> Void
    ) async throws(ProviderError) -> (frontend: String, ports: [String: Int]) {
        try await api.read()
        guard let pool = api.cloud.pools[name] else {
            throw ProviderError(.terminal, "pool \"\(name)\" does not exist", reason: .poolNotFound)
        }
        let seen = pool.balancer
        var ports = seen.ports
        edit(&ports)
        if ports != seen.ports {
            let (cloud, plant, wanted) = (api.cloud, plant, ports)
            try await api.write("load balancer of \(name)") { () throws(ProviderError) in
                let version = plant == .ignoreVersions ? cloud.pools[name]?.balancer.version ?? 0 : seen.version
                try cloud.setPorts(wanted, of: name, ifVersion: version)
            }
        }
        return (pool.frontendIP, ports)
    }
}
