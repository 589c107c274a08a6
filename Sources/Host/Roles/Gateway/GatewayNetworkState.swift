import LinuxNet

/// What the kernel of a gateway node holds for the gateways, beside the tunnels and the routes into them, which are the
/// tunnel provider's. Pure.
struct GatewayNetworkState: Sendable, Equatable {
    /// On the uplink, so that the node takes in what the load balancer delivers with its own address kept.
    var loadBalancerAddresses: Set<IPAddress> = []
    /// The node's address on its network: next hop of the gateway namespace. Nil if nothing is served.
    var primaryAddress: IPAddress?
    /// Source address of each gateway's traffic, by its port.
    var sources: [UInt16: IPAddress] = [:]
    /// Addresses behind the veth pair; the values of `sources`, or what was found in the kernel.
    var secondaryAddresses: Set<IPAddress> = []

    init() {}

    init(_ plan: GatewayPlan) {
        loadBalancerAddresses = Set(plan.servers.map(\.loadBalancerAddress))
        primaryAddress = plan.servers.first?.primaryAddress
        for server in plan.servers {
            sources[server.port] = server.secondaryAddress
            secondaryAddresses.insert(server.secondaryAddress)
        }
    }
}

/// The way from one state to another; lists in a stable order.
struct GatewayNetworkDelta: Sendable, Equatable {
    struct Source: Sendable, Equatable {
        var port: UInt16
        var address: IPAddress
    }

    var addedLoadBalancerAddresses: [IPAddress]
    var removedLoadBalancerAddresses: [IPAddress]
    var addedSecondaryAddresses: [IPAddress]
    var removedSecondaryAddresses: [IPAddress]
    var addedSources: [Source]
    var removedSources: [Source]
    /// The next hop of the gateway namespace, if it is to be set.
    var nextHop: IPAddress?

    /// - Parameter isComplete: nothing that shall be there is taken as being there, because `old` was read from the
    ///   kernel and does not tell every detail.
    init(from old: GatewayNetworkState, to new: GatewayNetworkState, isComplete: Bool) {
        let base = isComplete ? GatewayNetworkState() : old
        addedLoadBalancerAddresses = new.loadBalancerAddresses.subtracting(base.loadBalancerAddresses).sorted()
        removedLoadBalancerAddresses = old.loadBalancerAddresses.subtracting(new.loadBalancerAddresses).sorted()
        addedSecondaryAddresses = new.secondaryAddresses.subtracting(base.secondaryAddresses).sorted()
        removedSecondaryAddresses = old.secondaryAddresses.subtracting(new.secondaryAddresses).sorted()
        addedSources = Self.sources(new.sources, notIn: base.sources)
        removedSources = Self.sources(old.sources, notIn: new.sources)
        nextHop = new.primaryAddress == base.primaryAddress ? nil : new.primaryAddress
    }

    private static func sources(_ some: [UInt16: IPAddress], notIn others: [UInt16: IPAddress]) -> [Source] {
        some.filter { others[$0.key] != $0.value }.map { Source(port: $0.key, address: $0.value) }
            .sorted { $0.port < $1.port }
    }
}
