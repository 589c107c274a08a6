import LinuxNet

/// What the router's namespace must contain for a topology and the health of its backends. Pure.
struct FabricPlan: Sendable, Equatable {
    /// A route to or through a node. The link is named, because its index is the kernel's affair.
    struct PlannedRoute: Sendable, Hashable {
        var destination: IPPrefix
        var gateway: IPAddress?
        var link: String
        var table: UInt32
    }

    /// Packets with this mark go to the backend that has it.
    struct Backend: Sendable, Hashable {
        var node: String
        var address: IPAddress
        /// Both the packet mark and the number of the routing table.
        var mark: UInt32
    }

    /// A load-balancing rule with the backends that may be chosen now.
    struct Service: Sendable, Equatable {
        var frontend: IPAddress
        /// `udp` or `tcp`.
        var transport: String
        var port: Int
        /// What is hashed, in nftables' words.
        var hashedFields: String
        /// In the order of their addresses; empty means that nobody is healthy.
        var backends: [Backend]
    }

    var routes: Set<PlannedRoute> = []
    /// Marks with a routing rule, each to the table of the same number.
    var marks: Set<UInt32> = []
    var frontends: [IPAddress] = []
    var services: [Service] = []
    /// Private address to public address, 1:1.
    var publicAddresses: [IPAddress: IPAddress] = [:]
    /// Which sources each node's link may send from, as a network interface of Azure may.
    var allowedSources: [String: Set<IPAddress>] = [:]
    /// Rules the fabric does not carry out, each with the reason, one line.
    var refusals: [String] = []

    /// - Parameters:
    ///   - nodes: Machines that have a link. Instances without one are left out.
    ///   - healthy: Targets whose probe succeeds.
    init(topology: AzureTopology, nodes: [FabricNode], healthy: Set<ProbeTarget>) {
        let links = Dictionary(nodes.map { ($0.name, $0.routerLink) }) { first, _ in first }
        for node in nodes { addNode(node) }
        for instance in topology.instances {
            guard let link = links[instance.computerName] else { continue }
            addAddresses(of: instance, link: link)
        }
        frontends = Set(topology.frontends.compactMap { IPAddress($0.address) }).sorted()
        for rule in topology.rules { addService(rule, topology: topology, links: links, healthy: healthy) }
        services.sort { ($0.frontend, $0.port, $0.transport) < ($1.frontend, $1.port, $1.transport) }
    }

    private mutating func addNode(_ node: FabricNode) {
        let address = node.address.address
        let mark = Self.mark(of: address)
        allowedSources[node.routerLink, default: []].insert(address)
        routes.insert(
            PlannedRoute(
                destination: IPPrefix(host: address), gateway: nil, link: node.routerLink, table: Route.mainTable))
        routes.insert(
            PlannedRoute(destination: .all(.ipv4), gateway: address, link: node.routerLink, table: mark))
        marks.insert(mark)
    }

    private mutating func addAddresses(of instance: AzureTopology.Instance, link: String) {
        guard let primary = instance.ipConfigurations.first(where: \.primary).flatMap({ IPAddress($0.privateIP) })
        else { return }
        for configuration in instance.ipConfigurations {
            guard let address = IPAddress(configuration.privateIP) else { continue }
            allowedSources[link, default: []].insert(address)
            publicAddresses[address] = configuration.publicIP.flatMap { IPAddress($0) }
            guard !configuration.primary else { continue }
            // Azure delivers by the interface, not by ARP: the node need not own the address on eth0.
            routes.insert(
                PlannedRoute(
                    destination: IPPrefix(host: address), gateway: primary, link: link, table: Route.mainTable))
        }
    }

    private mutating func addService(
        _ rule: AzureTopology.Rule, topology: AzureTopology, links: [String: String], healthy: Set<ProbeTarget>
    ) {
        let name = "\(rule.loadBalancer)/\(rule.name)"
        guard let frontend = IPAddress(rule.frontendAddress) else { return }
        let transport = rule.protocolName.lowercased()
        guard ["udp", "tcp"].contains(transport), rule.floatingIP, rule.frontendPort == rule.backendPort else {
            refusals.append("rule \(name): the fabric balances Udp and Tcp with floating IP only")
            return
        }
        var backends: [Backend] = []
        for backend in rule.backends {
            guard let address = IPAddress(backend.address), let link = links[backend.computerName] else { continue }
            // A floating address is the source of the answers, so the backend may send from it.
            allowedSources[link, default: []].insert(frontend)
            if rule.probe != nil {
                guard let target = topology.probeTarget(of: backend, rule: rule) else {
                    refusals.append("rule \(name): the fabric probes by Http only")
                    continue
                }
                guard healthy.contains(target) else { continue }
            }
            backends.append(Backend(node: backend.computerName, address: address, mark: Self.mark(of: address)))
        }
        services.append(
            Service(
                frontend: frontend, transport: transport, port: rule.frontendPort,
                hashedFields: Self.hashedFields(rule.distribution, transport: transport),
                backends: backends.sorted { $0.address < $1.address }))
    }

    /// A node's mark: stable for as long as the node has its address, because connections remember it.
    static func mark(of address: IPAddress) -> UInt32 {
        0x1_0000 | (address.ipv4Bits ?? 0) & 0xffff
    }

    private static func hashedFields(_ distribution: String, transport: String) -> String {
        distribution == "Default"
            ? "ip saddr . \(transport) sport . ip daddr . \(transport) dport" : "ip saddr . ip daddr"
    }
}
