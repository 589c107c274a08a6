import AzureTestSupport
import Kubernetes
import Lab
import ProviderKit
import Testing

@testable import Host

/// Whose prefixes a namespace may bring, if the operator says so.
@Suite(.serialized) struct PrefixAllowListTests {
    private static func id(_ group: String, _ name: String) -> String {
        "/subscriptions/\(ARMTestClient.subscription)/resourceGroups/\(group)/providers/Microsoft.Network"
            + "/publicIPPrefixes/\(name)"
    }

    private let list = PrefixAllowList(
        ownResourceGroup: "own",
        entries: [
            .init(namespace: "team-a", scope: .resourceGroup("shared")),
            .init(namespace: "team-b", scope: .prefix(id("vault", "bank"))),
            .init(namespace: "team-b", scope: .prefix(id("own", "egressgateway-old"))),
            .init(namespace: "*", scope: .resourceGroup("common")),
        ])

    @Test(arguments: [
        ("team-a", "own", "p", true), ("team-a", "OWN", "p", true), ("team-a", "Shared", "p", true),
        ("team-b", "shared", "p", false), ("team-b", "vault", "Bank", true), ("team-b", "vault", "other", false),
        ("team-a", "vault", "bank", false), ("anyone", "common", "p", true), ("anyone", "elsewhere", "p", false),
        ("anyone", "own", "egressgateway-old", false), ("team-b", "own", "egressgateway-old", true),
        ("anyone", "common", "EgressGateway-other", false),
    ])
    func whatIsOpen(namespace: String, group: String, name: String, isOpen: Bool) {
        let refusal = list.refusal(of: Self.id(group, name), in: namespace)
        #expect((refusal == nil) == isOpen)
        #expect(refusal?.contains("not opened to namespace \(namespace)") != false)
    }

    @Test(arguments: ["p", "/subscriptions/s/resourceGroups/own/providers/Microsoft.Network/publicIPAddresses/p"])
    func whatIsNoPrefixIsClosed(id: String) {
        #expect(list.refusal(of: id, in: "team-a")?.contains("must have the form /subscriptions/") == true)
        #expect(PrefixAllowList().refusal(of: Self.id("", "p"), in: "team-a") != nil)
    }

    /// Such a name would get past the comparison and mean another resource to the server.
    @Test(arguments: ["%65gressgateway-old", "..%2f..", "..", "p?x=y", "p#f", "p q"])
    func anEscapeNamesNoPrefix(name: String) {
        #expect(list.refusal(of: Self.id("own", name), in: "team-a") != nil)
        #expect(list.refusal(of: Self.id("common", name), in: "team-a") != nil)
    }

    @Test func theListIsReadFromTheManagersSection() throws {
        let text = """
            role: manager
            manager:
              broughtPrefixes:
                ownResourceGroup: own
                allow:
                  - { namespace: team-a, resourceGroup: shared }
                  - { namespace: team-b, prefixID: \(Self.id("vault", "bank")) }
            """
        let read = try HostConfiguration.parse(text, name: "host.yaml").manager.broughtPrefixes
        #expect(read?.ownResourceGroup == "own" && read?.entries == Array(list.entries.prefix(2)))
        let none = try HostConfiguration.parse("role: manager\nmanager: {}", name: "host.yaml")
        #expect(none.manager.broughtPrefixes == nil)
        let error = #expect(throws: (any Error).self) {
            try HostConfiguration.parse(
                """
                role: manager
                manager:
                  broughtPrefixes:
                    allow:
                      - { namespace: a, prefixID: p }
                      - { namespace: a }
                      - { resourceGroup: g }
                      - { namespace: a, resourceGroup: g, prefixID: p, group: x }
                """, name: "host.yaml")
        }
        let lines = String(describing: error).split(separator: "\n").joined()
        #expect(lines.contains("allow[0].prefixID is \"p\"; allowed is /subscriptions/"))
        #expect(lines.contains("allow[1].resourceGroup or prefixID must be set"))
        #expect(lines.contains("allow[2].namespace is missing"))
        #expect(lines.contains("allow[3].group is unknown"))
    }

    @Test func aClosedPrefixNeverReachesTheCloud() async throws {
        try await ManagerFixture.run(broughtPrefixes: PrefixAllowList(ownResourceGroup: "kegw-lab")) { fixture in
            try await fixture.create("thief") { $0.publicIpPrefixId = Self.id("vault", "bank") }
            let condition = try await fixture.eventually("the prefix is refused") {
                let found = try await fixture.find(StaticGatewayConfiguration.self, "thief")
                return found?.status?.conditions?.first { $0.reason == "PrefixNotAllowed" }
            }
            #expect(condition.status == "False" && condition.message.hasPrefix("spec.publicIpPrefixId is \"/sub"))
            // An object made by hand meets the same gate.
            try await fixture.client.create(
                GatewayVMConfiguration(
                    metadata: ObjectMeta(name: "by-hand", namespace: ManagerFixture.namespace),
                    spec: GatewayConfigurationSpec(
                        gatewayNodepoolName: "gwpool", publicIpPrefixId: Self.id("vault", "bank"))))
            let direct = try await fixture.eventually("the object is refused") {
                let found = try await fixture.find(GatewayVMConfiguration.self, "by-hand")
                return found?.status?.conditions?.first
            }
            #expect(direct.reason == "PrefixNotAllowed" && direct.status == "False")
            // Neither pool nor prefix was asked for.
            let audit = await fixture.simulator.audit()
            #expect(audit["PublicIPPrefixes_Get"] == nil && audit["VirtualMachineScaleSets_List"] == nil)
            #expect(await fixture.simulator.managedResources() == [])
            #expect(try await fixture.events(about: "thief").map(\.reason) == ["PrefixNotAllowed"])
        }
    }
}
