import AzureARM
import JSONModel
import ProviderKit

/// Reads the instances of scale sets and their network interfaces: one call each, whatever their number.
struct ScaleSetReader: Sendable {
    let client: ARMClient

    static let instancePath = "properties.networkProfileConfiguration.networkInterfaceConfigurations"

    /// The instances that are there to stay.
    func instances(_ pool: ScaleSetPool, _ context: CallContext) async throws -> [JSONValue] {
        try await client.list(
            child("virtualMachines", of: pool), version: APIVersion.compute, deadline: context.deadline
        )
        .filter { $0["properties.provisioningState"]?.text != "Deleting" }
    }

    /// The network interfaces of all instances, by instance id.
    func interfaces(_ pool: ScaleSetPool, _ context: CallContext) async throws -> [String: [JSONValue]] {
        let listed = try await client.list(
            child("networkInterfaces", of: pool), version: APIVersion.scaleSetNetwork, deadline: context.deadline)
        return Dictionary(grouping: listed) { interface -> String in
            interface["properties.virtualMachine.id"]?.text.flatMap(ResourceID.init)?.name ?? ""
        }
    }

    private func child(_ type: String, of pool: ScaleSetPool) -> ResourceID {
        ResourceID(
            subscription: pool.id.subscription, resourceGroup: pool.id.resourceGroup, provider: pool.id.provider,
            path: pool.id.path + [type])
    }

    /// The instances that have a name and network interfaces, by instance id.
    func nodes(
        _ instances: [JSONValue], _ interfaces: [String: [JSONValue]], of pool: ScaleSetPool
    ) -> [String: PoolNode] {
        var nodes: [String: PoolNode] = [:]
        for instance in instances {
            guard let name = instance["properties.osProfile.computerName"]?.text, let id = instance["instanceId"]?.text,
                let own = interfaces[id]
            else { continue }
            nodes[id] = Self.node(name, id, own, of: pool)
        }
        return nodes
    }

    static func node(_ name: String, _ instanceID: String, _ interfaces: [JSONValue], of pool: ScaleSetPool) -> PoolNode
    {
        PoolNode(
            name: name, resource: "virtualMachineScaleSets/\(pool.id.name)/virtualMachines/\(instanceID)",
            interfaces: interfaces)
    }

    /// The nodes of a pool, in the order of its instances: two calls.
    func nodes(_ pool: ScaleSetPool, _ context: CallContext) async throws -> [PoolNode] {
        let instances = try await instances(pool, context)
        let nodes = nodes(instances, try await interfaces(pool, context), of: pool)
        return instances.compactMap { nodes[$0["instanceId"]?.text ?? ""] }
    }
}
