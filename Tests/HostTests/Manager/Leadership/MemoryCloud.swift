import ProviderKit
import Synchronization

@testable import Host

/// A cloud in memory that writes down who changed it.
final class MemoryCloud: Sendable {
    struct Write: Sendable, Equatable {
        var manager: String
        var item: String
    }

    private let state = Mutex<(ports: [String: Int], writes: [Write])>(([:], []))

    var writes: [Write] { state.withLock { $0.writes } }

    fileprivate func ensure(_ id: String, by manager: String) -> Int {
        state.withLock { state in
            state.writes.append(Write(manager: manager, item: id))
            let port = state.ports[id] ?? 6000 + state.ports.count
            state.ports[id] = port
            return port
        }
    }

    fileprivate func remove(_ id: String, by manager: String) {
        state.withLock { state in
            state.writes.append(Write(manager: manager, item: id))
            state.ports[id] = nil
        }
    }
}

/// The cloud as one manager's load balancer provider.
struct MemoryLoadBalancer: CapabilityClient {
    typealias Contract = LoadBalancer
    let cloud: MemoryCloud
    let manager: String

    func ensure(_ items: [LoadBalancer.Desired]) async throws -> [ItemResult<LoadBalancer.Observed>] {
        items.map { item in
            let port = cloud.ensure(item.id, by: manager)
            return ItemResult(id: item.id, code: .ok, observed: .init(frontendIP: "10.0.0.4", port: port))
        }
    }

    func remove(_ items: [PoolReference]) async throws -> [ItemResult<Nothing>] {
        for item in items { cloud.remove(item.id, by: manager) }
        return items.map { ItemResult(id: $0.id, code: .ok) }
    }

    func check(_ items: [LoadBalancer.Desired]) async throws -> [ItemResult<LoadBalancer.Observed>] {
        throw ProviderError(.unsupported, "not offered")
    }

    func prune(keeping items: [PoolReference], namespaces: [String]) async throws -> [ItemResult<Nothing>] {
        throw ProviderError(.unsupported, "not offered")
    }

    func status(_ items: [PoolReference]) async throws -> [ItemResult<LoadBalancer.Observed>] {
        throw ProviderError(.unsupported, "not offered")
    }
}

/// The cloud as one manager's node pool provider: two nodes for everything.
struct MemoryNodePool: CapabilityClient {
    typealias Contract = NodePool
    let cloud: MemoryCloud
    let manager: String

    static let nodes = ["gw-1", "gw-2"]

    func ensure(_ items: [NodePool.Desired]) async throws -> [ItemResult<NodePool.Observed>] {
        items.map { item in
            let number = cloud.ensure(item.id, by: manager) - 6000
            let nodes = Self.nodes.enumerated().map { index, name in
                NodePool.Node(nodeName: name, primaryIP: "10.0.1.\(index)", secondaryIP: "10.0.\(2 + number).\(index)")
            }
            return ItemResult(
                id: item.id, code: .ok, observed: .init(egressPrefix: "203.0.113.\(number * 2)/31", nodes: nodes))
        }
    }

    func remove(_ items: [PoolReference]) async throws -> [ItemResult<Nothing>] {
        for item in items { cloud.remove(item.id, by: manager) }
        return items.map { ItemResult(id: $0.id, code: .ok) }
    }

    func check(_ items: [NodePool.Desired]) async throws -> [ItemResult<NodePool.Observed>] {
        throw ProviderError(.unsupported, "not offered")
    }

    func prune(keeping items: [PoolReference], namespaces: [String]) async throws -> [ItemResult<Nothing>] {
        throw ProviderError(.unsupported, "not offered")
    }

    func status(_ items: [PoolReference]) async throws -> [ItemResult<NodePool.Observed>] {
        throw ProviderError(.unsupported, "not offered")
    }
}
