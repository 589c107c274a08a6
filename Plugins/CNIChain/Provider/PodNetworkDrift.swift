import LinuxNet
import ProviderKit

/// What of an attachment is not as desired: those actions of the plan that would change something. Pure, but for the
/// sysctls, which a state does not hold.
enum PodNetworkDrift {
    /// - Parameters:
    ///   - actions: of ``PodNetworkPlan/attach(_:_:)`` for the same state.
    ///   - sysctl: the value of a key.
    /// - Returns: One line per difference. Of the nftables table only its presence is compared: whoever can change its
    ///   rules inside the pod's namespace can also change them back.
    static func differences(
        _ actions: [PodNetworkAction], _ state: PodNetworkState, sysctl: (String) throws -> String
    ) rethrows -> [String] {
        try actions.compactMap { action in
            switch action {
            case .applyRuleset:
                state.hasRuleset ? nil : "nftables table \(PodNetworkNames.nftablesTable) is missing"
            case .removeRuleset:
                state.hasRuleset ? "nftables table \(PodNetworkNames.nftablesTable) is not wanted" : nil
            case .setSysctl(let key, let value):
                try sysctl(key) == value ? nil : "sysctl \(key) is not \(value)"
            case .ensureRoute(let route):
                isThere(route, state) ? nil : "route \(text(route)) is missing"
            case .removeRoute(let route):
                isThere(route, state) ? "route \(text(route)) is not wanted" : nil
            case .ensureRule(let rule):
                state.rules.contains { $0.family == rule.family && $0.table == rule.table && $0.mark == rule.mark }
                    ? nil : "rule \(rule) is missing"
            case .removeRule(let rule):
                state.rules.contains(rule) ? "rule \(rule) is not wanted" : nil
            }
        }
    }

    /// The kernel adds a scope and a metric to what was asked; what decides where packets go is compared.
    private static func isThere(_ route: Route, _ state: PodNetworkState) -> Bool {
        (route.table == PodNetworkNames.savedTable ? state.savedRoutes : state.mainRoutes).contains {
            $0.destination == route.destination && $0.linkIndex == route.linkIndex && $0.gateway == route.gateway
                && $0.originProtocol == route.originProtocol && $0.kind == route.kind
        }
    }

    private static func text(_ route: Route) -> String {
        let via = route.gateway.map { " via \($0)" } ?? ""
        return "\(route.destination)\(via) in table \(route.table)"
    }
}
