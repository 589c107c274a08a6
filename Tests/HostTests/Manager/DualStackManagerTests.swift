import AzureTestSupport
import JSONModel
import Kubernetes
import Lab
import ProviderKit
import Testing

@testable import Host

/// `spec.ipFamilies` from the object that a user makes to the cloud, and back into the status.
@Suite(.serialized) struct DualStackManagerTests {
    @Test func aGatewayThatAsksHasAnIPv6PrefixAndItsNodesHaveAddresses() async throws {
        try await ManagerFixture.run(azure: .test(subnetIPv6: "fd00:243::/64")) { fixture in
            try await fixture.create("dual") { $0.ipFamilies = ["IPv4", "IPv6"] }
            let status = try await fixture.eventually("the status has the IPv6 prefix") {
                let found = try await fixture.find(StaticGatewayConfiguration.self, "dual")?.status
                return found?.egressIpv6Prefix.isEmpty == false ? found : nil
            }
            #expect(status.egressIpPrefix.hasSuffix("/31") && status.egressIpv6Prefix.hasSuffix("/127"))
            let machines = try #require(try await fixture.find(GatewayVMConfiguration.self, "dual"))
            #expect(machines.spec.ipFamilies == ["IPv4", "IPv6"])
            let profiles = machines.status?.gatewayVMProfiles ?? []
            #expect(profiles.count == 2 && profiles.allSatisfy { $0.secondaryIPv6.hasPrefix("fd00:243:") })
            #expect(
                await fixture.simulator.snapshot().prefixes.map(\.block).contains(status.egressIpv6Prefix))
        }
    }

    @Test func aSubnetWithoutIPv6IsToldAndTheGatewayServesOnWithoutTheWish() async throws {
        try await ManagerFixture.run { fixture in
            try await fixture.create("dual") { $0.ipFamilies = ["IPv4", "IPv6"] }
            let condition = try await fixture.eventually("the condition says it") {
                let found = try await fixture.find(StaticGatewayConfiguration.self, "dual")
                return found?.status?.conditions?.first { $0.reason == "IPFamilyUnsupported" }
            }
            #expect(condition.status == "False" && condition.message.contains("subnet gateways of the pool"))
            try await fixture.client.mergePatch(
                StaticGatewayConfiguration.self, namespace: ManagerFixture.namespace, name: "dual",
                patch: ["spec": ["ipFamilies": ["IPv4"]]] as JSONValue)
            let ready = try await fixture.ready("dual")
            #expect(ready.status?.egressIpv6Prefix == "")
        }
    }
}
