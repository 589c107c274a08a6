import LinuxNet
import ProviderKit

/// Brings tunnels to what is asked. Everything here blocks; it runs on threads that are in the node's namespace, so
/// that links made here keep their UDP sockets there.
struct TunnelWorker: Sendable {
    /// The node's own namespace: the home of UDP sockets and of links in the making.
    let node: NetworkNamespace
    let settings: LiveSettings
    let forms: TunnelForms
    let host: ProviderHost

    /// Makes the tunnel be as asked; what is so already is left alone.
    func ensure(_ spec: TunnelSpec) throws -> (observed: Tunnel.Observed, address: TunnelAddress) {
        for warning in spec.warnings {
            host.log(.warning, "peer not used as asked", ["link": spec.link, "reason": warning])
        }
        let target = try spec.namespace.open()
        let routes = try RouteSocket.openBlocking(in: spec.namespace)
        try removeOtherTunnel(spec, routes)
        var device = try TunnelDevice.find(spec.link, in: spec.namespace, routes)
        var status = WireGuardStatus()
        if let found = device {
            do {
                status = try found.backend.status()
            } catch let error as LinuxNetError
                where found.form == .userspace && (error.code == .notFound || error.code == .timeout)
            {
                // Its process is gone or stuck; packets go nowhere. Nothing of it can be kept.
                host.log(
                    .warning, "tunnel process does not answer, making it anew",
                    [
                        "link": spec.link, "namespace": spec.namespace.path, "reason": error.description,
                    ])
                try found.remove(routes)
                device = nil
            }
        }
        if let device {
            return try finish(spec, device, status, routes)
        }
        let maker = TunnelMaker(spec: spec, mtu: try mtu(for: spec), target: target, routes: routes)
        return try maker.make(try forms.choose()) { device in
            try finish(spec, device, try device.backend.status(), routes)
        }
    }

    /// Compares the tunnel with what is asked, and changes nothing.
    ///
    /// - Returns: One line per difference that `ensure` would put right, and what there is.
    /// - Throws: `terminal` if the name belongs to a link of somebody else.
    func check(_ spec: TunnelSpec) throws -> (drift: [String], observed: Tunnel.Observed?) {
        let routes = try RouteSocket.openBlocking(in: spec.namespace)
        if let other = try otherTunnel(spec, routes) {
            return (["link \(spec.link) is of kind \(other.kind ?? "none")"], nil)
        }
        guard let device = try TunnelDevice.find(spec.link, in: spec.namespace, routes) else {
            return (["link \(spec.link) does not exist"], nil)
        }
        let status: WireGuardStatus
        do {
            status = try device.backend.status()
        } catch let error as LinuxNetError
            where device.form == .userspace && (error.code == .notFound || error.code == .timeout)
        {
            return (["link \(spec.link): its process does not answer"], nil)
        }
        let mtu = try mtu(for: spec)
        let plan = TunnelPlan(
            spec, status: status, link: try observe(device.link, routes), mtu: mtu, podKey: nil)
        var differences = plan.differences
        if status.publicKey == nil, differences.isEmpty { differences = ["it has no key"] }
        let observed = Tunnel.Observed(
            link: spec.link, publicKey: status.publicKey?.description ?? "", mtu: Int(device.link.mtu),
            form: device.form.rawValue, encrypted: true)
        return (differences.map { "link \(spec.link): \($0)" }, observed)
    }

    /// Removes a link of that name that another tunnel provider of this project made: the configuration now says this
    /// one.
    private func removeOtherTunnel(_ spec: TunnelSpec, _ routes: RouteSocket) throws {
        guard try otherTunnel(spec, routes) != nil else { return }
        host.log(
            .notice, "replacing a tunnel of another kind",
            ["link": spec.link, "namespace": spec.namespace.path, "kind": VXLANParameters.linkKind])
        try routes.ensureNoLink(named: spec.link)
    }

    private func otherTunnel(_ spec: TunnelSpec, _ routes: RouteSocket) throws -> Link? {
        guard let link = try routes.link(named: spec.link), link.kind == VXLANParameters.linkKind,
            link.alias.flatMap(TunnelNaming.creationName(inAlias:)) != nil
        else { return nil }
        return link
    }

    /// The part that is the same for a new link and an old one: works out what differs, and does just that.
    private func finish(
        _ spec: TunnelSpec, _ device: TunnelDevice, _ status: WireGuardStatus, _ routes: RouteSocket
    ) throws -> (observed: Tunnel.Observed, address: TunnelAddress) {
        let mtu = try mtu(for: spec)
        let podKey = status.publicKey == nil ? try WireGuardPrivateKey.generate() : nil
        let plan = TunnelPlan(
            spec, status: status, link: try observe(device.link, routes), mtu: mtu, podKey: podKey)
        if !plan.isEmpty { try apply(plan, spec, device, routes) }
        let alias = device.isMarked ? device.link.alias ?? "" : spec.creationName
        if !device.isMarked { try routes.setAlias(alias, index: device.link.index) }
        let key = plan.configuration.privateKey?.publicKey ?? status.publicKey
        return (
            Tunnel.Observed(
                link: spec.link, publicKey: key?.description ?? "", mtu: mtu, form: device.form.rawValue,
                encrypted: true),
            TunnelAddress(namespace: spec.namespace, link: spec.link, form: device.form, creationName: alias)
        )
    }

    private func apply(
        _ plan: TunnelPlan, _ spec: TunnelSpec, _ device: TunnelDevice, _ routes: RouteSocket
    ) throws {
        let index = device.link.index
        for prefix in plan.removedRoutes { try routes.ensureNoRoute(Route(to: prefix, linkIndex: index)) }
        if !plan.configuration.isEmpty { try device.backend.configure(plan.configuration) }
        if let mtu = plan.mtu { try routes.setMTU(UInt32(mtu), index: index) }
        for address in plan.removedAddresses {
            try routes.ensureNoAddress(
                InterfaceAddress(address.address, prefixLength: address.length, linkIndex: index))
        }
        if plan.setUp {
            let hasIPv6 = spec.addresses.contains { $0.address.family == .ipv6 }
            try spec.namespace.runBlocking { try QuietLink.prepare(device.link, routes, hasIPv6: hasIPv6) }
        }
        for address in plan.addedAddresses {
            try routes.ensureAddress(
                InterfaceAddress(
                    address.address, prefixLength: address.length, linkIndex: index, skipsDuplicateDetection: true))
        }
        if plan.setUp { try routes.setUp(true, index: index) }
        for prefix in plan.addedRoutes { try routes.replaceRoute(Route(to: prefix, linkIndex: index)) }
    }

    private func observe(_ link: Link, _ routes: RouteSocket) throws -> ObservedLink {
        let addresses = try routes.addresses(linkIndex: link.index)
        let destinations = try routes.routes().filter {
            $0.linkIndex == link.index && $0.originProtocol != Self.kernelProtocol && $0.gateway == nil
                && $0.kind == .unicast
        }
        return ObservedLink(
            mtu: Int(link.mtu), isUp: link.isUp,
            addresses: Set(addresses.map { TunnelSpec.Address(address: $0.address, length: $0.prefixLength) }),
            routes: Set(destinations.map(\.destination)))
    }

    /// RTPROT_KERNEL of linux/rtnetlink.h.
    private static let kernelProtocol: UInt8 = 2

    /// What the tunnel's MTU shall be, in bytes. A pod end's packets leave by the link that leads to its endpoint, a
    /// gateway end's by the node's default route.
    private func mtu(for spec: TunnelSpec) throws -> Int {
        if let mtu = settings.current.mtu { return mtu }
        let node = try RouteSocket.openBlocking(in: node)
        let index: UInt32?
        switch spec.end {
        case .pod(let gateway):
            index = gateway.endpoint.flatMap { try? node.lookup($0.address).linkIndex }
        case .gateway:
            index = try node.routes().first { $0.destination.isAll && $0.linkIndex != nil }?.linkIndex
        }
        let uplink = try index.flatMap { try node.link(index: $0) }
        return TunnelMTU.derived(fromUplink: uplink.map { Int($0.mtu) } ?? TunnelMTU.ordinaryUplink)
    }
}
