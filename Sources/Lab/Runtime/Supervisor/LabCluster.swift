import Foundation
import Kubernetes
import LinuxNet

/// Fills the fresh API server with what a cluster of the lab's shape holds.
struct LabCluster: Sendable {
    let client: KubernetesClient
    let layout: LabLayout
    let plan: LabPlan

    /// Applies the custom resource definitions, waits until they are served, and makes the daemons' namespace.
    func prepare() async throws {
        guard FileManager.default.fileExists(atPath: layout.customResourceDefinitions) else {
            throw LabError(
                code: .invalidInput, message: "no custom resource definitions in \(layout.customResourceDefinitions)",
                advice: "run egressctl from its install tree (make build)")
        }
        _ = try await Kubectl(layout).run(plan.applyArguments + ["-f", layout.customResourceDefinitions])
        let client = client
        _ = try await BoundedWait.until(
            "the custom resources to be served", within: .seconds(10), hint: layout.supervisorLog
        ) {
            do {
                _ = try await client.list(StaticGatewayConfiguration.self)
                return try await client.list(PodEndpoint.self).items.isEmpty ? true : nil
            } catch let error as KubernetesError where error.code == .notFound {
                return nil
            }
        }
        try await client.create(Namespace(metadata: ObjectMeta(name: LabPlan.systemNamespace)))
    }

    /// Makes the Node objects, ready.
    func register(_ nodes: [FabricNode]) async throws {
        for node in nodes {
            var labels = ["kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux"]
            let isGateway = LabPlan.gatewayNames.contains(node.name)
            if isGateway { labels[LabPlan.gatewayLabel] = "true" }
            let taint = Taint(key: LabPlan.gatewayLabel, value: "true", effect: "NoSchedule")
            try await client.create(
                Node(
                    metadata: ObjectMeta(name: node.name, labels: labels),
                    spec: NodeSpec(
                        podCIDR: isGateway ? nil : LabPlan.podNetwork, taints: isGateway ? [taint] : nil)))
            try await client.mergePatch(
                Node.self, name: node.name,
                patch: PodStatusPatch.ready(address: "\(node.address.address)", now: Timestamp(Date())),
                subresource: .status)
        }
    }
}

/// The stock kubectl against the lab's API server. Its cache stays inside the state directory.
public struct Kubectl: Sendable {
    private let layout: LabLayout
    private static let directories = ["/usr/local/bin", "/usr/bin"]

    public init(_ layout: LabLayout) {
        self.layout = layout
    }

    /// Runs one command to its end and gives what it printed.
    ///
    /// - Throws: `invalidInput` if kubectl is not installed, `processFailed` with its words if it fails.
    public func run(_ arguments: [String], timeout: Duration = .seconds(60)) async throws -> String {
        let candidates = Self.directories.map { "\($0)/kubectl" }
        guard let program = candidates.first(where: FileManager.default.isExecutableFile) else {
            throw LabError(
                code: .invalidInput, message: "kubectl is not in \(Self.directories.joined(separator: ":"))",
                advice: "install it (Debian package kubernetes-client)")
        }
        let options = ["--kubeconfig", layout.kubeconfig, "--cache-dir", layout.kubectlCache]
        let output = try await ChildProcess.run(ChildCommand(program, options + arguments), timeout: timeout)
        guard output.status.isSuccess else {
            throw LabError(
                code: .processFailed,
                message: "kubectl \(arguments.joined(separator: " ")) failed with \(output.status)",
                cause: output.errorText.trimmingCharacters(in: .whitespacesAndNewlines), advice: "see its words")
        }
        return output.outputText
    }
}
