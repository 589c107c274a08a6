import LinuxNet

/// Makes the namespaces and links of the virtual network. Blocks: call it on a thread of its own.
struct FabricWiring: Sendable {
    let configuration: FabricConfiguration
    let namespace: NetworkNamespace
    let internet: NetworkNamespace

    func build(nodes: [FabricNode]) throws {
        try namespace.create()
        try internet.create()
        try namespace.runBlocking { try prepareRouter() }
        try connectInternet()
        for node in nodes { try connect(node) }
    }

    private func prepareRouter() throws {
        try Sysctl.set("net/ipv4/ip_forward", "1")
        for scope in ["all", "default"] { try Sysctl.set("net/ipv4/conf/\(scope)/rp_filter", "0") }
        let socket = try RouteSocket()
        let loopback = try socket.requireLink(named: "lo")
        try socket.setUp(true, index: loopback.index)
        for address in configuration.routers + [configuration.probeSource] {
            try socket.ensureAddress(InterfaceAddress(address, linkIndex: loopback.index))
        }
    }

    private func connectInternet() throws {
        let router = try RouteSocket.openBlocking(in: namespace)
        let host = try RouteSocket.openBlocking(in: internet)
        try router.createVeth(
            name: FabricConfiguration.edgeLink,
            peer: VethPeer(name: FabricConfiguration.nodeLink, namespace: try internet.open()))
        let edge = try up(FabricConfiguration.edgeLink, in: router, configuration.edgeAddress)
        let link = try up(FabricConfiguration.nodeLink, in: host, configuration.internetAddress)
        try host.setUp(true, index: host.requireLink(named: "lo").index)
        // Everything that is not inside is the internet; this also makes proxy ARP answer for it.
        try router.ensureRoute(
            Route(to: .all(.ipv4), via: configuration.internetAddress.address, linkIndex: edge))
        for network in configuration.publicNetworks {
            try host.ensureRoute(Route(to: network, via: configuration.edgeAddress.address, linkIndex: link))
        }
    }

    private func connect(_ node: FabricNode) throws {
        let machine = try NetworkNamespace(name: node.namespace)
        try machine.create()
        // A Kubernetes node forwards for its pods.
        try machine.runBlocking { try Sysctl.set("net/ipv4/ip_forward", "1") }
        let router = try RouteSocket.openBlocking(in: namespace)
        let host = try RouteSocket.openBlocking(in: machine)
        try router.createVeth(
            name: node.routerLink, peer: VethPeer(name: FabricConfiguration.nodeLink, namespace: try machine.open()))
        try router.setUp(true, index: router.requireLink(named: node.routerLink).index)
        // As in Azure, the router answers every ARP request: neighbours are never reached directly.
        try namespace.runBlocking { try Sysctl.set("net/ipv4/conf/\(node.routerLink)/proxy_arp", "1") }
        let link = try up(FabricConfiguration.nodeLink, in: host, node.address)
        try host.setUp(true, index: host.requireLink(named: "lo").index)
        try host.ensureRoute(Route(to: .all(.ipv4), via: node.router, linkIndex: link))
    }

    private func up(_ name: String, in socket: RouteSocket, _ address: InterfaceNetwork) throws -> UInt32 {
        let link = try socket.requireLink(named: name)
        try socket.ensureAddress(
            InterfaceAddress(address.address, prefixLength: address.prefixLength, linkIndex: link.index))
        try socket.setUp(true, index: link.index)
        return link.index
    }
}
