import Glibc
import LinuxNet
import ProviderKit
import Synchronization

/// Brings tunnels to what is asked. Everything here blocks; it runs on threads that are in the node's namespace, so
/// that links made here keep their UDP sockets there.
final class TunnelWorker: Sendable {
    /// The node's own namespace: the home of UDP sockets and of links in the making.
    let node: NetworkNamespace
    let settings: VXLANSettings
    let host: ProviderHost
    let ports: PortPool
    /// Creation names of links in the making; one in the node's namespace that is not here was never finished.
    let making = Mutex<Set<String>>([])

    init(node: NetworkNamespace, settings: VXLANSettings, host: ProviderHost) {
        self.node = node
        self.settings = settings
        self.host = host
        ports = PortPool(settings.portRange)
    }

    /// Makes the tunnel be as asked; what is so already is left alone.
    func ensure(_ spec: TunnelSpec) throws -> Tunnel.Observed {
        for warning in spec.warnings {
            host.log(.warning, "peer not used as asked", ["link": spec.link, "reason": warning])
        }
        let target = try spec.namespace.open()
        let routes = try RouteSocket.openBlocking(in: spec.namespace)
        try removeOtherTunnel(spec, routes)
        let found = try TunnelLink.find(spec.link, in: spec.namespace, routes)
        let wanted = LinkState(
            mtu: try mtu(for: spec), checksSources: spec.isGateway, addresses: Set(spec.addresses))
        let source = try underlayAddress(for: spec)
        if let found {
            if found.isMadeFor(spec, source: source, family: settings.underlayFamily) {
                return try bring(found, to: wanted, spec, routes)
            }
            host.log(
                .notice, "making a tunnel anew: what it was made with has changed",
                ["link": spec.link, "namespace": spec.namespace.path])
            try routes.ensureNoLink(named: spec.link)
        }
        let maker = TunnelMaker(
            spec: spec, source: source, family: settings.underlayFamily, mtu: wanted.mtu, target: target,
            routes: routes)
        making.withLock { _ = $0.insert(spec.creationName) }
        defer { making.withLock { _ = $0.remove(spec.creationName) } }
        return try maker.make(ports, keeping: found) { try bring($0, to: wanted, spec, routes) }
    }

    /// Compares the tunnel with what is asked, and changes nothing.
    ///
    /// - Returns: One line per difference that `ensure` would put right, and what there is.
    /// - Throws: `terminal` if the name belongs to a link of somebody else.
    func check(_ spec: TunnelSpec) throws -> (drift: [String], observed: Tunnel.Observed?) {
        let routes = try RouteSocket.openBlocking(in: spec.namespace)
        if let link = try routes.link(named: spec.link), TunnelLink.isOtherTunnel(link) {
            return (["link \(spec.link) is of kind \(link.kind ?? "none")"], nil)
        }
        guard let found = try TunnelLink.find(spec.link, in: spec.namespace, routes) else {
            return (["link \(spec.link) does not exist"], nil)
        }
        guard found.isMadeFor(spec, source: try underlayAddress(for: spec), family: settings.underlayFamily) else {
            return (["link \(spec.link) was made with other parameters"], found.observed)
        }
        let wanted = LinkState(
            mtu: try mtu(for: spec), checksSources: spec.isGateway, addresses: Set(spec.addresses))
        let linkPlan = LinkPlan(from: try observe(found, spec.namespace, routes), to: wanted)
        let tables = TableState(spec)
        let tablePlan = TablePlan(
            from: try observeTables(found, withRoutes: tables.routes != nil, routes), to: tables,
            linkIndex: found.link.index)
        let differences = linkPlan.differences + tablePlan.differences()
        return (differences.map { "link \(spec.link): \($0)" }, found.observed)
    }

    /// The configuration now says this provider: a link that another one made gives way.
    private func removeOtherTunnel(_ spec: TunnelSpec, _ routes: RouteSocket) throws {
        guard let link = try routes.link(named: spec.link), TunnelLink.isOtherTunnel(link) else { return }
        host.log(
            .notice, "replacing a tunnel of another kind",
            ["link": spec.link, "namespace": spec.namespace.path, "kind": link.kind ?? "none"])
        try routes.ensureNoLink(named: spec.link)
    }

    /// The part that is the same for a new link and an old one: works out what differs, and does just that.
    private func bring(
        _ tunnel: TunnelLink, to wanted: LinkState, _ spec: TunnelSpec, _ routes: RouteSocket
    ) throws -> Tunnel.Observed {
        let index = tunnel.link.index
        let plan = LinkPlan(from: try observe(tunnel, spec.namespace, routes), to: wanted)
        if let mtu = plan.mtu { try routes.setMTU(UInt32(mtu), index: index) }
        for address in plan.removedAddresses {
            try routes.ensureNoAddress(
                InterfaceAddress(address.address, prefixLength: address.length, linkIndex: index))
        }
        if plan.setQuiet || plan.checkSources {
            let hasIPv6 = wanted.addresses.contains { $0.address.family == .ipv6 }
            try spec.namespace.runBlocking {
                if plan.setQuiet {
                    try QuietLink.prepare(tunnel.link, routes, hasIPv6: hasIPv6, resolvesNeighbours: false)
                }
                if plan.checkSources { try SourceCheck.turnOn(spec.link) }
            }
        }
        for address in plan.addedAddresses {
            try routes.ensureAddress(
                InterfaceAddress(
                    address.address, prefixLength: address.length, linkIndex: index, skipsDuplicateDetection: true))
        }
        if plan.setUp { try routes.setUp(true, index: index) }
        // Read after the steps above: setting up or quieting a link empties its neighbour table.
        let tables = TableState(spec)
        let present = try observeTables(tunnel, withRoutes: tables.routes != nil, routes)
        try routes.apply(TablePlan(from: present, to: tables, linkIndex: index).changes)
        var observed = tunnel.observed
        observed.mtu = wanted.mtu
        return observed
    }

    private func observe(
        _ tunnel: TunnelLink, _ namespace: NetworkNamespace, _ routes: RouteSocket
    ) throws -> LinkState {
        let addresses = try routes.addresses(linkIndex: tunnel.link.index)
        let name = tunnel.link.name
        return LinkState(
            mtu: Int(tunnel.link.mtu), isUp: tunnel.link.isUp, isQuiet: !tunnel.link.resolvesNeighbours,
            checksSources: try namespace.runBlocking { try SourceCheck.isOn(name) },
            addresses: Set(addresses.map { TunnelSpec.Address(address: $0.address, length: $0.prefixLength) }))
    }

    private func observeTables(_ tunnel: TunnelLink, withRoutes: Bool, _ routes: RouteSocket) throws -> TableState {
        let index = tunnel.link.index
        var tables = TableState()
        for entry in try routes.forwardingEntries(linkIndex: index) {
            tables.forwarding[entry.hardwareAddress] = TunnelHost(
                address: entry.host, port: entry.port ?? tunnel.vxlan.port)
        }
        for entry in try routes.permanentNeighbours(linkIndex: index) {
            tables.neighbours[entry.address] = entry.hardwareAddress
        }
        if withRoutes {
            tables.routes = Set(
                try routes.routes(linkIndex: index)
                    .filter { $0.originProtocol != Self.kernelProtocol && $0.kind == .unicast }.map(TunnelRoute.init))
        }
        return tables
    }

    /// RTPROT_KERNEL of linux/rtnetlink.h.
    private static let kernelProtocol: UInt8 = 2

    /// The node's address as gateways shall see it; nil for a gateway's end.
    private func underlayAddress(for spec: TunnelSpec) throws -> IPAddress? {
        guard case .pod(_, let endpoint, _) = spec.end else { return nil }
        if let address = settings.underlayAddress { return address }
        let route = try RouteSocket.openBlocking(in: node).lookup(endpoint)
        guard let address = route.preferredSource, address.isHostAddress else {
            throw ProviderError(
                .retry,
                "pod.endpoint.address: \(endpoint) is not reached from an address that gateways could answer; "
                    + "set config.underlayAddress")
        }
        return address
    }

    /// What the tunnel's MTU shall be, in bytes. A pod end's packets leave by the link that leads to its endpoint, a
    /// gateway end's by the node's default route.
    private func mtu(for spec: TunnelSpec) throws -> Int {
        if let mtu = settings.mtu { return mtu }
        let node = try RouteSocket.openBlocking(in: node)
        let index: UInt32?
        switch spec.end {
        case .pod(_, let endpoint, _): index = try? node.lookup(endpoint).linkIndex
        case .gateway:
            let all = IPPrefix.all(settings.underlayFamily)
            index = try node.routes(family: settings.underlayFamily)
                .first { $0.destination == all && $0.linkIndex != nil }?.linkIndex
        }
        let uplink = try index.flatMap { try node.link(index: $0) }
        return settings.derivedMTU(fromUplink: uplink.map { Int($0.mtu) } ?? Self.ordinaryUplink)
    }

    /// The uplink's MTU if none can be found.
    private static let ordinaryUplink = 1500
}

extension TunnelSpec {
    var isGateway: Bool {
        if case .gateway = end { true } else { false }
    }
}

extension TunnelLink {
    /// Whether what cannot be changed of the link is as asked.
    ///
    /// - Parameter source: For a pod's end, the node's address that gateways know.
    func isMadeFor(_ spec: TunnelSpec, source: IPAddress?, family: IPAddress.Family) -> Bool {
        guard mark.family == family, mark.gatewayKey == spec.gatewayKey, vxlan.source == source,
            vxlan.identifier == spec.identity.identifier
        else { return false }
        switch spec.end {
        case .gateway(let port, _, _):
            return vxlan.port == port && hardwareAddress == spec.identity.hardwareAddress
        case .pod: return vxlan.sourcePort == vxlan.port
        }
    }

    var observed: Tunnel.Observed {
        Tunnel.Observed(
            link: link.name, publicKey: publicKey, mtu: Int(link.mtu), form: "kernel", encrypted: false)
    }
}
