import LinuxNet

/// What the kernel of a gateway node holds for the gateways, beside the tunnels. Pure.
struct GatewayNetworkState: Sendable, Equatable {
    /// On the uplink, so that the node takes in what the load balancer delivers with its own address kept.
    var loadBalancerAddresses: Set<IPAddress> = []
    /// The node's address on its network: next hop of the gateway namespace. Nil if nothing is served.
    var primaryAddress: IPAddress?
    /// Source address of each gateway's traffic, by its port.
    var sources: [UInt16: IPAddress] = [:]
    /// Addresses behind the veth pair; the values of `sources`, or what was found in the kernel.
    var secondaryAddresses: Set<IPAddress> = []
    /// Link of the gateway namespace through which a pod is reached.
    var podLinks: [IPAddress: String] = [:]

    init() {}

    init(_ plan: GatewayPlan) {
        loadBalancerAddresses = Set(plan.servers.map(\.loadBalancerAddress))
        primaryAddress = plan.servers.first?.primaryAddress
        for server in plan.servers {
            sources[server.port] = server.secondaryAddress
            secondaryAddresses.insert(server.secondaryAddress)
            for peer in server.peers { podLinks[peer.address] = server.link }
        }
    }
}

/// The way from one state to another; lists in a stable order.
struct GatewayNetworkDelta: Sendable, Equatable {
    struct Source: Sendable, Equatable {
        var port: UInt16
        var address: IPAddress
    }

    struct PodRoute: Sendable, Equatable {
        var address: IPAddress
        var link: String
    }

    var addedLoadBalancerAddresses: [IPAddress]
    var removedLoadBalancerAddresses: [IPAddress]
    var addedSecondaryAddresses: [IPAddress]
    var removedSecondaryAddresses: [IPAddress]
    var addedSources: [Source]
    var removedSources: [Source]
    var addedPodRoutes: [PodRoute]
    var removedPodRoutes: [PodRoute]
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
        addedPodRoutes = Self.routes(new.podLinks) { base.podLinks[$0] != $1 }
        // A route that only changes its link is replaced, not removed.
        removedPodRoutes = Self.routes(old.podLinks) { address, _ in new.podLinks[address] == nil }
        nextHop = new.primaryAddress == base.primaryAddress ? nil : new.primaryAddress
    }

    private static func sources(_ some: [UInt16: IPAddress], notIn others: [UInt16: IPAddress]) -> [Source] {
        some.filter { others[$0.key] != $0.value }.map { Source(port: $0.key, address: $0.value) }
            .sorted { $0.port < $1.port }
    }

    private static func routes(
        _ links: [IPAddress: String], where isMeant: (IPAddress, String) -> Bool
    ) -> [PodRoute] {
        links.filter { isMeant($0.key, $0.value) }.map { PodRoute(address: $0.key, link: $0.value) }
            .sorted { $0.address < $1.address }
    }
}
