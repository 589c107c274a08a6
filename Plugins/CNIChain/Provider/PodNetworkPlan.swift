import LinuxNet
import ProviderKit

/// One change of a pod's namespace. Each is idempotent.
enum PodNetworkAction: Sendable, Equatable {
    case applyRuleset(PodRuleset)
    case removeRuleset
    /// Key below /proc/sys, value.
    case setSysctl(String, String)
    case ensureRoute(Route)
    case removeRoute(Route)
    case ensureRule(RoutingRule)
    case removeRule(RoutingRule)
}

/// Which changes lead from what is to what shall be. Pure.
enum PodNetworkPlan {
    /// The changes that attach a pod.
    ///
    /// The guard comes first and is one transaction: from then on no packet leaves by the ordinary interface that must
    /// not, in whatever order and however far the rest is done.
    ///
    /// - Throws: `ProviderError` if the pod has no link or no ordinary default route to start from.
    static func attach(_ attachment: PodAttachment, _ state: PodNetworkState) throws -> [PodNetworkAction] {
        let pod = attachment.pod
        guard let interface = state.interfaceIndex else {
            throw ProviderError(.terminal, "interface: link \"\(pod.interface)\" does not exist in \(pod.namespace)")
        }
        guard let tunnel = state.tunnelIndex else {
            throw ProviderError(
                .retry, "tunnelLink: link \"\(pod.tunnelLink)\" is not up in \(pod.namespace); ensure the tunnel first")
        }
        guard let ordinary = state.ordinaryDefault else {
            throw ProviderError(
                .terminal, "interface: link \"\(pod.interface)\" has no IPv4 default route in \(pod.namespace)")
        }
        let desired: [Route]
        let ruleset: PodRuleset
        switch attachment.path {
        case .tunnel(let direct):
            desired = tunnelRoutes(direct, ordinary: ordinary, state, interface: interface, tunnel: tunnel)
            let gateway = ordinary.gateway.map { [IPPrefix(host: $0)] } ?? []
            ruleset = PodRuleset(interface: pod.interface, guarding: .only(gateway + direct))
        case .ordinary(let tunnelled):
            desired = tunnelled.map { own(Route(to: $0, via: PodNetworkNames.tunnelGateway, linkIndex: tunnel)) }
            ruleset = PodRuleset(interface: pod.interface, guarding: .allBut(tunnelled))
        }
        let common =
            [.applyRuleset(ruleset)] + settings(pod.interface, state) + save(state)
            + state.desiredRules.map(PodNetworkAction.ensureRule)
        switch attachment.path {
        case .tunnel:
            let others = state.mainRoutes.filter(state.isMovable)
            return common + desired.map(PodNetworkAction.ensureRoute) + drop(others + state.ownRoutes, except: desired)
        case .ordinary:
            return common + restore(state) + desired.map(PodNetworkAction.ensureRoute)
                + drop(state.ownRoutes, except: desired)
        }
    }

    /// The changes that undo an attachment. The guard goes last, so that an undo that stops halfway leaves the pod
    /// closed, and is found and finished by the next.
    static func detach(_ state: PodNetworkState) -> [PodNetworkAction] {
        restore(state) + drop(state.ownRoutes, except: [])
            + state.ownRules.map(PodNetworkAction.removeRule)
            // The default first: without it the rest no longer counts as saved.
            + Array(state.savedRoutes.sorted { $0.destination.length < $1.destination.length })
            .map(PodNetworkAction.removeRoute)
            + [.removeRuleset]
    }

    private static func own(_ route: Route) -> Route {
        var route = route
        route.originProtocol = PodNetworkNames.routeProtocol
        return route
    }

    /// The ordinary gateway, the exceptions through it, then the default through the tunnel.
    private static func tunnelRoutes(
        _ direct: [IPPrefix], ordinary: Route, _ state: PodNetworkState, interface: UInt32, tunnel: UInt32
    ) -> [Route] {
        let ordinary6 = state.ordinaryRoutes.first { $0.destination == .all(.ipv6) }
        let gateway = ordinary.gateway.map { Route(to: IPPrefix(host: $0), linkIndex: interface) }
        let exceptions = direct.compactMap { prefix -> Route? in
            // A pod without IPv6 has no way to an IPv6 exception, and needs none.
            guard let base = prefix.family == .ipv4 ? ordinary : ordinary6 else { return nil }
            return Route(to: prefix, via: base.gateway, linkIndex: interface, isOnLink: base.isOnLink)
        }
        .filter { $0.destination != gateway?.destination }
        let all = Route(to: .all(.ipv4), via: PodNetworkNames.tunnelGateway, linkIndex: tunnel)
        return ([gateway].compactMap(\.self) + exceptions + [all]).map(own)
    }

    /// - rp_filter 2, loose: the way back to an inbound connection's source may lie through the tunnel.
    /// - tcp_fwmark_accept, fwmark_reflect: TCP, resets and echo replies of inbound connections find the saved routes
    ///   even when the main table has none for them, as for IPv6 once it is closed.
    private static func settings(_ interface: String, _ state: PodNetworkState) -> [PodNetworkAction] {
        let families = Set(state.ordinaryRoutes.map(\.destination.family))
        return ["all", interface].map { .setSysctl("net/ipv4/conf/\($0)/rp_filter", "2") }
            + [.setSysctl("net/ipv4/tcp_fwmark_accept", "1"), .setSysctl("net/ipv4/fwmark_reflect", "1")]
            + (families.contains(.ipv6) ? [.setSysctl("net/ipv6/fwmark_reflect", "1")] : [])
    }

    private static func save(_ state: PodNetworkState) -> [PodNetworkAction] {
        state.ordinaryRoutes.map { route in
            var copy = route
            copy.table = PodNetworkNames.savedTable
            return .ensureRoute(copy)
        }
    }

    private static func restore(_ state: PodNetworkState) -> [PodNetworkAction] {
        guard state.isSaved else { return [] }
        return state.ordinaryRoutes.map { route in
            var copy = route
            copy.table = Route.mainTable
            return .ensureRoute(copy)
        }
    }

    /// Removes routes that are not desired. One that a desired route took the place of is gone already: harmless.
    private static func drop(_ routes: [Route], except desired: [Route]) -> [PodNetworkAction] {
        var seen: Set<Route> = []
        return routes.filter { route in
            seen.insert(route).inserted
                && !desired.contains {
                    $0.destination == route.destination && $0.linkIndex == route.linkIndex
                        && $0.gateway == route.gateway && $0.originProtocol == route.originProtocol
                }
        }
        .map(PodNetworkAction.removeRoute)
    }
}
