import LinuxNet
import ProviderKit

/// Numbers that identify this plugin's work in a pod's namespace.
enum PodNetworkNames {
    /// Packet mark, connection mark and routing table are one number (upstream behaviour section 2.4).
    static let mark: UInt32 = 0x2222
    static let savedTable: UInt32 = 8738
    /// Marks routes of ours in the main table; unused in iproute2's rt_protos.
    static let routeProtocol: UInt8 = 0x22
    /// The gateway's address on every tunnel (upstream behaviour section 2.4).
    static let tunnelGateway = IPAddress(ipv6: 0xfe80_0000_0000_0000, 1)
    static let nftablesTable = "kube-egress-gateway"
}

/// What a pod's namespace holds, as read from the kernel.
struct PodNetworkState: Sendable, Equatable {
    /// Nil if the link does not exist.
    var interfaceIndex: UInt32?
    /// Nil if the link does not exist or is down.
    var tunnelIndex: UInt32?
    /// Main table, both families.
    var mainRoutes: [Route]
    /// Table `savedTable`, both families: the ordinary routes as they were before.
    var savedRoutes: [Route]
    var rules: [RoutingRule]
    var hasRuleset: Bool

    /// Whether the ordinary routes were saved completely: their IPv4 default is saved last and dropped first.
    var isSaved: Bool { savedRoutes.contains(where: isOrdinaryDefault) }

    /// The ordinary interface's own routes, from before any attachment, in an order in which they can be added:
    /// gateways become reachable before they are used, and the IPv4 default comes last.
    var ordinaryRoutes: [Route] {
        let candidates =
            isSaved ? savedRoutes : mainRoutes.filter { $0.originProtocol != PodNetworkNames.routeProtocol }
        func order(_ route: Route) -> Int {
            isOrdinaryDefault(route) ? 3 : route.destination.isAll ? 2 : route.gateway == nil ? 0 : 1
        }
        return candidates.filter(isMovable).enumerated()
            .sorted { (order($0.element), $0.offset) < (order($1.element), $1.offset) }.map(\.element)
    }

    /// The IPv4 default route by the ordinary interface.
    var ordinaryDefault: Route? { ordinaryRoutes.last.flatMap { isOrdinaryDefault($0) ? $0 : nil } }

    /// Routes of ours in the main table.
    var ownRoutes: [Route] { mainRoutes.filter { $0.originProtocol == PodNetworkNames.routeProtocol } }

    private func isOrdinaryDefault(_ route: Route) -> Bool {
        route.destination == .all(.ipv4) && isMovable(route)
    }

    /// Whether a route leads out by the ordinary interface. Link-local IPv6 never leaves the link: it stays.
    func isMovable(_ route: Route) -> Bool {
        interfaceIndex != nil && route.linkIndex == interfaceIndex && route.kind == .unicast
            && !(route.destination.family == .ipv6 && route.destination.address.isLinkLocal)
    }

    /// The rules that send marked packets to the saved routes, for the families that have any.
    var desiredRules: [RoutingRule] {
        let families = Set(ordinaryRoutes.map(\.destination.family))
        return IPAddress.Family.allCases.filter(families.contains).map {
            RoutingRule(family: $0, table: PodNetworkNames.savedTable, mark: .init(PodNetworkNames.mark))
        }
    }

    /// Rules of ours, for whatever families.
    var ownRules: [RoutingRule] { rules.filter { $0.table == PodNetworkNames.savedTable } }

    /// Our routes in the form of a CNI result: the ordinary gateway, the default, then the rest by destination.
    var observedRoutes: [PodNetwork.Route] {
        func order(_ route: Route) -> Int { route.gateway == nil ? 0 : route.destination.isAll ? 1 : 2 }
        return ownRoutes.sorted { (order($0), $0.destination) < (order($1), $1.destination) }
            .map { PodNetwork.Route(destination: $0.destination.description, gateway: $0.gateway?.description) }
    }

    /// The rule for marked packets that every attachment has.
    private var hasRule: Bool { ownRules.contains { $0.family == .ipv4 } }

    /// Whether there is any part of an attachment.
    var isAttached: Bool { hasRuleset || hasRule || isSaved || !ownRoutes.isEmpty }

    /// Parts of an attachment that are not there although others are; empty for a pod that has none at all.
    var missingParts: [String] {
        guard isAttached else { return [] }
        let sendsAllThroughTunnel = ownRoutes.contains { $0.linkIndex == interfaceIndex }
        let hasTunnelDefault = ownRoutes.contains { $0.destination.isAll && $0.linkIndex != interfaceIndex }
        return [
            hasRuleset ? nil : "nftables table \(PodNetworkNames.nftablesTable)",
            hasRule ? nil : "rule for mark \(PodNetworkNames.mark)",
            isSaved ? nil : "default route in table \(PodNetworkNames.savedTable)",
            sendsAllThroughTunnel && !hasTunnelDefault ? "default route through the tunnel" : nil,
        ].compactMap(\.self)
    }
}
