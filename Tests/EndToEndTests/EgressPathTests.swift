import Foundation
import Lab
import LinuxNet
import Testing

/// The demo's path with everything real: API server, daemons, plugins, CNI executables, tunnels, packets.
@Suite(.serialized, .enabled(if: EndToEndLab.isPossible, "needs root and an install tree (make build)"), .lab)
struct EgressPathTests {
    private static let namespace = "demo"

    /// From pod start to pod end, through a failover, an outage of all gateways, and the deletion of everything: no
    /// packet of the annotated pod with an address that is not its prefix's.
    @Test(.timeLimit(.minutes(4)))
    func noPacketOfAnAnnotatedPodEverCarriesAnotherSource() async throws {
        let capture = try await EdgeCapture(
            in: try NetworkNamespace(name: EndToEndLab.plan.internetNamespace), server: EndToEndLab.internet,
            port: EndToEndLab.port)
        _ = try await EndToEndLab.kubectl(["apply", "-f", try EndToEndLab.layout().demoManifest])
        let plain = traffic(
            try await EndToEndLab.awaitPod(Self.namespace, "plain"), "plain", timeout: .seconds(15))
        let annotated = traffic(
            try await EndToEndLab.awaitPod(Self.namespace, "annotated"), "annotated", timeout: .seconds(1))
        let prefix = try IPPrefix(
            parsing: try await EndToEndLab.kubectl([
                "-n", Self.namespace, "get", "staticgatewayconfiguration", "partner-egress", "-o",
                "jsonpath={.status.egressIpPrefix}",
            ]))
        #expect(prefix.length == 31)
        let first = try await firstAnswer(annotated, after: ContinuousClock().now)
        _ = try await EndToEndLab.wait("some requests", within: .seconds(20)) {
            annotated.all.filter { $0.seen != nil }.count >= 20 ? true : nil
        }

        try await failOver(annotated, from: first)
        try await loseAllGateways(annotated, plain, capture)
        try await deleteEverything(annotated)

        await plain.stop()
        await capture.stop()
        #expect(plain.seen == [LabPlan.ordinaryEgress.description])
        #expect(plain.all.allSatisfy { $0.seen != nil }, "the pod beside it never noticed")
        check(capture.packets, prefix, answered: annotated.all.filter { $0.seen != nil }.count)
    }

    // MARK: - Steps

    /// Cuts off the gateway that carries the pod; the pod must go on through the other one.
    private func failOver(_ annotated: PodTraffic, from first: String) async throws {
        let nodes = try await nodesByAddress()
        let carrier = try #require(nodes[first], "\(first) belongs to a gateway")
        let control = LabControlClient(try EndToEndLab.layout())
        let moment = ContinuousClock().now
        try await control.fail(node: carrier)
        let second = try await EndToEndLab.wait("the other gateway", within: .seconds(60)) {
            annotated.all.last { $0.moment > moment && $0.seen != nil && $0.seen != first }?.seen
        }
        let successor = try #require(nodes[second])
        #expect(successor != carrier)
        try await control.restore(node: carrier)
        try await awaitHealth(count: 2)
    }

    /// With every gateway gone the pod is silent: fail closed.
    private func loseAllGateways(
        _ annotated: PodTraffic, _ plain: PodTraffic, _ capture: EdgeCapture
    ) async throws {
        let control = LabControlClient(try EndToEndLab.layout())
        for name in LabPlan.gatewayNames { try await control.fail(node: name) }
        // What was under way has arrived after this.
        try await Task.sleep(for: .milliseconds(1500))
        let before = capture.packets.count
        let sent = annotated.all.count
        try await Task.sleep(for: .seconds(4))
        let flows = capture.packets[before...].filter { $0.isFirst }
        #expect(annotated.all.count > sent, "the pod kept trying")
        #expect(annotated.all.suffix(from: sent).allSatisfy { $0.seen == nil })
        #expect(!flows.isEmpty, "the pod beside it goes on")
        #expect(flows.allSatisfy { $0.source == LabPlan.ordinaryEgress })
        for name in LabPlan.gatewayNames { try await control.restore(node: name) }
        let moment = ContinuousClock().now
        try await awaitHealth(count: 2)
        _ = try await firstAnswer(annotated, after: moment)
    }

    private func deleteEverything(_ annotated: PodTraffic) async throws {
        _ = try await EndToEndLab.kubectl(["-n", Self.namespace, "delete", "pod", "annotated"])
        await annotated.stop()
        #expect(try !EndToEndLab.podNamespace(Self.namespace, "annotated").exists)
        _ = try await EndToEndLab.kubectl([
            "-n", Self.namespace, "delete", "staticgatewayconfiguration", "partner-egress", "--timeout=60s",
        ])
        #expect(try await EndToEndLab.status().managedResources == [])
        let baseline = try NodeBaseline.load(try EndToEndLab.layout())
        let left = try await EndToEndLab.wait("the nodes to be clean", within: .seconds(20)) {
            let left = try await baseline.leftovers(EndToEndLab.plan)
            return left.isEmpty ? left : nil
        }
        #expect(left == [])
        for kind in ["gatewaylbconfigurations", "gatewayvmconfigurations", "podendpoints"] {
            #expect(try await EndToEndLab.kubectl(["-n", Self.namespace, "get", kind, "-o", "name"]) == "")
        }
        #expect(
            try await EndToEndLab.kubectl(["-n", LabPlan.systemNamespace, "get", "secrets", "-o", "name"]) == "")
    }

    /// What the packets themselves say.
    private func check(_ packets: [EdgeCapture.Packet], _ prefix: IPPrefix, answered: Int) {
        let annotated = packets.filter { $0.path?.hasPrefix("/annotated/") == true }
        #expect(annotated.count >= answered, "the capture saw every request of the pod")
        #expect(annotated.allSatisfy { prefix.contains($0.source) })
        let plain = packets.filter { $0.path?.hasPrefix("/plain/") == true }
        #expect(plain.allSatisfy { $0.source == LabPlan.ordinaryEgress })
        // Connections that never got as far as a request: outside the prefix there may be none but the plain pod's.
        let plainFlows = Set(plain.map(\.flow))
        let strangers = Set(packets.filter { !prefix.contains($0.source) }.map(\.flow)).subtracting(plainFlows)
        #expect(strangers.isEmpty, "packets outside the prefix that are not the plain pod's: \(strangers)")
    }

    // MARK: - Other cases

    @Test(.timeLimit(.minutes(1)))
    func aPodWithAnUnknownConfigurationIsRefusedAndLeavesNothing() async throws {
        let baseline = try await NodeInventory.capture(worker())
        try await EndToEndLab.apply(
            """
            apiVersion: v1
            kind: Pod
            metadata:
              name: stranger
              namespace: default
              annotations: { kubernetes.azure.com/static-gateway-configuration: no-such-gateway }
            spec: { containers: [{ name: client, image: "registry.example/client:1" }] }
            """)
        let message = try await EndToEndLab.wait("the pod's Event", within: .seconds(20)) {
            let text = try await EndToEndLab.kubectl([
                "get", "events", "-o", "jsonpath={.items[?(@.reason==\"FailedCreatePodSandBox\")].message}",
            ])
            return text.isEmpty ? nil : text
        }
        #expect(message.contains("plugin kube-egress-cni failed ADD with code "), "a CNI error object: \(message)")
        #expect(message.contains("no-such-gateway"))
        let phase = try await EndToEndLab.kubectl(["get", "pod", "stranger", "-o", "jsonpath={.status.phase}"])
        #expect(phase == "Pending")
        _ = try await EndToEndLab.kubectl(["delete", "pod", "stranger"])
        #expect(try !EndToEndLab.podNamespace("default", "stranger").exists)
        #expect(try await EndToEndLab.kubectl(["get", "podendpoints", "-o", "name"]) == "")
        let left = try await NodeInventory.capture(worker()).leftovers(since: baseline)
        #expect(left == [])
    }

    @Test(.timeLimit(.minutes(1)))
    func theCommandsOfALabWork() async throws {
        try await EndToEndLab.apply(
            """
            apiVersion: v1
            kind: Pod
            metadata: { name: shell, namespace: default }
            spec: { containers: [{ name: client, image: "registry.example/client:1" }] }
            """)
        _ = try await EndToEndLab.awaitPod("default", "shell")
        let addresses = try await EndToEndLab.control(
            ["lab", "exec", "shell"], command: ["ip", "-4", "-o", "address", "show", "eth0"])
        #expect(addresses.status.isSuccess && addresses.outputText.contains("10.244.0."), "\(addresses.errorText)")
        let failing = try await EndToEndLab.control(["lab", "exec", "shell"], command: ["false"])
        #expect(failing.status == .exited(1), "the command's own status")
        let absent = try await EndToEndLab.control(["lab", "exec", "nobody"], command: ["true"])
        #expect(absent.errorText.contains("pod default/nobody is not running in this lab"))
        let again = try await EndToEndLab.control(["lab", "up"])
        #expect(again.status.isSuccess && again.outputText.contains("the lab was up already"))
        let path = try await EndToEndLab.control(["lab", "kubeconfig"]).outputText
        #expect(path == "\(try EndToEndLab.layout().kubeconfig)\n")
        let status = try await EndToEndLab.control(["lab", "status"]).outputText
        for name in ["manager", "worker-1", "gateway-1", "gateway-2", "internet", "default/shell"] {
            #expect(status.contains(name))
        }
        let table = try await EndToEndLab.kubectl(["get", "pods"])
        #expect(table.contains("shell") && table.contains("1/1") && table.contains("Running"), "\(table)")
        _ = try await EndToEndLab.kubectl(["delete", "pod", "shell"])
    }

    // MARK: - Help

    private func worker() throws -> NetworkNamespace {
        try NetworkNamespace(name: EndToEndLab.plan.namespace(ofNode: LabPlan.workerName))
    }

    private func traffic(_ namespace: NetworkNamespace, _ path: String, timeout: Duration) -> PodTraffic {
        PodTraffic(
            namespace: namespace, path: path, server: EndToEndLab.internet, port: EndToEndLab.port, timeout: timeout)
    }

    private func firstAnswer(_ traffic: PodTraffic, after moment: ContinuousClock.Instant) async throws -> String {
        try await EndToEndLab.wait("an answer", within: .seconds(60)) {
            traffic.all.first { $0.moment > moment && $0.seen != nil }?.seen
        }
    }

    private func nodesByAddress() async throws -> [String: String] {
        Dictionary(try await EndToEndLab.status().publicAddresses.map { ($0.address, $0.node) }) { first, _ in first }
    }

    private func awaitHealth(count: Int) async throws {
        _ = try await EndToEndLab.wait("\(count) healthy gateways", within: .seconds(60)) {
            try await EndToEndLab.status().backends.filter(\.isHealthy).count == count ? true : nil
        }
    }
}
