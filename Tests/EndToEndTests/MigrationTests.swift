import Foundation
import Glibc
import Kubernetes
import LinuxNet
import Reconcile
import Testing

@testable import Lab

/// docs/migrating.md, step by step, from what the Go system leaves to our daemons.
@Suite(.serialized, .enabled(if: EndToEndLab.isPossible, "needs root and an install tree (make build)"), .lab)
struct MigrationTests {
    private static let namespace = "demo"
    private static let gateway = "partner-egress"

    /// Everything that an address hangs on.
    private struct Identity: Equatable {
        var prefix: String
        var frontend: String
        var port: Int32
        var publicKey: String
        var secret: [String: String]
        var resources: [String]
        var addresses: [String]
    }

    @Test(.timeLimit(.minutes(5)))
    func aPodThatTheGoSystemAttachedKeepsItsAddressWhileOursTakesOver() async throws {
        let layout = try EndToEndLab.layout()
        let control = LabControlClient(layout)
        let capture = try await EdgeCapture(
            in: try NetworkNamespace(name: EndToEndLab.plan.internetNamespace), server: EndToEndLab.internet,
            port: EndToEndLab.port)
        _ = try await EndToEndLab.kubectl(["apply", "-f", layout.demoManifest])
        let pod = try await EndToEndLab.awaitPod(Self.namespace, "annotated")
        let state = try await GoSystemState(
            namespace: Self.namespace, name: Self.gateway, pod: "annotated", layout: layout)
        do {
            try await migrate(state, pod, control, capture, layout)
        } catch {
            try? await state.client.shutdown()
            throw error
        }
        try await state.client.shutdown()
    }

    private func migrate(
        _ state: GoSystemState, _ pod: NetworkNamespace, _ control: LabControlClient, _ capture: EdgeCapture,
        _ layout: LabLayout
    ) async throws {
        let before = try await identity(state.client)
        let prefix = try IPPrefix(parsing: before.prefix)
        let probes = try await leaveGoSystem(state, control, layout)
        defer { for pid in probes.values { kill(pid, SIGTERM) } }
        let traffic = PodTraffic(
            namespace: pod, path: "annotated", server: EndToEndLab.internet, port: EndToEndLab.port,
            timeout: .seconds(1))
        try await awaitAnswers(traffic, "as the Go system left it")

        // The manager, and nothing changes but that the objects say how they are.
        try await control.release(daemon: "manager")
        _ = try await EndToEndLab.wait("the configuration to be ready", within: .seconds(60)) {
            let gateway = try await state.client.get(
                StaticGatewayConfiguration.self, namespace: Self.namespace, name: Self.gateway)
            return Conditions.find("Ready", in: gateway.status?.conditions)?.isTrue == true ? true : nil
        }
        #expect(try await identity(state.client) == before)
        try await awaitAnswers(traffic, "with our manager")

        for node in LabPlan.gatewayNames {
            kill(try #require(probes[node]), SIGTERM)
            try await awaitBackends(control, "\(node) gone") { $0.contains { $0.node == node && !$0.isHealthy } }
            try await state.cleanGatewayNode(node)
            try await control.release(daemon: node)
            try await awaitBackends(control, "\(node) back") {
                $0.count { $0.isHealthy } == LabPlan.gatewayNames.count
            }
            try await awaitAnswers(traffic, "with our daemon on \(node)")
        }

        try await control.release(daemon: LabPlan.workerName)
        _ = try await EndToEndLab.wait("our entry in the list", within: .seconds(30)) {
            let list = try String(contentsOfFile: layout.egressConfigurationList, encoding: .utf8)
            return list.contains("localhost:50051") ? nil : list.contains("kube-egress-cni") ? true : nil
        }
        try await awaitAnswers(traffic, "with our daemon on the pod's node")
        try await attachAnother(prefix)
        await traffic.stop()
        try await detach(state, pod, layout)
        #expect(try await identity(state.client) == before)
        await capture.stop()
        let strangers = Set(
            capture.packets.filter { $0.path?.hasPrefix("/annotated") == true && !prefix.contains($0.source) }.map(
                \.flow))
        #expect(strangers.isEmpty, "left with another address: \(strangers)")
        try await deleteEverything()
    }

    // MARK: - Steps

    /// - Returns: by gateway, the process that answers its probes.
    private func leaveGoSystem(
        _ state: GoSystemState, _ control: LabControlClient, _ layout: LabLayout
    ) async throws -> [String: Int32] {
        let names = ["manager", LabPlan.workerName] + LabPlan.gatewayNames
        for name in names { try await control.hold(daemon: name) }
        _ = try await EndToEndLab.wait("our daemons to be gone", within: .seconds(10)) {
            try await control.status().processes.allSatisfy { !names.contains($0.name) || $0.pid == nil } ? true : nil
        }
        try await state.leaveObjects(pod: "annotated")
        var probes: [String: Int32] = [:]
        for node in LabPlan.gatewayNames { probes[node] = try await state.leaveGatewayNode(node) }
        try await state.leavePod("annotated")
        let folder = layout.cniConfigurationDirectory
        try state.leaveConfigurationList(in: folder, network: "\(folder)/10-podnet.conflist")
        try await awaitBackends(control, "the Go system") {
            $0.count { $0.isHealthy } == LabPlan.gatewayNames.count
        }
        return probes
    }

    /// A new pod goes through ours from its first packet on.
    private func attachAnother(_ prefix: IPPrefix) async throws {
        try await EndToEndLab.apply(
            """
            apiVersion: v1
            kind: Pod
            metadata:
              name: another
              namespace: \(Self.namespace)
              annotations: { kubernetes.azure.com/static-gateway-configuration: \(Self.gateway) }
            spec: { containers: [{ name: client, image: "registry.example/client:1" }] }
            """)
        let pod = try await EndToEndLab.awaitPod(Self.namespace, "another")
        let seen = try await EndToEndLab.wait("an answer to the new pod", within: .seconds(30)) {
            try? await EndToEndLab.fetch(
                from: pod, EndToEndLab.internet, port: EndToEndLab.port, path: "/annotated-another",
                timeout: .seconds(2))
        }
        #expect(prefix.contains(try #require(IPAddress(seen))))
    }

    /// The runtime detaches a pod by the configuration that it kept from the time of the pod's start: theirs.
    private func detach(_ state: GoSystemState, _ pod: NetworkNamespace, _ layout: LabLayout) async throws {
        let folder = "\(layout.stateDirectory)/kept"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try state.leaveConfigurationList(
            in: folder, network: "\(layout.cniConfigurationDirectory)/10-podnet.conflist")
        let object = try await state.client.get(Pod.self, namespace: Self.namespace, name: "annotated")
        let runtime = CNIRuntime(
            configurationDirectory: folder, pluginDirectories: layout.cniPluginDirectories,
            nodeNamespace: try NetworkNamespace(name: EndToEndLab.plan.namespace(ofNode: LabPlan.workerName)),
            cacheDirectory: "\(layout.workerDirectory)/cache")
        try await runtime.delete(
            CNIAttachment(
                containerID: state.containerID, namespacePath: pod.path, podNamespace: Self.namespace,
                podName: "annotated", podUID: object.metadata.uid))
        _ = try await EndToEndLab.kubectl(["-n", Self.namespace, "delete", "pod", "annotated"])
        _ = try await EndToEndLab.wait("the pod's endpoint to go", within: .seconds(30)) {
            let names = try await EndToEndLab.kubectl(["-n", Self.namespace, "get", "podendpoints", "-o", "name"])
            return names.contains("/annotated") ? nil : true
        }
    }

    private func deleteEverything() async throws {
        _ = try await EndToEndLab.kubectl(["-n", Self.namespace, "delete", "pod", "another", "plain"])
        _ = try await EndToEndLab.kubectl([
            "-n", Self.namespace, "delete", "staticgatewayconfiguration", Self.gateway, "--timeout=60s",
        ])
        #expect(try await EndToEndLab.status().managedResources == [])
        let baseline = try NodeBaseline.load(try EndToEndLab.layout())
        let left = try await EndToEndLab.wait("the nodes to be clean", within: .seconds(20)) {
            let left = try await baseline.leftovers(EndToEndLab.plan)
            return left.isEmpty ? left : nil
        }
        #expect(left == [])
    }

    // MARK: - What is looked at

    private func identity(_ client: KubernetesClient) async throws -> Identity {
        let gateway = try await client.get(
            StaticGatewayConfiguration.self, namespace: Self.namespace, name: Self.gateway)
        let status = try #require(gateway.status)
        let profile = status.gatewayServerProfile
        let reference = try #require(profile.privateKeySecretRef)
        let secret = try await client.get(Secret.self, namespace: reference.namespace, name: reference.name)
        let lab = try await EndToEndLab.status()
        return Identity(
            prefix: status.egressIpPrefix, frontend: profile.ip, port: profile.port, publicKey: profile.publicKey,
            secret: secret.data.mapValues { $0.base64EncodedString() }, resources: lab.managedResources.sorted(),
            addresses: lab.publicAddresses.map { "\($0.node) \($0.address)" }.sorted())
    }

    private func awaitBackends(
        _ control: LabControlClient, _ what: String, _ condition: ([Fabric.BackendHealth]) -> Bool
    ) async throws {
        _ = try await EndToEndLab.wait("the load balancer to see \(what)", within: .seconds(60)) {
            condition(try await control.status().backends) ? true : nil
        }
    }

    /// Ten answers in a row from now on.
    private func awaitAnswers(_ traffic: PodTraffic, _ when: String) async throws {
        let moment = ContinuousClock().now
        _ = try await EndToEndLab.wait("answers to the pod, \(when)", within: .seconds(60)) {
            let last = traffic.all.filter { $0.moment > moment }.suffix(10)
            return last.count == 10 && last.allSatisfy { $0.seen != nil } ? true : nil
        }
    }
}
