import LinuxNet
import Testing

@testable import Lab

@Suite struct FabricPlanTests {
    private let nodes = FabricExample.nodes(prefix: "unused")

    private func plan(_ topology: AzureTopology, healthy: Set<ProbeTarget>? = nil) -> FabricPlan {
        FabricPlan(topology: topology, nodes: nodes, healthy: healthy ?? topology.probeTargets)
    }

    @Test func onlyHealthyBackendsAreChosen() throws {
        let topology = FabricExample.topology()
        let targets = topology.probeTargets
        #expect(Set(targets.map(\.node)) == ["gateway-1", "gateway-2"])
        let all = try #require(plan(topology).services.first)
        #expect(all.backends.map(\.node) == ["gateway-1", "gateway-2"])
        let one = plan(topology, healthy: targets.filter { $0.node == "gateway-2" })
        #expect(one.services.first?.backends.map(\.node) == ["gateway-2"])
        #expect(one.services.first?.backends.first?.mark == all.backends.last?.mark, "flows remember their mark")
        let none = plan(topology, healthy: [])
        #expect(none.services.first?.backends == [])
        #expect(none.ruleset(FabricExample.configuration(prefix: "unused")).contains("service_0 {\n        drop"))
    }

    @Test func secondaryAddressesAreRoutedToTheirNodeAndLeaveWithTheirPublicAddress() throws {
        let plan = plan(FabricExample.topology())
        let secondary = try #require(IPAddress("10.243.0.7"))
        #expect(plan.publicAddresses == [secondary: try #require(IPAddress("203.0.113.8"))])
        let route = try #require(plan.routes.first { $0.destination == IPPrefix(host: secondary) })
        #expect(route.link == "fab-gateway-1")
        #expect(route.gateway?.description == "10.243.0.4")
    }

    @Test func aNodeMaySendFromItsOwnAddressesOnly() {
        let plan = plan(FabricExample.topology())
        #expect(plan.allowedSources["fab-worker-1"]?.map(\.description) == ["10.243.4.4"])
        #expect(
            plan.allowedSources["fab-gateway-1"].map { Set($0.map(\.description)) }
                == ["10.243.0.4", "10.243.0.6", "10.243.0.7"])
    }

    @Test func aRuleThatTheFabricCannotCarryOutIsRefusedWithItsName() {
        var topology = FabricExample.topology()
        topology.rules[0].floatingIP = false
        let plan = plan(topology)
        #expect(plan.services.isEmpty)
        #expect(plan.refusals == ["rule lb/rule: the fabric balances Udp and Tcp with floating IP only"])
    }

    @Test func theEmptyTopologyStillGuardsAndTranslates() {
        let ruleset = plan(AzureTopology()).ruleset(FabricExample.configuration(prefix: "unused"))
        #expect(ruleset.contains("policy drop"))
        #expect(ruleset.contains("snat to 192.0.2.10"))
        #expect(!ruleset.contains("elements = {  }"))
    }
}
