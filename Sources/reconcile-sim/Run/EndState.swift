import JSONModel
import Kubernetes
import Reconcile

/// What a run comes to, in a form that two runs share although identifiers, addresses and times differ.
enum EndState {
    private static let balancers = GatewayLBConfiguration.resourceType.plural
    private static let machines = GatewayVMConfiguration.resourceType.plural
    private static let gateways = StaticGatewayConfiguration.resourceType.plural

    /// One line per object and per holding of the cloud.
    static func lines(of world: World) -> [String] {
        var lines: [String] = []
        for plural in [gateways, balancers, machines] {
            for object in world.server.objects(plural) {
                lines.append("\(plural) \(SimulatedServer.key(object)) \(summary(object, world))")
            }
        }
        lines.append("secrets \(world.server.objects("secrets").count)")
        for (name, pool) in world.cloud.pools.sorted(by: { $0.key < $1.key }) {
            lines.append("pool \(name): rules \(pool.balancer.ports.count), prefixes \(pool.prefixes.count)")
            for machine in pool.machines.keys.sorted() {
                lines.append("machine \(machine): \(pool.machines[machine]?.addresses.count ?? 0) addresses")
            }
        }
        return lines
    }

    private static func summary(_ object: JSONValue, _ world: World) -> String {
        let conditions = object["status.conditions"]?.elements ?? []
        let told = conditions.map { condition in
            let generation = condition["observedGeneration"]?.int.map(Int64.init)
            let isPresent = generation == nil || generation == SimulatedServer.generation(object)
            return "\(condition["type"]?.text ?? "")=\(condition["status"]?.text ?? "")"
                + "/\(condition["reason"]?.text ?? "")\(isPresent ? "" : " of an old generation")"
        }
        let finalizers = object["metadata.finalizers"]?.elements.count ?? 0
        let isDeleting = object["metadata.deletionTimestamp"] != nil
        let status = object["status"] ?? .null
        let server = status["gatewayServerProfile"] ?? status
        let nodes = status["gatewayVMProfiles"]?.elements.count ?? 0
        return "\(told.sorted()) finalizers \(finalizers)\(isDeleting ? " deleting" : "") "
            + "prefix \(status["egressIpPrefix"]?.text?.isEmpty ?? true ? "no" : "yes") "
            + "port \((server["port"] ?? server["serverPort"])?.int ?? 0 > 0 ? "yes" : "no") nodes \(nodes)"
    }
}

extension World {
    /// What must hold after every write of the cloud.
    func checkCloud() {
        var owners: [String: String] = [:]
        // What is sent late may make a prefix for an object that is gone; that is for the prune, and nobody was told of it.
        let living = server.uids
        func keep(_ thing: String, of id: String, _ value: String) {
            if living.contains(id) { keepSame(thing, value) }
        }
        func claim(_ thing: String, _ owner: String) {
            if let other = owners.updateValue(owner, forKey: thing), other != owner {
                violate("\(thing) is given to \(other) and to \(owner)")
            }
        }
        for (name, pool) in cloud.pools.sorted(by: { $0.key < $1.key }) {
            for (id, port) in pool.balancer.ports.sorted(by: { $0.key < $1.key }) {
                claim("port \(port) of \(name)", id)
                keep("port of \(id) in \(name)", of: id, String(port))
            }
            for (id, prefix) in pool.prefixes.sorted(by: { $0.key < $1.key }) {
                claim("prefix \(prefix)", id)
                keep("prefix of \(id) in \(name)", of: id, prefix)
            }
            for (machine, state) in pool.machines.sorted(by: { $0.key < $1.key }) {
                for (id, address) in state.addresses.sorted(by: { $0.key < $1.key }) {
                    claim("address \(address)", "\(id) on \(machine)")
                }
            }
        }
    }

    /// What is still wrong once everything has settled; empty if all is well.
    func openEnds() -> [String] {
        var ends: [String] = []
        let gateways = server.objects(StaticGatewayConfiguration.resourceType.plural)
        var endpoints: [String: String] = [:]
        for object in gateways {
            let key = SimulatedServer.key(object)
            if object["metadata.deletionTimestamp"] != nil { ends.append("\(key): its deletion does not end") }
            let ready = (object["status.conditions"]?.elements ?? []).first { $0["type"]?.text == "Ready" }
            let reason = ready?["reason"]?.text ?? ""
            let isPending = reason.isEmpty || reason.hasSuffix("Pending")
            if ready?["status"]?.text != "True", isPending {
                ends.append("\(key): neither ready nor failed: \(reason)")
            }
            let profile = object["status.gatewayServerProfile"] ?? .null
            guard let port = profile["port"]?.int, port > 0 else { continue }
            let endpoint = "\(profile["ip"]?.text ?? ""):\(port)"
            if let other = endpoints.updateValue(key.name, forKey: endpoint) {
                ends.append("\(endpoint) is told by \(other) and by \(key.name)")
            }
        }
        var uids: Set<String> = []
        for plural in [GatewayLBConfiguration.resourceType.plural, GatewayVMConfiguration.resourceType.plural] {
            for object in server.objects(plural) {
                uids.insert(object["metadata.uid"]?.text ?? "")
                if object["metadata.deletionTimestamp"] != nil {
                    ends.append("\(plural) \(SimulatedServer.key(object)): its deletion does not end")
                }
            }
        }
        for id in cloud.holders.subtracting(uids).sorted() { ends.append("the cloud keeps resources of \(id)") }
        let secrets = Set(server.objects("secrets").compactMap { $0["metadata.name"]?.text })
        let wanted = Set(gateways.map { "sgw-\($0["metadata.uid"]?.text ?? "")" })
        for name in secrets.subtracting(wanted).sorted() { ends.append("Secret \(name) belongs to nothing") }
        return ends
    }
}
