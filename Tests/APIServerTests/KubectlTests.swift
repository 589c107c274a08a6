import Foundation
import Testing

@testable import Lab

/// The stock kubectl as a user runs it.
struct Kubectl: Sendable {
    struct Outcome: Sendable {
        var status: Int32
        var output: String
        var errors: String
    }

    static let path: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .map { "\($0)/kubectl" }.first { FileManager.default.isExecutableFile(atPath: $0) }

    let folder: String

    init(_ harness: ServerHarness) throws {
        folder = harness.folder
        try harness.kubeconfig.write(toFile: folder + "/kubeconfig", atomically: true, encoding: .utf8)
    }

    /// Where the server validates no fields, kubectl does, by the server's schemas: they know no rules in definitions,
    /// and ask for required fields that have a default.
    static var validation: String { ServerUnderTest.minor >= 25 ? "--validate=true" : "--validate=false" }

    /// Applies the five definitions of this checkout.
    func applyDefinitions() async throws -> Outcome {
        try await run("apply", Self.validation, "-f", ServerHarness.definitionFolder)
    }

    /// Runs kubectl to its end; output goes through files, so that no full pipe can block it.
    @discardableResult
    func run(_ arguments: String..., input: String? = nil, signalAfter: Duration? = nil) async throws -> Outcome {
        let stem = "\(folder)/\(UUID().uuidString)"
        for suffix in ["out", "err", "in"] {
            let content = suffix == "in" ? Data((input ?? "").utf8) : Data()
            _ = FileManager.default.createFile(atPath: "\(stem).\(suffix)", contents: content)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.path ?? "")
        process.arguments = arguments
        process.environment = ["KUBECONFIG": folder + "/kubeconfig", "HOME": folder, "PATH": "/usr/bin:/bin"]
        process.standardOutput = FileHandle(forWritingAtPath: "\(stem).out")
        process.standardError = FileHandle(forWritingAtPath: "\(stem).err")
        process.standardInput = FileHandle(forReadingAtPath: "\(stem).in")
        let (ended, continuation) = AsyncStream<Void>.makeStream()
        process.terminationHandler = { _ in continuation.finish() }
        try process.run()
        if let signalAfter {
            try await Task.sleep(for: signalAfter)
            process.interrupt()
        }
        for await _ in ended {}
        return Outcome(
            status: process.terminationStatus, output: try String(contentsOfFile: "\(stem).out", encoding: .utf8),
            errors: try String(contentsOfFile: "\(stem).err", encoding: .utf8))
    }
}

@Suite("kubectl", .enabled(if: Kubectl.path != nil, "kubectl is not installed"))
struct KubectlTests {
    private static let manifest = """
        apiVersion: egressgateway.kubernetes.azure.com/v1alpha1
        kind: StaticGatewayConfiguration
        metadata: {name: gw-a}
        spec: {gatewayNodepoolName: gwpool, gatewayVmssProfile: {}, excludeCidrs: [10.0.0.0/8]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: web, annotations: {kubernetes.azure.com/static-gateway-configuration: gw-a}}
        spec:
          containers: [{name: main, image: "web:1", ports: [{containerPort: 80}]}]
        """

    @Test func applyGetDescribePatchDelete() async throws {
        try await ServerHarness.run { harness in
            let kubectl = try Kubectl(harness)
            let definitions = try await kubectl.applyDefinitions()
            #expect(definitions.status == 0, "\(definitions.errors)")
            #expect(definitions.output.split(separator: "\n").count == 5)

            let first = try await kubectl.run("apply", Kubectl.validation, "-f", "-", input: Self.manifest)
            #expect(
                first.output.split(separator: "\n").map { $0.hasSuffix(" created") } == [true, true], "\(first.errors)")
            let second = try await kubectl.run("apply", Kubectl.validation, "-f", "-", input: Self.manifest)
            #expect(second.output.split(separator: "\n").map { $0.hasSuffix(" unchanged") } == [true, true])

            let status = #"{"status":{"egressIpPrefix":"203.0.113.8/31","gatewayServerProfile":{"port":6000}}}"#
            try await kubectl.run("patch", "sgc", "gw-a", "--subresource=status", "--type=merge", "-p", status)
            let table = try await kubectl.run("get", "sgc", "-o", "wide")
            let lines = table.output.split(separator: "\n").map {
                $0.split(separator: " ", omittingEmptySubsequences: true)
            }
            #expect(lines.first?.prefix(3) == ["NAME", "EGRESS", "PREFIX"])
            #expect(lines.last?.prefix(2) == ["gw-a", "203.0.113.8/31"])
            #expect(lines.last?.contains("6000") == true)

            let changed = Self.manifest.replacingOccurrences(of: "10.0.0.0/8", with: "10.9.0.0/16")
            let third = try await kubectl.run("apply", Kubectl.validation, "-f", "-", input: changed)
            #expect(third.output.contains("gw-a configured"))
            let stored = try await harness.unix.send("GET", "\(ServerHarness.gateways)/gw-a").json
            #expect(stored[path: "spec", "excludeCidrs"] == ["10.9.0.0/16"])
            #expect(stored[path: "metadata", "generation"] == 2)
            #expect(stored[path: "status", "egressIpPrefix"] == "203.0.113.8/31")

            try await kubectl.run("annotate", "pod", "web", "note=yes")
            try await kubectl.run("label", "pod", "web", "tier=front")
            let description = try await kubectl.run("describe", "pod", "web")
            #expect(description.output.contains("note: yes"))
            #expect(description.output.contains("tier=front"))
            let gateway = try await kubectl.run("describe", "sgc", "gw-a")
            #expect(gateway.output.contains("203.0.113.8/31"))

            let deletion = try await kubectl.run("delete", "sgc/gw-a", "pod/web")
            #expect(deletion.status == 0, "\(deletion.errors)")
            #expect(try await harness.tcp.send("GET", "\(ServerHarness.gateways)/gw-a").status == 404)
        }
    }

    @Test(.since(25, "fieldValidation")) func refusalsNameTheField() async throws {
        try await ServerHarness.run { harness in
            let kubectl = try Kubectl(harness)
            _ = try await kubectl.applyDefinitions()
            let unknown = try await kubectl.run(
                "apply", "-f", "-", input: Self.manifest.replacingOccurrences(of: "excludeCidrs", with: "excludeCIDRs"))
            #expect(unknown.status != 0)
            #expect(unknown.errors.contains(#"unknown field "spec.excludeCIDRs""#))
            let wrong = try await kubectl.run(
                "apply", "-f", "-",
                input: Self.manifest.replacingOccurrences(
                    of: "gatewayVmssProfile: {}", with: "gatewayVmssProfile: {publicIpPrefixSize: 40}"))
            #expect(wrong.errors.contains("spec.gatewayVmssProfile.publicIpPrefixSize"))
        }
    }

    @Test func watchPrintsRowsAsTheyChange() async throws {
        try await ServerHarness.run { harness in
            let kubectl = try Kubectl(harness)
            try await harness.defineGateways()
            async let watch = kubectl.run("get", "sgc", "-w", signalAfter: .seconds(4))
            try await Task.sleep(for: .seconds(2))
            _ = try await harness.tcp.send("POST", ServerHarness.gateways, Samples.gateway("seen"))
            _ = try await harness.tcp.send(
                "PATCH", "\(ServerHarness.gateways)/seen/status", ["status": ["egressIpPrefix": "203.0.113.8/31"]],
                contentType: "application/merge-patch+json")
            let lines = try await watch.output.split(separator: "\n")
            #expect(lines.count == 3)
            #expect(lines.first?.hasPrefix("NAME") == true)
            #expect(lines.last?.contains("203.0.113.8/31") == true)
        }
    }

    @Test func createsNamespacesAndSecretsByProtobuf() async throws {
        try await ServerHarness.run { harness in
            let kubectl = try Kubectl(harness)
            #expect(try await kubectl.run("create", "namespace", "team-a").status == 0)
            let secret = try await kubectl.run(
                "-n", "team-a", "create", "secret", "generic", "keys", "--from-literal=PrivateKey=abc")
            #expect(secret.status == 0, "\(secret.errors)")
            let stored = try await harness.tcp.send("GET", "/api/v1/namespaces/team-a/secrets/keys").json
            #expect(stored["data"] == ["PrivateKey": "YWJj"])
            let deletion = try await kubectl.run("delete", "namespace", "team-a")
            #expect(deletion.status == 0, "\(deletion.errors)")
            #expect(try await harness.tcp.send("GET", "/api/v1/namespaces/team-a").status == 404)
        }
    }

    /// The embedded server has no Deployments; another one tells what Kubernetes thinks of ours.
    @Test(.enabled(if: !ServerUnderTest.isEmbedded, "the embedded server does not serve their kinds"))
    func theManifestsAreTaken() async throws {
        try await ServerHarness.run { harness in
            let kubectl = try Kubectl(harness)
            #expect(try await kubectl.run("create", "namespace", "kube-egress-gateway-system").status == 0)
            // policy/v1 came with 1.21.
            let manifests = try DeliveredManifests.documents {
                ServerUnderTest.minor >= 21 || $0 != "PodDisruptionBudget"
            }
            let outcome = try await kubectl.run(
                "apply", "--dry-run=server", "--validate=strict", "-f", "-", input: manifests)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let count = ServerUnderTest.minor >= 21 ? 23 : 22
            #expect(outcome.output.split(separator: "\n").count == count, "\(outcome.output)")
        }
    }
}
