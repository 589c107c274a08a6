import LinuxNet
import ProviderKit

/// The edge: reads and changes the pod's namespace. Used on a thread inside that namespace only.
struct PodNamespace {
    let pod: PodReference
    private let routes: RouteSocket

    /// - Parameter routes: Opened in the pod's namespace.
    init(_ pod: PodReference, routes: RouteSocket) {
        self.pod = pod
        self.routes = routes
    }

    func read() throws -> PodNetworkState {
        let interface = try routes.link(named: pod.interface)
        let tunnel = try routes.link(named: pod.tunnelLink)
        return PodNetworkState(
            interfaceIndex: interface?.index,
            tunnelIndex: tunnel.flatMap { $0.isUp ? $0.index : nil },
            mainRoutes: try routes.routes(),
            savedRoutes: try routes.routes(table: PodNetworkNames.savedTable),
            rules: try IPAddress.Family.allCases.flatMap { try routes.rules(family: $0) },
            hasRuleset: try NFTables.listTable(.inet, PodNetworkNames.nftablesTable) != nil)
    }

    func attach(_ attachment: PodAttachment) throws {
        let actions = try PodNetworkPlan.attach(attachment, read())
        try carryOut(actions, perform: perform)
    }

    /// What ``attach(_:)`` would change; changes nothing.
    func differences(_ attachment: PodAttachment, _ state: PodNetworkState) throws -> [String] {
        try PodNetworkDrift.differences(PodNetworkPlan.attach(attachment, state), state, sysctl: Sysctl.get)
    }

    func detach() throws {
        try carryOut(PodNetworkPlan.detach(read()), perform: perform)
    }

    /// Does the actions in order. If one fails, the ordinary interface is closed to everything but replies.
    ///
    /// - Parameter perform: Does one action; `PodNamespace.perform` outside of tests.
    /// - Throws: What failed, with what it means for the pod.
    func carryOut(_ actions: [PodNetworkAction], perform: (PodNetworkAction) throws -> Void) throws {
        for (index, action) in actions.enumerated() {
            do {
                try perform(action)
            } catch let error {
                if index == 0 { throw explained(error, "nothing was changed") }
                do {
                    try self.perform(.applyRuleset(.closed(interface: pod.interface)))
                } catch let second {
                    // The guard of the first action, or of the attachment being undone, is still in force.
                    throw explained(error, "the pod keeps the guard it had (\(second))")
                }
                throw explained(error, "\(pod.interface) is closed until ensure or remove succeeds")
            }
        }
    }

    func perform(_ action: PodNetworkAction) throws {
        switch action {
        case .applyRuleset(let ruleset): try NFTables.run(ruleset.commands)
        case .removeRuleset: try NFTables.ensureNoTable(.inet, PodNetworkNames.nftablesTable)
        case .setSysctl(let key, let value): try Sysctl.set(key, value)
        case .ensureRoute(let route): try routes.ensureRoute(route)
        case .removeRoute(let route): try routes.ensureNoRoute(route)
        case .ensureRule(let rule): try routes.ensureRule(rule)
        case .removeRule(let rule): try routes.ensureNoRule(rule)
        }
    }

    private func explained(_ error: any Error, _ consequence: String) -> ProviderError {
        var failure =
            (error as? LinuxNetError).map { ProviderError($0, namespace: pod.namespace) } ?? ProviderError(error)
        failure.message += "; \(consequence)"
        return failure
    }
}
