import JSONModel

/// What the network fabric must realise of the simulated subscription: a pure value, with every reference resolved.
public struct AzureTopology: Sendable, Equatable, Codable {
    /// A load balancer's private frontend address.
    public struct Frontend: Sendable, Equatable, Codable {
        public var loadBalancer: String
        public var name: String
        public var address: String
    }

    /// A member of a backend pool, by its primary ipConfiguration.
    public struct Backend: Sendable, Equatable, Codable {
        public var computerName: String
        public var networkInterface: String
        public var address: String
    }

    /// How backends of a rule are probed. The source of probes is 168.63.129.16.
    public struct Probe: Sendable, Equatable, Codable {
        public var name: String
        /// `Http`, `Https` or `Tcp`.
        public var protocolName: String
        public var port: Int
        /// Absent for `Tcp`.
        public var path: String?
        public var intervalSeconds: Int
        /// Equal results in a row that flip the state.
        public var threshold: Int
    }

    /// One load-balancing rule.
    public struct Rule: Sendable, Equatable, Codable {
        public var loadBalancer: String
        public var name: String
        /// `Udp`, `Tcp` or `All`.
        public var protocolName: String
        public var frontendName: String
        public var frontendAddress: String
        public var frontendPort: Int
        public var backendPort: Int
        /// The destination address stays the frontend's on the way to the backend.
        public var floatingIP: Bool
        /// `Default` (5-tuple), `SourceIP` or `SourceIPProtocol`.
        public var distribution: String
        public var backends: [Backend]
        public var probe: Probe?
    }

    /// One ipConfiguration of an instance.
    public struct IPConfiguration: Sendable, Equatable, Codable {
        public var name: String
        public var primary: Bool
        public var privateIP: String
        /// The address that its packets leave with, 1:1; absent without a public address.
        public var publicIP: String?
    }

    /// One network interface of one instance or standalone machine.
    public struct Instance: Sendable, Equatable, Codable {
        /// Empty for a standalone machine.
        public var scaleSet: String
        /// Of a standalone machine: its name.
        public var instanceID: String
        public var computerName: String
        public var networkInterface: String
        public var macAddress: String
        public var ipConfigurations: [IPConfiguration]
    }

    /// A public prefix that is allocated.
    public struct Prefix: Sendable, Equatable, Codable {
        public var name: String
        /// IPv4 CIDR.
        public var block: String
    }

    public var frontends: [Frontend] = []
    public var rules: [Rule] = []
    public var instances: [Instance] = []
    public var prefixes: [Prefix] = []
}

extension AzureState {
    /// What is true in the network now: load balancers as of the last operation that ended, NICs as they are.
    var topology: AzureTopology {
        var topology = AzureTopology()
        for state in loadBalancers.values.sorted(by: { $0.name < $1.name }) {
            guard let applied = state.applied else { continue }
            let id = id(.network, "loadBalancers", state.name)
            for frontend in applied.body["properties.frontendIPConfigurations"]?.elements ?? [] {
                guard let name = frontend["name"]?.text, let address = applied.frontendAddresses[name.lowercased()]
                else { continue }
                topology.frontends.append(.init(loadBalancer: state.name, name: name, address: address.description))
            }
            let backends = backends(of: applied, id: id)
            for rule in applied.body["properties.loadBalancingRules"]?.elements ?? [] {
                if let rule = topologyRule(rule, of: state.name, applied, backends) { topology.rules.append(rule) }
            }
        }
        topology.instances = allInterfaces.filter { !$0.computerName.isEmpty }.map(topologyInstance)
        topology.prefixes = prefixes.values.filter(\.isAllocated).sorted { $0.name < $1.name }
            .map { .init(name: $0.name, block: $0.block.description) }
        return topology
    }

    /// The members of each backend pool, by the pool's lower-case name.
    private func backends(of applied: LoadBalancerState.Applied, id: String) -> [String: [AzureTopology.Backend]] {
        let names = (applied.body["properties.backendAddressPools"]?.elements ?? []).compactMap { $0["name"]?.text }
        let pairs = names.map { name in
            (
                name.lowercased(),
                poolMembers("\(id)/backendAddressPools/\(name)").filter { !$0.0.computerName.isEmpty }.map {
                    AzureTopology.Backend(
                        computerName: $0.0.computerName, networkInterface: $0.0.state.name,
                        address: $0.1.address.description)
                }
            )
        }
        return Dictionary(pairs) { first, _ in first }
    }

    private func topologyRule(
        _ rule: JSONValue, of loadBalancer: String, _ applied: LoadBalancerState.Applied,
        _ backends: [String: [AzureTopology.Backend]]
    ) -> AzureTopology.Rule? {
        func last(_ member: String) -> String? {
            rule["properties.\(member).id"]?.text?.split(separator: "/").last.map(String.init)
        }
        guard let name = rule["name"]?.text, let frontend = last("frontendIPConfiguration"),
            let address = applied.frontendAddresses[frontend.lowercased()],
            let frontendPort = rule["properties.frontendPort"]?.int,
            let backendPort = rule["properties.backendPort"]?.int
        else { return nil }
        let probe = last("probe").flatMap { wanted in
            (applied.body["properties.probes"]?.elements ?? [])
                .first { $0["name"]?.text?.lowercased() == wanted.lowercased() }
        }
        return AzureTopology.Rule(
            loadBalancer: loadBalancer, name: name, protocolName: rule["properties.protocol"]?.text ?? "",
            frontendName: frontend, frontendAddress: address.description, frontendPort: frontendPort,
            backendPort: backendPort, floatingIP: rule["properties.enableFloatingIP"]?.bool ?? false,
            distribution: rule["properties.loadDistribution"]?.text ?? "Default",
            backends: last("backendAddressPool").flatMap { backends[$0.lowercased()] } ?? [],
            probe: probe.map {
                .init(
                    name: $0["name"]?.text ?? "", protocolName: $0["properties.protocol"]?.text ?? "",
                    port: $0["properties.port"]?.int ?? 0, path: $0["properties.requestPath"]?.text,
                    intervalSeconds: $0["properties.intervalInSeconds"]?.int ?? 15,
                    threshold: $0["properties.probeThreshold"]?.int ?? 1)
            })
    }

    private func topologyInstance(_ located: LocatedInterface) -> AzureTopology.Instance {
        AzureTopology.Instance(
            scaleSet: located.scaleSet, instanceID: located.instanceID, computerName: located.computerName,
            networkInterface: located.state.name, macAddress: located.state.macAddress,
            ipConfigurations: located.state.ipConfigurations.map {
                .init(
                    name: $0.name, primary: $0.isPrimary, privateIP: $0.address.description,
                    publicIP: $0.publicAddress?.address.description)
            })
    }

    /// Everything that an egress gateway made and must take away again: load balancers with their children, prefixes,
    /// public addresses, and ipConfigurations named `egressgateway-...` in models, on instances and on network
    /// interfaces.
    var managedResources: [String] {
        var result: [String] = []
        for state in loadBalancers.values.sorted(by: { $0.name < $1.name }) {
            result.append("loadBalancers/\(state.name)")
            for collection in ["frontendIPConfigurations", "backendAddressPools", "loadBalancingRules", "probes"] {
                for child in state.children(collection) {
                    result.append("loadBalancers/\(state.name)/\(collection)/\(child["name"]?.text ?? "")")
                }
            }
        }
        result += prefixes.values.map { "publicIPPrefixes/\($0.name)" }.sorted()
        result += publicAddresses.values.map { "publicIPAddresses/\($0.name)" }.sorted()
        func managed(_ configurations: [JSONValue]) -> [String] {
            configurations.flatMap { $0["properties.ipConfigurations"]?.elements ?? [] }
                .compactMap { $0["name"]?.text }.filter { $0.lowercased().hasPrefix("egressgateway-") }
        }
        for scaleSet in scaleSets.values.sorted(by: { $0.name < $1.name }) {
            let name = "virtualMachineScaleSets/\(scaleSet.name)"
            result += managed(scaleSet.networkConfigurations).map { "\(name)/ipConfigurations/\($0)" }
            for instance in scaleSet.instances {
                let onModel = managed(instance.networkConfigurations)
                let onInterface = instance.interfaces.flatMap(\.ipConfigurations).map(\.name)
                    .filter { $0.lowercased().hasPrefix("egressgateway-") }
                result += Set(onModel + onInterface).sorted()
                    .map { "\(name)/virtualMachines/\(instance.instanceID)/ipConfigurations/\($0)" }
            }
        }
        for interface in networkInterfaces.values.sorted(by: { $0.name < $1.name }) {
            let names =
                interface.ipConfigurations.compactMap { $0["name"]?.text }
                + interface.state.ipConfigurations.map(\.name)
            result += Set(names.filter { $0.lowercased().hasPrefix("egressgateway-") }).sorted()
                .map { "networkInterfaces/\(interface.name)/ipConfigurations/\($0)" }
        }
        return result
    }
}
