import LinuxNet

/// The kernel's side of a gateway node: reads it and changes it, one step at a time. Every function blocks on netlink
/// and runs on a thread of its own inside the namespace concerned.
struct GatewayNamespaces: Sendable {
    /// The node's namespace.
    let node: NetworkNamespace
    /// The namespace that the tunnels end in.
    let gateway: NetworkNamespace
    /// The node's interface to the network.
    let uplink: String

    /// Label of the load balancer's addresses (upstream behaviour section 2.4).
    private var label: String { "\(uplink):egress" }

    /// What is there, as far as it can be told to be ours.
    func observe() async throws -> GatewayNetworkState {
        var state = try await node.run { [label, uplink] in
            var state = GatewayNetworkState()
            let socket = try RouteSocket()
            if let link = try socket.link(named: uplink) {
                state.loadBalancerAddresses = Set(
                    try socket.addresses(linkIndex: link.index, family: .ipv4).filter { $0.label == label }
                        .map(\.address))
            }
            if let link = try socket.link(named: GatewayRules.nodeLink) {
                state.secondaryAddresses = Set(
                    try socket.routes(family: .ipv4).filter { $0.linkIndex == link.index }.map(\.destination.address))
            }
            return state
        }
        guard gateway.exists else { return state }
        let addresses = try await gateway.run {
            let socket = try RouteSocket()
            guard let link = try socket.link(named: GatewayRules.gatewayLink) else { return [IPAddress]() }
            return try socket.addresses(linkIndex: link.index, family: .ipv4).map(\.address)
        }
        state.secondaryAddresses.formUnion(addresses)
        return state
    }

    /// Makes the namespace and the veth pair and lets both namespaces forward. Nothing passes yet: the rules come next.
    func prepare() async throws {
        try await node.run { [gateway] in
            try gateway.create()
            let handle = try gateway.open()
            let inside = try RouteSocket.openBlocking(in: gateway)
            let socket = try RouteSocket()
            if try inside.link(named: GatewayRules.gatewayLink) == nil {
                // The other end of a namespace that is gone, at best.
                try socket.ensureNoLink(named: GatewayRules.nodeLink)
                try socket.createVeth(
                    name: GatewayRules.nodeLink,
                    peer: VethPeer(name: GatewayRules.gatewayLink, namespace: handle))
            }
            try socket.setUp(true, index: try socket.requireLink(named: GatewayRules.nodeLink).index)
            try Sysctl.set("net/ipv4/ip_forward", "1")
        }
        try await gateway.run {
            let socket = try RouteSocket()
            for name in ["lo", GatewayRules.gatewayLink] {
                try socket.setUp(true, index: try socket.requireLink(named: name).index)
            }
            try Sysctl.set("net/ipv4/ip_forward", "1")
        }
    }

    /// Applies packet rules; each text is one transaction.
    func setRules(gateway gatewayRules: String, node nodeRules: String) async throws {
        if !gatewayRules.isEmpty { try await gateway.run { _ = try NFTables.run(gatewayRules) } }
        if !nodeRules.isEmpty { try await node.run { _ = try NFTables.run(nodeRules) } }
    }

    /// Makes the secondary addresses reachable: off the uplink, behind the veth pair.
    func addPaths(_ delta: GatewayNetworkDelta) async throws {
        let added = delta.addedSecondaryAddresses
        if !added.isEmpty || delta.nextHop != nil {
            try await gateway.run {
                let socket = try RouteSocket()
                let link = try socket.requireLink(named: GatewayRules.gatewayLink).index
                for address in added { try socket.ensureAddress(InterfaceAddress(address, linkIndex: link)) }
                guard let hop = delta.nextHop else { return }
                try socket.replaceRoute(Route(to: IPPrefix(host: hop), linkIndex: link))
                try socket.replaceRoute(Route(to: .all(.ipv4), via: hop, linkIndex: link))
            }
        }
        guard !added.isEmpty else { return }
        try await node.run { [uplink] in
            let socket = try RouteSocket()
            let outside = try socket.requireLink(named: uplink).index
            // A cloud's guest agent configures every address of the interface; local, ours would never be forwarded.
            for local in try socket.addresses(linkIndex: outside, family: .ipv4) where added.contains(local.address) {
                try socket.ensureNoAddress(local)
            }
            let link = try socket.requireLink(named: GatewayRules.nodeLink).index
            for address in added { try socket.replaceRoute(Route(to: IPPrefix(host: address), linkIndex: link)) }
        }
    }

    /// Lets the node take in what the load balancer delivers.
    func addLoadBalancerAddresses(_ addresses: [IPAddress]) async throws {
        guard !addresses.isEmpty else { return }
        try await node.run { [label, uplink] in
            let socket = try RouteSocket()
            let link = try socket.requireLink(named: uplink).index
            for address in addresses {
                try socket.ensureAddress(InterfaceAddress(address, linkIndex: link, label: label))
            }
        }
    }

    func removeLoadBalancerAddresses(_ addresses: [IPAddress]) async throws {
        guard !addresses.isEmpty else { return }
        try await node.run { [uplink] in
            let socket = try RouteSocket()
            guard let link = try socket.link(named: uplink) else { return }
            for address in addresses {
                try socket.ensureNoAddress(InterfaceAddress(address, linkIndex: link.index))
            }
        }
    }

    /// Removes the paths of secondary addresses.
    func removePaths(_ addresses: [IPAddress]) async throws {
        guard !addresses.isEmpty else { return }
        try await gateway.run {
            let socket = try RouteSocket()
            guard let link = try socket.link(named: GatewayRules.gatewayLink) else { return }
            for address in addresses { try socket.ensureNoAddress(InterfaceAddress(address, linkIndex: link.index)) }
        }
        try await node.run {
            let socket = try RouteSocket()
            guard let link = try socket.link(named: GatewayRules.nodeLink) else { return }
            for address in addresses {
                try socket.ensureNoRoute(Route(to: IPPrefix(host: address), linkIndex: link.index))
            }
        }
    }

    /// Removes everything that ``prepare()`` and the rules made, the namespace included.
    func dismantle() async throws {
        try await node.run { [gateway] in
            try RouteSocket().ensureNoLink(named: GatewayRules.nodeLink)
            try NFTables.ensureNoTable(.ip, GatewayRules.nodeTable)
            try gateway.delete()
        }
    }
}
