import LinuxNet
import ProviderKit
import Testing

@testable import CNIChainProvider

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

@Suite("Requests of pod-network/1")
struct RequestTests {
    private func desired(
        namespace: String = "/run/netns/none", interface: String = "eth0", tunnelLink: String = "wg0",
        route: PodNetwork.DefaultRoute = .staticEgressGateway, excluded: [String] = [], exceptions: [String] = []
    ) -> PodNetwork.Desired {
        PodNetwork.Desired(
            id: "p", namespace: namespace, interface: interface, tunnelLink: tunnelLink, defaultRoute: route,
            excludedCIDRs: excluded, exceptionCIDRs: exceptions)
    }

    @Test("a bad value is refused with its field, the value and what is allowed")
    func invalid() async {
        let cases: [(PodNetwork.Desired, String)] = [
            (
                desired(excluded: ["10.0.0.0/8", "10.1.1.1"]),
                "excludedCIDRs[1]: \"10.1.1.1\" is not allowed; allowed: CIDR"
            ),
            (desired(exceptions: ["::/129"]), "exceptionCIDRs[0]: \"::/129\""),
            (desired(exceptions: ["0.0.0.0/0"]), "exceptionCIDRs[0]: \"0.0.0.0/0\" covers everything"),
            (desired(route: .azureNetworking, excluded: ["::/0"]), "excludedCIDRs[0]: \"::/0\" covers everything"),
            (desired(namespace: "pod"), "namespace: \"pod\" is not allowed; allowed: an absolute path"),
            (desired(interface: "eth0\" accept"), "interface: \"eth0\" accept\" is not allowed"),
            (desired(tunnelLink: ""), "tunnelLink: \"\" is not allowed"),
            (desired(tunnelLink: ".."), "tunnelLink: \"..\" is not allowed"),
            (desired(tunnelLink: "eth0"), "tunnelLink: \"eth0\" is the interface"),
        ]
        for (item, expected) in cases {
            let result = await PodNetworkProbe.capability.ensure([item], PodNetworkProbe.context).first
            #expect(result?.code == .invalid)
            #expect(result?.message?.hasPrefix(expected) == true, "\(result?.message ?? "")")
        }
    }

    @Test("a namespace that is gone is terminal for ensure and status, and success for remove")
    func gone() async {
        let reference = PodNetwork.Reference(
            id: "p", namespace: "/run/netns/kegwt-cc-gone", interface: "eth0", tunnelLink: "wg0")
        let ensured = await PodNetworkProbe.capability.ensure(
            [desired(namespace: reference.namespace)], PodNetworkProbe.context
        ).first
        #expect(ensured?.code == .terminal)
        #expect(ensured?.message == "namespace: \"/run/netns/kegwt-cc-gone\" does not exist; the pod is gone")
        #expect(await PodNetworkProbe.capability.status([reference], PodNetworkProbe.context).first?.code == .terminal)
        #expect(await PodNetworkProbe.capability.remove([reference], PodNetworkProbe.context).first?.code == .ok)
    }

    @Test("items are answered one by one, in order, and not after the deadline")
    func batch() async {
        let items = (0..<40).map { number in
            PodNetwork.Reference(id: "\(number)", namespace: "/run/netns/no-\(number)", interface: "e", tunnelLink: "w")
        }
        let results = await PodNetworkProbe.capability.remove(items, PodNetworkProbe.context)
        #expect(results.map(\.id) == items.map(\.id) && results.allSatisfy { $0.code == .ok })
        let late = CallContext(deadline: HostInstant(nanoseconds: -1), host: PodNetworkProbe.host)
        #expect(await PodNetworkProbe.capability.remove(items, late).allSatisfy { $0.code == .retry })
    }

    @Test("the plugin takes an empty configuration only")
    func configuration() throws {
        #expect(
            try CNIChainProvider(host: PodNetworkProbe.host, configuration: Data("{}".utf8)).capabilities
                .map(\.identifier) == ["pod-network/1"])
        let unknown = #expect(throws: ProviderError.self) {
            try CNIChainProvider(host: PodNetworkProbe.host, configuration: Data(#"{"mtu": 1}"#.utf8))
        }
        #expect(unknown?.code == .invalid && unknown?.message.hasPrefix("configuration.mtu: ") == true)
        #expect(throws: ProviderError.self) {
            try CNIChainProvider(host: PodNetworkProbe.host, configuration: Data("[]".utf8))
        }
    }
}

@Suite("Planning, without a kernel")
struct PlanTests {
    private let gateway = IPAddress(ipv4: 0x0af4_0001)

    private func state(mainRoutes: [Route], savedRoutes: [Route] = []) -> PodNetworkState {
        PodNetworkState(
            interfaceIndex: 2, tunnelIndex: 3, mainRoutes: mainRoutes, savedRoutes: savedRoutes, rules: [],
            hasRuleset: false)
    }

    private func attachment() throws -> PodAttachment {
        try PodAttachment(
            PodNetwork.Desired(
                id: "p", namespace: "/n", interface: "eth0", tunnelLink: "wg0", defaultRoute: .staticEgressGateway,
                excludedCIDRs: ["192.0.2.9/24", "192.0.2.0/24"], exceptionCIDRs: ["192.0.2.0/24"]))
    }

    @Test("the guard is the first action, and saving ends with the default before any main route changes")
    func order() throws {
        let connected = Route(to: IPPrefix(gateway, length: 24), linkIndex: 2, originProtocol: 2)
        let actions = try PodNetworkPlan.attach(
            attachment(), state(mainRoutes: [Route(to: .all(.ipv4), via: gateway, linkIndex: 2), connected]))
        guard case .applyRuleset(let ruleset) = actions.first else {
            Issue.record("the first action is \(String(describing: actions.first))")
            return
        }
        #expect(
            ruleset.guarding == .only([IPPrefix(host: gateway), IPPrefix(IPAddress(ipv4: 0xc000_0200), length: 24)]))
        let ensured = actions.compactMap { action -> Route? in
            if case .ensureRoute(let route) = action { return route }
            return nil
        }
        #expect(ensured.map(\.table) == [8738, 8738, 254, 254, 254])
        #expect(ensured[0].destination == connected.destination && ensured[1].destination.isAll)
        #expect(ensured.last?.gateway == PodNetworkNames.tunnelGateway)
    }

    @Test("the ordinary gateway is found in table 8738 when it is gone from the main table")
    func savedDefault() throws {
        let saved = Route(to: .all(.ipv4), via: gateway, linkIndex: 2, table: 8738)
        let attached = state(mainRoutes: [], savedRoutes: [saved])
        #expect(attached.ordinaryDefault?.gateway == gateway)
        #expect(try !PodNetworkPlan.attach(attachment(), attached).isEmpty)
    }

    @Test("a pod without an ordinary default route, interface or tunnel is refused before anything changes")
    func refused() throws {
        let route = Route(to: .all(.ipv4), via: gateway, linkIndex: 2)
        let elsewhere = Route(to: .all(.ipv4), via: gateway, linkIndex: 9)
        let noRoute = #expect(throws: ProviderError.self) {
            try PodNetworkPlan.attach(attachment(), state(mainRoutes: [elsewhere]))
        }
        #expect(noRoute?.code == .terminal && noRoute?.message.contains("no IPv4 default route") == true)
        var noTunnel = state(mainRoutes: [route])
        noTunnel.tunnelIndex = nil
        #expect(throws: ProviderError.self) { try PodNetworkPlan.attach(attachment(), noTunnel) }
        var noInterface = state(mainRoutes: [route])
        noInterface.interfaceIndex = nil
        let missing = #expect(throws: ProviderError.self) { try PodNetworkPlan.attach(attachment(), noInterface) }
        #expect(missing?.code == .terminal)
    }

    @Test("undoing opens last")
    func detachOrder() {
        let saved = Route(to: .all(.ipv4), via: gateway, linkIndex: 2, table: 8738)
        var attached = state(mainRoutes: [], savedRoutes: [saved])
        attached.hasRuleset = true
        let actions = PodNetworkPlan.detach(attached)
        #expect(actions.last == .removeRuleset)
        var restored = saved
        restored.table = Route.mainTable
        #expect(actions.first == .ensureRoute(restored))
    }
}
