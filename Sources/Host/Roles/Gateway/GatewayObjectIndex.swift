import Kubernetes
import Reconcile

/// Finds the objects that concern one gateway node, so that a plan costs what the node serves and not what the cluster
/// holds: it is made anew with every pod that comes or goes.
struct GatewayObjectIndex: Sendable {
    let configurations: ObjectStore<StaticGatewayConfiguration>
    /// With the indexes ``machineIndexes``.
    let machines: ObjectStore<GatewayVMConfiguration>
    /// With the indexes ``endpointIndexes``.
    let endpoints: ObjectStore<PodEndpoint>

    private static let node = "node"

    /// By the nodes that have addresses of it: their names in small letters, and their primary addresses.
    static let machineIndexes: [String: ObjectStore<GatewayVMConfiguration>.IndexFunction] = [
        node: { machine in
            (machine.status?.gatewayVMProfiles ?? []).flatMap { [$0.nodeName.lowercased(), $0.primaryIP] }
        }
    ]

    /// By the configuration that they name.
    static let endpointIndexes: [String: ObjectStore<PodEndpoint>.IndexFunction] = [
        GatewayUse.index: GatewayUse.configurations
    ]

    /// The plan of the node, which is that of all objects: those that are left out here do not name it, or belong to no
    /// configuration that does.
    func plan(nodeName: String, nodeAddresses: Set<String>) -> GatewayPlan {
        var own: [ObjectKey: GatewayVMConfiguration] = [:]
        for value in nodeAddresses.union([nodeName.lowercased()]) {
            for machine in machines.objects(inIndex: Self.node, value: value) { own[ObjectKey(machine)] = machine }
        }
        let served = own.keys.compactMap { configurations[$0] }
        return GatewayPlan(
            nodeName: nodeName, nodeAddresses: nodeAddresses, configurations: served, machines: Array(own.values),
            endpoints: served.flatMap {
                endpoints.objects(inIndex: GatewayUse.index, value: ObjectKey($0).description)
            })
    }
}
