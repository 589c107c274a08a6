import Foundation
import JSONModel
import Kubernetes
import Lab
import LinuxNet
import ProviderKit
import Testing

@testable import Host

@Suite(.serialized) struct ManagerTests {
    @Test func aConfigurationBecomesReadyInTheAPIAndInTheCloud() async throws {
        try await ManagerFixture.run { fixture in
            try await fixture.create("gw-a")
            let gateway = try await fixture.ready("gw-a")
            let status = try #require(gateway.status)
            #expect(status.egressIpPrefix.hasPrefix("203.0.113.") && status.egressIpPrefix.hasSuffix("/31"))
            #expect(status.gatewayServerProfile.ip == "10.243.0.6")
            #expect(status.gatewayServerProfile.port == 6000)
            let condition = try #require(status.conditions?.first)
            #expect(condition.type == "Ready" && condition.isTrue && condition.reason == "Provisioned")
            #expect(gateway.metadata.finalizers == ["static-gateway-configuration-controller.microsoft.com"])

            let secret = try #require(
                try await fixture.find(
                    Secret.self, "sgw-\(gateway.metadata.uid)", namespace: ManagerFixture.secretNamespace))
            let text = String(decoding: try #require(secret.data["PrivateKey"]), as: UTF8.self)
            let key = try WireGuardPrivateKey(parsing: text)
            #expect(status.gatewayServerProfile.publicKey == key.publicKey.description)
            #expect(
                secret.metadata.labels["egressgateway.kubernetes.azure.com/owning-gateway-config-name"] == "gw-a")

            let lease = try await fixture.find(
                Lease.self, "0a299682.microsoft.com", namespace: ManagerFixture.secretNamespace)
            #expect(lease?.spec.holderIdentity?.isEmpty == false)

            let balancer = try #require(try await fixture.find(GatewayLBConfiguration.self, "gw-a"))
            let machines = try #require(try await fixture.find(GatewayVMConfiguration.self, "gw-a"))
            #expect(balancer.metadata.ownerReferences.map(\.uid) == [gateway.metadata.uid])
            #expect(machines.status?.gatewayVMProfiles.map(\.nodeName) == ["gateway-1", "gateway-2"])
            let rules = await fixture.simulator.snapshot().rules
            #expect(rules.map(\.probe?.path) == ["/gw/\(gateway.metadata.uid)"])
            let managed = await fixture.simulator.managedResources()
            #expect(managed.contains { $0.hasSuffix("publicIPPrefixes/egressgateway-\(machines.metadata.uid)") })
        }
    }

    @Test func deletionLeavesNothingInTheAPIAndInTheCloud() async throws {
        try await ManagerFixture.run { fixture in
            try await fixture.create("gw-a")
            let uid = try await fixture.ready("gw-a").metadata.uid
            #expect(await !fixture.simulator.managedResources().isEmpty)
            try await fixture.client.delete(
                StaticGatewayConfiguration.self, namespace: ManagerFixture.namespace, name: "gw-a")
            try await fixture.eventually("gw-a is gone") {
                try await fixture.find(StaticGatewayConfiguration.self, "gw-a") == nil ? () : nil
            }
            #expect(await fixture.simulator.managedResources() == [])
            #expect(try await fixture.find(GatewayLBConfiguration.self, "gw-a") == nil)
            #expect(try await fixture.find(GatewayVMConfiguration.self, "gw-a") == nil)
            #expect(
                try await fixture.find(Secret.self, "sgw-\(uid)", namespace: ManagerFixture.secretNamespace) == nil)
        }
    }

    @Test func anInvalidSpecGetsAnEventAndNothingElse() async throws {
        try await ManagerFixture.run(definitionsHaveRules: false) { fixture in
            try await fixture.create("both") { spec in
                spec.gatewayVmssProfile = GatewayVmssProfile(
                    vmssResourceGroup: "rg", vmssName: "gateways", publicIpPrefixSize: 31)
            }
            let event = try await fixture.eventually("an InvalidSpec event") {
                try await fixture.events(about: "both").first { $0.reason == "InvalidSpec" }
            }
            #expect(event.type == "Warning")
            #expect(event.message.contains("spec.gatewayNodepoolName: is \"gwpool\" while"))
            let condition = try await fixture.find(StaticGatewayConfiguration.self, "both")?.status?.conditions?.first
            #expect(condition?.type == "Ready" && condition?.status == "False" && condition?.reason == "InvalidSpec")
            #expect(try await fixture.find(GatewayLBConfiguration.self, "both") == nil)
            #expect(await fixture.simulator.managedResources() == [])
        }
    }

    @Test func anUnknownPoolIsToldInAnEvent() async throws {
        try await ManagerFixture.run { fixture in
            try await fixture.create("lost") { $0.gatewayNodepoolName = "nowhere" }
            let event = try await fixture.eventually("an error event") {
                try await fixture.events(about: "lost").first {
                    $0.reason == "ReconcileGatewayLBConfigurationError"
                }
            }
            #expect(event.message.contains("nowhere"))
        }
    }

    @Test func aLostStatusAndALostPublicKeyAreRestored() async throws {
        try await ManagerFixture.run { fixture in
            try await fixture.create("gw-a")
            let before = try await fixture.ready("gw-a")
            let secretName = "sgw-\(before.metadata.uid)"
            let patch: JSONValue = ["data": ["PublicKey": .null]]
            try await fixture.client.mergePatch(
                Secret.self, namespace: ManagerFixture.secretNamespace, name: secretName, patch: patch)
            let erased: JSONValue = ["status": ["gatewayServerProfile": .null, "egressIpPrefix": .null]]
            try await fixture.client.mergePatch(
                StaticGatewayConfiguration.self, namespace: ManagerFixture.namespace, name: "gw-a", patch: erased,
                subresource: .status)
            let after = try await fixture.eventually("the status is whole again") {
                let found = try await fixture.find(StaticGatewayConfiguration.self, "gw-a")
                return found?.status == before.status ? found : nil
            }
            #expect(after.metadata.uid == before.metadata.uid)
        }
    }

    @Test func twoConfigurationsShareALoadBalancerOnTwoPorts() async throws {
        try await ManagerFixture.run { fixture in
            try await fixture.create("one")
            try await fixture.create("two")
            let first = try await fixture.ready("one").status
            let second = try await fixture.ready("two").status
            let ports = [first, second].compactMap { $0?.gatewayServerProfile.port }.sorted()
            #expect(ports == [6000, 6001])
            #expect(first?.gatewayServerProfile.ip == second?.gatewayServerProfile.ip)
            #expect(first?.egressIpPrefix != second?.egressIpPrefix)
        }
    }
}

@Suite struct BatchingTests {
    /// Many configurations at once cost the cloud a few writes, not one each (the provider writes once per call).
    @Test func aBurstOfConfigurationsCostsFewWrites() async throws {
        try await ManagerFixture.run { fixture in
            let names = (0..<12).map { "gw-\($0)" }
            for name in names { try await fixture.create(name) }
            for name in names { _ = try await fixture.ready(name) }
            let ports = try await fixture.client.list(StaticGatewayConfiguration.self).items.compactMap {
                $0.status?.gatewayServerProfile.port
            }
            #expect(Set(ports).count == 12)
            let writes = await fixture.simulator.audit()
            #expect(try #require(writes["LoadBalancers_CreateOrUpdate"]).calls <= 6)
            #expect(try #require(writes["VirtualMachineScaleSetVMs_Update"]).calls <= 2 * 6)
        }
    }

    @Test func callsThatComeDuringACallAreJoined() async throws {
        let provider = GatedLoadBalancer()
        let client = BatchingCapability<LoadBalancer>(provider)
        async let first = client.ensure([item("first")])
        await provider.started()
        let joined = (0..<20).map { index in Task { try await client.ensure([item("\(index)")]) } }
        // All twenty are in the queue once their tasks have had their turn.
        try await Task.sleep(for: .milliseconds(100))
        await provider.open()
        #expect(try await first.map(\.id) == ["first"])
        for (index, task) in joined.enumerated() {
            let answer = try await task.value
            #expect(answer.map(\.id) == ["\(index)"])
            #expect(answer.first?.code == (index == 7 ? .invalid : .ok))
        }
        #expect(await provider.batches.map(\.count) == [1, 20])
    }

    private func item(_ id: String) -> LoadBalancer.Desired {
        LoadBalancer.Desired(id: id, pool: PoolSelector(nodepoolName: "p"), probe: .init(path: "/", port: 1))
    }
}

/// A provider whose first call waits until it is let go; the item "7" is invalid.
private actor GatedLoadBalancer: CapabilityClient {
    typealias Contract = LoadBalancer

    private(set) var batches: [[String]] = []
    private var isOpen = false

    func started() async {
        while batches.isEmpty { try? await Task.sleep(for: .milliseconds(2)) }
    }

    func open() { isOpen = true }

    func ensure(_ items: [LoadBalancer.Desired]) async throws -> [ItemResult<LoadBalancer.Observed>] {
        batches.append(items.map(\.id))
        while !isOpen { try await Task.sleep(for: .milliseconds(2)) }
        return items.map { item in
            item.id == "7"
                ? .failed(item.id, ProviderError(.invalid, "bad"))
                : .ok(item.id, .init(frontendIP: "10.0.0.4", port: 6000))
        }
    }

    func remove(_ items: [PoolReference]) async throws -> [ItemResult<Nothing>] { [] }
    func check(_ items: [LoadBalancer.Desired]) async throws -> [ItemResult<LoadBalancer.Observed>] { [] }
    func prune(keeping items: [PoolReference], namespaces: [String]) async throws -> [ItemResult<Nothing>] { [] }
    func status(_ items: [PoolReference]) async throws -> [ItemResult<LoadBalancer.Observed>] { [] }
}

@Suite struct StaticGatewayRulesTests {
    private func fields(_ spec: StaticGatewayConfigurationSpec) -> [String] {
        StaticGatewayRules.violations(spec).map(\.field)
    }

    @Test func poolSelectorsExcludeEachOther() {
        #expect(fields(.init()) == ["spec.gatewayNodepoolName"])
        #expect(fields(.init(gatewayNodepoolName: "p")).isEmpty)
        #expect(
            fields(.init(gatewayNodepoolName: "p", gatewayVmssProfile: .init(publicIpPrefixSize: 30)))
                == ["spec.gatewayNodepoolName"])
    }

    @Test func aProfileNeedsBothNames() {
        #expect(
            fields(.init(gatewayVmssProfile: .init(publicIpPrefixSize: 32))) == [
                "spec.gatewayVmssProfile.vmssResourceGroup", "spec.gatewayVmssProfile.vmssName",
                "spec.gatewayVmssProfile.publicIpPrefixSize",
            ])
        #expect(
            fields(
                .init(
                    gatewayVmssProfile: .init(vmssResourceGroup: "r", vmssName: "v", publicIpPrefixSize: 31))
            ).isEmpty)
    }

    @Test func aPrefixNeedsPublicAddresses() {
        #expect(
            fields(.init(gatewayNodepoolName: "p", provisionPublicIps: false, publicIpPrefixId: "/x"))
                == ["spec.publicIpPrefixId"])
        #expect(fields(.init(gatewayNodepoolName: "p", publicIpPrefixId: "/x")).isEmpty)
        #expect(fields(.init(gatewayNodepoolName: "p", ipFamilies: ["IPv6", "IPv4"])).isEmpty)
        for families in [["IPv6"], ["IPv4", "IPv4"], ["IPv4", "ipv6"]] {
            #expect(fields(.init(gatewayNodepoolName: "p", ipFamilies: families)) == ["spec.ipFamilies"])
        }
    }
}

@Suite struct MergePatchTests {
    @Test func differencesAreMinimal() {
        let old: JSONValue = ["a": 1, "b": ["c": "x", "d": "y"], "list": [1, 2]]
        let new: JSONValue = ["a": 1, "b": ["c": "z"], "list": [2], "e": true]
        #expect(
            MergePatch.difference(from: old, to: new)
                == ["b": ["c": "z", "d": .null], "list": [2], "e": true])
        #expect(MergePatch.difference(from: old, to: old) == nil)
    }
}

@Suite struct KeyRepairTests {
    @Test func aWholePairIsLeftAlone() throws {
        let made = try #require(try StaticGatewayController.repairedKeyData([:]))
        #expect(made.keys.sorted() == ["PrivateKey", "PublicKey"])
        #expect(try StaticGatewayController.repairedKeyData(made) == nil)
    }

    @Test func aReadablePrivateKeyIsKept() throws {
        let made = try #require(try StaticGatewayController.repairedKeyData([:]))
        var broken = made
        broken["PublicKey"] = Data("wrong".utf8)
        #expect(try StaticGatewayController.repairedKeyData(broken) == made)
        broken["PrivateKey"] = Data("not base64".utf8)
        let replaced = try #require(try StaticGatewayController.repairedKeyData(broken))
        #expect(replaced != made)
    }
}
