import Foundation
import JSONModel
import Kubernetes
import Reconcile
import Testing

@Suite struct RulesTests {
    private let early = Timestamp(Date(timeIntervalSince1970: 1000))
    private let late = Timestamp(Date(timeIntervalSince1970: 2000))

    @Test func theTransitionTimeMovesOnlyWithTheStatus() {
        let first = Conditions.setting(Condition(type: "Ready", status: "False", reason: "A"), in: nil, now: early)
        #expect(first.first?.lastTransitionTime == early)
        let same = Conditions.setting(Condition(type: "Ready", status: "False", reason: "A"), in: first, now: late)
        #expect(same == first)
        let reason = Conditions.setting(Condition(type: "Ready", status: "False", reason: "B"), in: first, now: late)
        #expect(reason.first?.lastTransitionTime == early)
        #expect(reason.first?.reason == "B")
        let flipped = Conditions.setting(Condition(type: "Ready", status: "True", reason: "A"), in: reason, now: late)
        #expect(flipped.first?.lastTransitionTime == late)
        #expect(Conditions.find("Ready", in: flipped)?.isTrue == true)
        let two = Conditions.setting(Condition(type: "Degraded", status: "False"), in: flipped, now: late)
        #expect(two.map(\.type) == ["Ready", "Degraded"])
    }

    @Test func finalizersAreAddedOnceAndNeverDuringDeletion() {
        var metadata = ObjectMeta(name: "a", resourceVersion: "7", finalizers: ["x"])
        #expect(
            Finalizers.adding("y", to: metadata) == ["metadata": ["resourceVersion": "7", "finalizers": ["x", "y"]]])
        #expect(Finalizers.adding("x", to: metadata) == nil)
        #expect(Finalizers.removing("x", from: metadata) == ["metadata": ["resourceVersion": "7", "finalizers": []]])
        #expect(Finalizers.removing("y", from: metadata) == nil)
        metadata.deletionTimestamp = early
        #expect(Finalizers.adding("y", to: metadata) == nil)
    }

    @Test func anIndexFollowsTheObjects() {
        let store = ObjectStore<PodEndpoint>(indexes: ["gateway": { [$0.spec.staticGatewayConfiguration] }])
        func endpoint(_ name: String, _ gateway: String) -> PodEndpoint {
            PodEndpoint(
                metadata: ObjectMeta(name: name, namespace: "team-a"),
                spec: PodEndpointSpec(staticGatewayConfiguration: gateway))
        }
        func names(_ gateway: String) -> [String] {
            store.objects(inIndex: "gateway", value: gateway).map(\.metadata.name).sorted()
        }
        store.replaceAll([endpoint("a", "g1"), endpoint("b", "g1"), endpoint("c", "g2")])
        #expect(names("g1") == ["a", "b"])
        #expect(store.set(endpoint("b", "g2"))?.spec.staticGatewayConfiguration == "g1")
        #expect(names("g1") == ["a"])
        #expect(names("g2") == ["b", "c"])
        store.remove(key("c"))
        #expect(names("g2") == ["b"])
        let changed = store.replaceAll([endpoint("a", "g1"), endpoint("d", "g1")])
        #expect(changed.map(\.key) == [key("b"), key("d")])
        #expect(changed.map(\.kind) == [.deleted, .added])
        #expect(names("g1") == ["a", "d"])
        #expect(names("g2").isEmpty)
        #expect(store.objects(inIndex: "none", value: "g1").isEmpty)
    }
}
