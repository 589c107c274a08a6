import Foundation
import Kubernetes
import Testing

@testable import Host

@Suite struct GatewayUseTests {
    private let profiles = ["gw-1", "GW-2"].map { GatewayVMProfile(nodeName: $0, primaryIP: "", secondaryIP: "") }

    private func node(_ name: String, ready: String?) -> Node {
        Node(
            metadata: ObjectMeta(name: name),
            status: NodeStatus(conditions: ready.map { [Condition(type: "Ready", status: $0)] }))
    }

    private func use(_ reporting: [String], _ cluster: [Node] = []) -> GatewayUse {
        GatewayUse(profiles: profiles, reporting: reporting, silent: GatewayUse.silentNodes(cluster), pods: 3)
    }

    @Test func nodesThatReportTheConfigurationAreHealthy() {
        let all = use(["gw-1", "gw-2", "another"])
        #expect(all.healthyText == "2/2")
        let condition = all.condition(generation: 4)
        #expect(condition.isTrue && condition.reason == "AllHealthy" && condition.observedGeneration == 4)
        let some = use(["gw-1"])
        #expect(some.healthyText == "1/2")
        #expect(some.condition(generation: 4).reason == "SomeUnhealthy")
        #expect(some.condition(generation: 4).message.contains("GW-2: its tunnel server is not reported"))
        let none = use([])
        #expect(none.condition(generation: 4).status == "False")
        #expect(none.condition(generation: 4).reason == "NoneHealthy")
    }

    @Test(arguments: ["False", "Unknown"]) func whatADeadNodeReportedLastDoesNotCount(ready: String) {
        let use = use(["gw-1", "gw-2"], [node("gw-1", ready: ready), node("gw-2", ready: "True")])
        #expect(use.healthyText == "1/2")
        #expect(use.condition(generation: 1).message.contains("gw-1: the node is not ready"))
    }

    @Test func aConfigurationWithoutNodesIsNeitherHealthyNorNot() {
        let use = GatewayUse(profiles: [], reporting: ["gw-1"], silent: [], pods: 0)
        #expect(use.condition(generation: 1).status == "Unknown")
        #expect(use.condition(generation: 1).reason == "NodesPending")
        #expect(use.healthyText == "0/0")
    }

    @Test func whatAStatusSaysAlreadyIsToldByIt() {
        let use = use(["gw-1"])
        var gateway = StaticGatewayConfiguration(
            metadata: ObjectMeta(name: "a", namespace: "b", generation: 2), spec: StaticGatewayConfigurationSpec())
        #expect(!use.isTold(by: gateway))
        gateway.status = use.entered(
            in: StaticGatewayConfigurationStatus(), generation: 2,
            now: Timestamp(Date(timeIntervalSince1970: 1_800_000_000)))
        #expect(use.isTold(by: gateway))
        #expect(gateway.status?.pods == 3 && gateway.status?.healthyGateways == "1/2")
        #expect(!self.use(["gw-1", "gw-2"]).isTold(by: gateway))
        gateway.metadata.generation = 3
        #expect(!use.isTold(by: gateway), "the condition is about the present form")
    }

    @Test func theStatusFollowsReportsAndPodsAndNotEachOfThem() async throws {
        try await ManagerFixture.run { fixture in
            try await fixture.create("gw-a")
            _ = try await fixture.ready("gw-a")
            let named = "\(ManagerFixture.namespace)/gw-a"
            for node in ["gateway-1", "gateway-2"] {
                try await fixture.client.create(
                    GatewayStatus(
                        metadata: ObjectMeta(name: node, namespace: ManagerFixture.secretNamespace),
                        spec: GatewayStatusSpec(readyGatewayConfigurations: [
                            .init(staticGatewayConfiguration: named, interfaceName: "wg-6000")
                        ])))
            }
            for number in 0..<40 {
                try await fixture.client.create(
                    PodEndpoint(
                        metadata: ObjectMeta(name: "pod-\(number)", namespace: ManagerFixture.namespace),
                        spec: PodEndpointSpec(
                            staticGatewayConfiguration: number < 30 ? "gw-a" : "other",
                            podIpAddress: "10.1.0.\(number)/32", podPublicKey: "k")))
            }
            let found = try await fixture.eventually("the status tells of nodes and pods") {
                let status = try await fixture.ready("gw-a").status
                return status?.pods == 30 && status?.healthyGateways == "2/2" ? status : nil
            }
            let condition = found.conditions?.first { $0.type == GatewayUse.conditionType }
            #expect(condition?.isTrue == true && condition?.reason == "AllHealthy")
            #expect(try await fixture.events(about: "gw-a").filter { $0.reason == "Reconciled" }.count <= 2)
            try await fixture.client.delete(
                GatewayStatus.self, namespace: ManagerFixture.secretNamespace, name: "gateway-2")
            _ = try await fixture.eventually("the lost node is told") {
                try await fixture.ready("gw-a").status?.healthyGateways == "1/2" ? () : nil
            }
        }
    }
}
