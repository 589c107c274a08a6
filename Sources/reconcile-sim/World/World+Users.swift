import JSONModel
import Kubernetes
import Reconcile

/// What users, operators and machines do to a world.
extension World {
    static let gateways = StaticGatewayConfiguration.resourceType.plural

    func addMachine(to pool: String) {
        let name = cloud.addMachine(to: pool)
        note("machine \(name) comes")
        _ = server.insert(
            "nodes",
            ["metadata": ["name": .string(name), "labels": ["kubeegressgateway.azure.com/mode": "true"]]])
    }

    func removeMachine(_ name: String, from pool: String) {
        note("machine \(name) goes")
        cloud.removeMachine(name, from: pool)
        if let node = server.object("nodes", ObjectKey(namespace: "", name: name)) { server.delete("nodes", node) }
    }

    /// - Parameter prefix: one that the operator brings, by its name; nil: one is made, or none.
    func createGateway(_ key: ObjectKey, pool: String, publicIPs: Bool, prefix: String? = nil) {
        var object: JSONValue = [
            "apiVersion": .string("\(egressGatewayGroup)/\(egressGatewayVersion)"),
            "kind": "StaticGatewayConfiguration",
            "metadata": ["name": .string(key.name), "namespace": .string(key.namespace)],
            "spec": [
                "gatewayNodepoolName": .string(pool), "gatewayVmssProfile": [:],
                "provisionPublicIps": .bool(publicIPs), "defaultRoute": "staticEgressGateway",
            ],
        ]
        if let prefix { object["spec.publicIpPrefixId"] = .string(prefix) }
        _ = server.insert(Self.gateways, object)
    }

    /// A user's change that concerns no cloud.
    func changeGateway(_ object: JSONValue) {
        var changed = object
        changed["spec.excludeCidrs"] = ["192.168.0.0/16"]
        _ = server.replace(Self.gateways, object, by: changed)
    }

    func gateway(_ key: ObjectKey) -> JSONValue? { server.object(Self.gateways, key) }

    /// The condition that users look at.
    func readiness(of key: ObjectKey) -> JSONValue? {
        let object = gateway(key)
        let ready = (object?["status.conditions"]?.elements ?? []).first { $0["type"]?.text == "Ready" }
        // What is said of an older generation is not said of this one.
        let told = ready?["observedGeneration"]?.int.map(Int64.init)
        guard let object, told == nil || told == SimulatedServer.generation(object) else { return nil }
        return ready
    }

    /// The address users see; nil if there is none.
    func prefix(of key: ObjectKey) -> String? {
        gateway(key)?["status.egressIpPrefix"]?.text.flatMap { $0.isEmpty ? nil : $0 }
    }
}
