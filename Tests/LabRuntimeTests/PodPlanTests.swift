import Kubernetes
import Testing

@testable import Lab

@Suite struct PodPlanTests {
    private func pod(node: String? = nil, isLeaving: Bool = false, usesHost: Bool = false) -> Pod {
        Pod(
            metadata: ObjectMeta(
                name: "pod", namespace: "demo", uid: "uid-1",
                deletionTimestamp: isLeaving ? Timestamp("2026-01-31T12:00:00Z") : nil),
            spec: PodSpec(nodeName: node, hostNetwork: usesHost))
    }

    private func next(_ pod: Pod?, sandbox: String? = nil) -> PodAction {
        PodPlan.next(pod: pod, sandboxUID: sandbox, nodeName: "worker-1")
    }

    @Test func aPodIsBoundThenStartedThenLeftAlone() {
        #expect(next(pod()) == .bind)
        #expect(next(pod(node: "worker-1")) == .start)
        #expect(next(pod(node: "worker-1"), sandbox: "uid-1") == .nothing)
    }

    @Test func aDeletedPodIsDetachedBeforeItsObjectGoes() {
        #expect(next(pod(node: "worker-1", isLeaving: true), sandbox: "uid-1") == .stop)
        #expect(next(pod(node: "worker-1", isLeaving: true)) == .finishDeletion)
        #expect(next(nil, sandbox: "uid-1") == .stop)
        #expect(next(nil) == .nothing)
    }

    @Test func aNewPodOfTheSameNameDoesNotInheritTheNamespace() {
        #expect(next(pod(node: "worker-1"), sandbox: "uid-0") == .stop)
    }

    @Test func podsOfOthersAreNotTouched() {
        #expect(next(pod(node: "gateway-1")) == .nothing)
        #expect(next(pod(node: "gateway-1", isLeaving: true)) == .nothing)
        #expect(next(pod(usesHost: true)) == .nothing)
    }

    @Test func containerIdentifiersAreStableAndApart() {
        let first = PodSandbox.containerID(uid: "uid-1")
        #expect(first.count == 64)
        #expect(first == PodSandbox.containerID(uid: "uid-1"))
        #expect(first != PodSandbox.containerID(uid: "uid-2"))
        #expect(Set(stride(from: 0, to: 64, by: 16).map { first.dropFirst($0).prefix(16) }).count == 4)
    }
}
