import Foundation
import Kubernetes
import LinuxNet
import Logging
import Testing

@testable import Lab

/// docs/installing.md, section "Uninstall": pods start and stop while our part goes, and when it is gone.
@Suite(.serialized, .enabled(if: EndToEndLab.isPossible, "needs root and an install tree (make build)"), .lab)
struct UninstallTests {
    private static let namespace = "demo"

    @Test(.timeLimit(.minutes(3)))
    func podsStartAndStopDuringAndAfterTheRemoval() async throws {
        let layout = try EndToEndLab.layout()
        let control = LabControlClient(layout)
        _ = try await EndToEndLab.kubectl(["apply", "-f", layout.demoManifest])
        _ = try await EndToEndLab.awaitPod(Self.namespace, "plain")
        let annotated = try await EndToEndLab.awaitPod(Self.namespace, "annotated")
        let kept = try await keepConfiguration(layout)
        let containerID = try await EndToEndLab.kubectl([
            "-n", Self.namespace, "get", "podendpoint", "annotated", "-o",
            "jsonpath={.metadata.annotations.egressgateway\\.kubernetes\\.azure\\.com/container-id}",
        ])

        try Data("true\n".utf8).write(to: URL(filePath: layout.uninstallFile))
        _ = try await EndToEndLab.wait("the list to be taken away", within: .seconds(30)) {
            FileManager.default.fileExists(atPath: layout.egressConfigurationList) ? nil : true
        }
        try await startAndStop("during")
        // What was attached goes on while the daemon is there.
        let seen = try await EndToEndLab.fetch(
            from: annotated, EndToEndLab.internet, port: EndToEndLab.port, path: "/annotated", timeout: .seconds(10))
        #expect(seen != nil && seen != LabPlan.ordinaryEgress.description)

        for name in ["manager", LabPlan.workerName] + LabPlan.gatewayNames { try await control.hold(daemon: name) }
        _ = try await EndToEndLab.wait("our daemons to be gone", within: .seconds(10)) {
            try await control.status().processes.allSatisfy { $0.name == "internet" || $0.pid == nil } ? true : nil
        }
        try await startAndStop("after")
        // Runtimes detach a pod by the configuration that they kept from its start, which names our executable.
        let runtime = CNIRuntime(
            configurationDirectory: kept, pluginDirectories: layout.cniPluginDirectories,
            nodeNamespace: try NetworkNamespace(name: EndToEndLab.plan.namespace(ofNode: LabPlan.workerName)),
            cacheDirectory: "\(layout.workerDirectory)/cache")
        try await runtime.delete(
            CNIAttachment(
                containerID: containerID, namespacePath: annotated.path, podNamespace: Self.namespace,
                podName: "annotated", podUID: ""))
        _ = try await EndToEndLab.kubectl(["-n", Self.namespace, "delete", "pod", "annotated"])
        #expect(!annotated.exists)
    }

    /// A pod that reaches the world by the cluster's own network, and ends.
    private func startAndStop(_ name: String) async throws {
        try await EndToEndLab.apply(
            """
            apiVersion: v1
            kind: Pod
            metadata: { name: \(name), namespace: \(Self.namespace) }
            spec: { containers: [{ name: client, image: "registry.example/client:1" }] }
            """)
        let pod = try await EndToEndLab.awaitPod(Self.namespace, name)
        let seen = try await EndToEndLab.fetch(
            from: pod, EndToEndLab.internet, port: EndToEndLab.port, path: "/\(name)", timeout: .seconds(10))
        #expect(seen == LabPlan.ordinaryEgress.description)
        _ = try await EndToEndLab.kubectl(["-n", Self.namespace, "delete", "pod", name])
        #expect(!pod.exists)
    }

    /// - Returns: a folder with the list as it is now.
    private func keepConfiguration(_ layout: LabLayout) async throws -> String {
        let folder = "\(layout.stateDirectory)/kept"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            atPath: layout.egressConfigurationList, toPath: "\(folder)/01-egressgateway.conflist")
        return folder
    }
}
