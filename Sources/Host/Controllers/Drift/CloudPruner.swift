import Kubernetes
import Logging
import ProviderKit
import Reconcile

/// Has removed from the cloud, and from the cluster, what carries this system's names and belongs to no object: soon after
/// the start, and rarely from then on.
struct CloudPruner: Sendable {
    let objects: GatewayObjects
    let loadBalancer: BatchingCapability<LoadBalancer>
    let nodePool: BatchingCapability<NodePool>
    let keys: KeyPruner
    let settings: ManagerSettings
    let logger: Logger
    let environment: ReconcileEnvironment

    /// Works until its task is cancelled. The caller begins it when all objects have been seen once.
    func run() async throws {
        guard settings.drift.pruneSeconds > 0 else { return try await idle() }
        var random = environment.random
        // What the controllers find at the start comes first.
        try await environment.clock.sleep(for: .seconds(settings.drift.checkSeconds))
        while true {
            let isDone = await pass()
            await keys.pass()
            let wait = isDone ? settings.drift.pruneSeconds : settings.drift.checkSeconds
            try await environment.clock.sleep(for: .seconds(Int64(wait)) * Double.random(in: 1..<1.1, using: &random))
        }
    }

    private func idle() async throws {
        while true { try await environment.clock.sleep(for: .seconds(86_400)) }
    }

    /// First the nodes, whose addresses use the load balancer's pools; then the load balancer.
    ///
    /// - Returns: false if something else was under way; it is to be tried again soon.
    func pass() async -> Bool {
        let nodes = await prune(nodePool, keeping: GatewayVMConfiguration.self)
        let balancers = await prune(loadBalancer, keeping: GatewayLBConfiguration.self)
        return nodes && balancers
    }

    private func prune<Object: ProvidedObject>(
        _ capability: BatchingCapability<Object.Contract>, keeping kind: Object.Type
    ) async -> Bool {
        do {
            let results = try await capability.pruneWhenIdle {
                let list = try await objects.client.list(kind)
                // An object that cannot be read may be any object.
                if let unreadable = list.undecodable.first {
                    throw HostError(
                        .invalidObject,
                        "\(kind.resourceType.kind) \(unreadable.namespace)/\(unreadable.name): cannot be read, so that "
                            + "nobody knows what belongs to it")
                }
                return list.items.map(\.poolReference)
            }
            guard let results else { return false }
            for result in results { log(result, kind.resourceType.kind) }
            return true
        } catch let error as ProviderError where error.code == .unsupported {
            return true
        } catch {
            logger.warning(
                "the cloud cannot be pruned",
                metadata: ["kind": .string(kind.resourceType.kind), "error": .string("\(error)")])
            return true
        }
    }

    private func log(_ result: ItemResult<Nothing>, _ kind: String) {
        let metadata: Logger.Metadata = ["kind": .string(kind), "item": .string(result.id)]
        if result.code == .ok {
            logger.notice("removed from the cloud what belongs to no object", metadata: metadata)
        } else {
            logger.warning(
                "the cloud has what belongs to no object",
                metadata: metadata.merging(["reason": .string(result.message ?? result.code.rawValue)]) { $1 })
        }
    }
}
