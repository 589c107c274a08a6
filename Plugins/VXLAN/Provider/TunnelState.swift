import LinuxNet

/// What a tunnel's link shall be or is, beside what it was made with and what its tables hold.
struct LinkState: Sendable, Equatable {
    /// Bytes.
    var mtu: Int
    var isUp = true
    /// Whether the kernel asks nothing through the link by itself.
    var isQuiet = true
    /// Whether packets are dropped whose source does not lie behind the link: a gateway end's substitute for the check
    /// of allowed addresses that WireGuard does by key. IPv4 only; the kernel has none for IPv6.
    var checksSources: Bool
    var addresses: Set<TunnelSpec.Address>
}

/// A host outside the tunnel.
struct TunnelHost: Sendable, Hashable, CustomStringConvertible {
    var address: IPAddress
    var port: UInt16

    var description: String { "\(address) port \(port)" }
}

/// A route into the tunnel.
struct TunnelRoute: Sendable, Hashable {
    var destination: IPPrefix
    /// Next hop inside the tunnel; nil only for routes of somebody else.
    var nextHop: IPAddress?
    var metric: UInt32

    /// With the kernel's default metric.
    init(_ destination: IPPrefix, via nextHop: IPAddress) {
        self.destination = destination
        self.nextHop = nextHop
        metric = destination.family == .ipv6 ? 1024 : 0
    }

    /// - Parameter route: As read.
    init(_ route: Route) {
        destination = route.destination
        nextHop = route.gateway
        metric = route.metric ?? 0
    }

    func route(linkIndex: UInt32) -> Route {
        Route(to: destination, via: nextHop, linkIndex: linkIndex, metric: metric, isOnLink: nextHop != nil)
    }
}

/// What the kernel's tables hold, or shall hold, for a tunnel's link.
struct TableState: Sendable, Equatable {
    /// Where frames for a station go.
    var forwarding: [MACAddress: TunnelHost] = [:]
    /// Which station a next hop is.
    var neighbours: [IPAddress: MACAddress] = [:]
    /// Nil: routes are not this provider's business, as with pods' ends.
    var routes: Set<TunnelRoute>?

    /// The gateways' address on every tunnel; the pods' routes name it as next hop (upstream behaviour section 2.4).
    static let gatewayAddress = IPAddress(ipv6: 0xfe80_0000_0000_0000, 1)

    init() {}

    /// Of a pod's end: one station, the gateway, behind the load balancer's frontend. Of a gateway's end: one station
    /// and one next hop for each pod, however many addresses it has.
    init(_ spec: TunnelSpec) {
        switch spec.end {
        case .pod(_, let endpoint, let port):
            forwarding[spec.identity.hardwareAddress] = TunnelHost(address: endpoint, port: port)
            neighbours[Self.gatewayAddress] = spec.identity.hardwareAddress
        case .gateway(_, _, let peers):
            var routes: Set<TunnelRoute> = []
            for peer in peers {
                let station = peer.key.hardwareAddress
                forwarding[station] = TunnelHost(address: peer.key.host, port: peer.key.port)
                neighbours[peer.key.nextHop] = station
                routes.formUnion(peer.allowedIPs.map { TunnelRoute($0, via: peer.key.nextHop) })
            }
            self.routes = routes
        }
    }
}
