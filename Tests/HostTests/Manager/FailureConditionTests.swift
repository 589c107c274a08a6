import Foundation
import JSONModel
import Kubernetes
import ProviderKit
import Testing

@testable import Host

/// What a user can get wrong, as it is told in the API.
@Suite(.serialized) struct FailureConditionTests {
    private func readiness(_ fixture: ManagerFixture, _ name: String) async throws -> Condition? {
        try await fixture.find(StaticGatewayConfiguration.self, name)?.status?.conditions?.first { $0.type == "Ready" }
    }

    @Test func aPoolThatIsNotThereIsToldWithItsReasonOnceAndMendedByTheNextChange() async throws {
        try await ManagerFixture.run { fixture in
            try await fixture.create("lost") { $0.gatewayNodepoolName = "nowhere" }
            let condition = try await fixture.eventually("the condition has the provider's reason") {
                let found = try await readiness(fixture, "lost")
                return found?.reason == "PoolNotFound" ? found : nil
            }
            #expect(condition.status == "False" && condition.message.contains("aks-managed-poolName \"nowhere\""))
            // Runs go on meanwhile, and say nothing new.
            try await Task.sleep(for: .seconds(2))
            let events = try await fixture.events(about: "lost").filter { $0.type == "Warning" }
            #expect(events.map(\.count) == [1] && events.first?.message.contains("nowhere") == true)

            let patch: JSONValue = ["spec": ["gatewayNodepoolName": "gwpool"]]
            try await fixture.client.mergePatch(
                StaticGatewayConfiguration.self, namespace: ManagerFixture.namespace, name: "lost", patch: patch)
            let mended = try await fixture.eventually("the configuration is ready") {
                let found = try await readiness(fixture, "lost")
                return found?.isTrue == true ? found : nil
            }
            #expect(mended.reason == "Provisioned")
            let balancer = try await fixture.find(GatewayLBConfiguration.self, "lost")
            #expect(balancer?.status?.conditions?.first?.isTrue == true)
        }
    }

    @Test(arguments: [
        ("/not/an/id", "PrefixIDInvalid", "prefixID: \"/not/an/id\""),
        (
            "/subscriptions/00000000-0000-0000-0000-000000000009/resourceGroups/g/providers/Microsoft.Network"
                + "/publicIPPrefixes/p", "ForeignSubscription", "prefixID: subscription 0000"
        ),
        (
            "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/kegw-lab/providers/Microsoft.Network"
                + "/publicIPPrefixes/p", "PrefixNotFound", "does not exist"
        ),
    ])
    func aPrefixThatCannotServeIsToldThroughAllThreeObjects(id: String, reason: String, text: String) async throws {
        try await ManagerFixture.run { fixture in
            try await fixture.create("own") { $0.publicIpPrefixId = id }
            let condition = try await fixture.eventually("the condition has the provider's reason") {
                let found = try await readiness(fixture, "own")
                return found?.reason == reason ? found : nil
            }
            #expect(condition.status == "False" && condition.message.contains(text))
            let machines = try #require(try await fixture.find(GatewayVMConfiguration.self, "own"))
            #expect(machines.status?.conditions?.first?.reason == reason)
            #expect(machines.status?.conditions?.first?.observedGeneration == machines.metadata.generation)
        }
    }

    @Test func aFailureThatPassesLeavesTheConditionAlone() {
        #expect(FailureCondition.condition(ProviderError(.retry, "503"), generation: 1) == nil)
        #expect(FailureCondition.condition(HostError(.unavailable, "gone"), generation: 1) == nil)
        var odd = ProviderError(.terminal, "text")
        odd.reason = "two words"
        #expect(FailureCondition.condition(odd, generation: 1) == nil)
    }

    @Test func theSameFailureWithOtherNumbersWritesNothing() throws {
        func failure(_ message: String, generation: Int64 = 3) throws -> Condition {
            try #require(
                FailureCondition.condition(
                    ProviderError(.terminal, message, reason: .missingRole), generation: generation))
        }
        let now = Date(timeIntervalSince1970: 1_700_000_000)
        let first = FailureCondition.setting(try failure("request 4af1 denied over scope x"), in: nil, now: now)
        #expect(first.first?.reason == "MissingRole" && first.first?.lastTransitionTime != nil)
        let later = now.addingTimeInterval(60)
        let again = FailureCondition.setting(try failure("request 77c2 denied over scope x"), in: first, now: later)
        #expect(again == first)
        let other = FailureCondition.setting(try failure("request 77c2 denied over scope y"), in: first, now: later)
        #expect(other.first?.message == "request 77c2 denied over scope y")
        let newer = FailureCondition.setting(
            try failure("request 4af1 denied over scope x", generation: 4), in: first, now: later)
        #expect(newer.first?.observedGeneration == 4)
    }

    @Test func anOldFailureIsNotToldOfANewSpec() throws {
        let condition = Condition(type: "Ready", status: "False", observedGeneration: 2, reason: "SubnetFull")
        #expect(FailureCondition.failure(in: [condition], generation: 2) == condition)
        #expect(FailureCondition.failure(in: [condition], generation: 3) == nil)
        #expect(FailureCondition.failure(in: nil, generation: 2) == nil)
    }

    @Test func thePartsSayWhichIsMissing() {
        func told(_ status: StaticGatewayConfigurationStatus, _ failure: Condition?) -> [String] {
            StaticGatewayController.parts(status, failure: failure, generation: 7).map {
                "\($0.type)=\($0.status)/\($0.reason)"
            }
        }
        var status = StaticGatewayConfigurationStatus()
        #expect(
            told(status, nil) == [
                "LoadBalancerReady=False/LoadBalancerPending", "NodesReady=False/NodesPending",
                "Degraded=False/AsDesired",
            ])
        status.gatewayServerProfile.ip = "10.0.0.4"
        status.gatewayServerProfile.port = 6000
        let failure = Condition(type: "Ready", status: "False", reason: "SubnetFull", message: "no address is left")
        #expect(
            told(status, failure) == [
                "LoadBalancerReady=True/Provisioned", "NodesReady=False/SubnetFull", "Degraded=False/AsDesired",
            ])
        status.egressIpPrefix = "203.0.113.8/31"
        #expect(
            told(status, failure) == [
                "LoadBalancerReady=True/Provisioned", "NodesReady=True/Provisioned", "Degraded=True/SubnetFull",
            ])
    }

    @Test func aGatewayThatServedGoesOnAndSaysSo() {
        var status = StaticGatewayConfigurationStatus()
        status.egressIpPrefix = "203.0.113.8/31"
        let failure = Condition(type: "Ready", status: "False", reason: "MissingRole", message: "no role")
        let told = StaticGatewayController.readiness(status, failure: failure, generation: 7)
        #expect(told.status == "False" && told.reason == "MissingRole" && told.observedGeneration == 7)
        #expect(told.message == "no role; traffic still leaves from 203.0.113.8/31")
    }
}
