import Foundation
import Host
import Testing

/// The rendered manifests hold together: what one names, another one is. What Kubernetes itself says of them is asked by
/// `make test-apiserver`.
@Suite("Manifests")
struct ManifestTests {
    private let manifests: Manifests

    init() throws { manifests = try Manifests() }

    private static let roles: [(component: String, role: Role, kind: String)] = [
        ("controller-manager", .manager, "Deployment"), ("daemon-manager", .gateway, "DaemonSet"),
        ("cni-manager", .node, "DaemonSet"),
    ]

    @Test func theyAreOfTheChartAsItIs() throws {
        let output = Pipe()
        let process = Process()
        process.executableURL = Manifests.root.appending(path: "scripts/deploy/render-manifests.sh")
        process.arguments = ["--digest"]
        process.standardOutput = output
        try process.run()
        let digest = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        let text = try String(
            contentsOf: Manifests.root.appending(path: "deploy/manifests/kube-egress-gateway.yaml"), encoding: .utf8)
        #expect(digest.count == 65 && text.contains("# chart: \(digest)"), "run scripts/deploy/render-manifests.sh")
    }

    @Test func everyObjectIsThereOnce() {
        let names = manifests.objects.map { "\($0["kind"] ?? "")/\(Manifests.name($0))" }
        #expect(Set(names).count == names.count)
        for (component, _, kind) in Self.roles {
            #expect(names.contains("\(kind)/kube-egress-gateway-\(component)"))
            #expect(names.contains("ServiceAccount/kube-egress-gateway-\(component)"))
        }
        #expect(names.contains("PodDisruptionBudget/kube-egress-gateway-controller-manager"))
    }

    @Test func everyRoleTakesItsConfiguration() throws {
        for (component, role, kind) in Self.roles {
            let text = try #require(manifests.hostConfiguration("kube-egress-gateway-\(component)"))
            // The daemon has the node's name from its environment.
            let configuration = try HostConfiguration.parse(
                role == .manager ? text : "nodeName: a-node\n" + text, name: component)
            #expect(configuration.role == role)
            let workload = try #require(manifests.object(kind, "kube-egress-gateway-\(component)"))
            let container = try #require(
                Manifests.containers(workload).first { $0["name"] as? String == component })
            #expect(container["args"] as? [String] == ["run", "--config", "/etc/egress-gateway/host.yaml"])
            let environment = (container["env"] as? [Manifests.Object] ?? []).compactMap { $0["name"] as? String }
            #expect(environment.contains("MY_NODE_NAME"))
            for probe in ["livenessProbe", "readinessProbe"] {
                let port = Manifests.value(container, probe, "httpGet", "port") as? Int
                #expect(port == configuration.observability.healthPort, "\(component) \(probe)")
                let host = Manifests.value(container, probe, "httpGet", "host") as? String
                // Kubelet asks the pod's address, which is not loopback, unless told otherwise.
                #expect(configuration.observability.address == (host ?? "0.0.0.0"), "\(component) \(probe)")
            }
        }
    }

    @Test func theNodesAgreeOnPortsAndPaths() throws {
        let manager = try HostConfiguration.parse(
            #require(manifests.hostConfiguration("kube-egress-gateway-controller-manager")), name: "manager")
        let gateway = try HostConfiguration.parse(
            "nodeName: n\n" + #require(manifests.hostConfiguration("kube-egress-gateway-daemon-manager")),
            name: "gateway")
        let node = try HostConfiguration.parse(
            "nodeName: n\n" + #require(manifests.hostConfiguration("kube-egress-gateway-cni-manager")), name: "node")
        #expect(manager.manager.gatewayProbePort == gateway.gateway.gatewayProbePort)
        #expect(manager.manager.secretNamespace == gateway.gateway.secretNamespace)
        #expect(gateway.plugins.map(\.path).filter(node.plugins.map(\.path).contains).count == 1)
        #expect(node.node.exceptionCIDRs == ["169.254.169.254/32", "169.254.10.11/32"])
        // A gateway node that is an ordinary node too runs both.
        let ports =
            [gateway, node].flatMap { [$0.observability.healthPort, $0.observability.metricsPort] }
            .compactMap { $0 } + [gateway.gateway.gatewayProbePort]
        #expect(Set(ports).count == ports.count)
        // What the node role reads and writes must be the node's, or mounted.
        let mounts = try mountPaths("cni-manager")
        for path in [
            node.node.socketPath, node.node.cniConfigurationDirectory, try #require(node.node.uninstallFile),
        ] {
            #expect(mounts.contains { path == $0 || path.hasPrefix($0 + "/") }, "\(path)")
        }
    }

    private func mountPaths(_ component: String) throws -> [String] {
        let workload = try #require(manifests.workloads.first { Manifests.name($0).hasSuffix(component) })
        return Manifests.containers(workload).flatMap { $0["volumeMounts"] as? [Manifests.Object] ?? [] }
            .compactMap { $0["mountPath"] as? String }
    }

    @Test func everyReferenceResolves() throws {
        for workload in manifests.workloads {
            let name = Manifests.name(workload)
            let pod = Manifests.pod(workload)
            let account = pod["serviceAccountName"] as? String ?? ""
            #expect(manifests.object("ServiceAccount", account) != nil, "\(name)")
            let volumes = pod["volumes"] as? [Manifests.Object] ?? []
            for volume in volumes {
                if let map = Manifests.value(volume, "configMap", "name") as? String {
                    #expect(manifests.object("ConfigMap", map) != nil, "\(name): \(map)")
                }
                if let secret = Manifests.value(volume, "secret", "secretName") as? String {
                    #expect(manifests.object("Secret", secret) != nil, "\(name): \(secret)")
                }
            }
            let declared = Set(volumes.compactMap { $0["name"] as? String })
            let mounted = Manifests.containers(workload).flatMap { $0["volumeMounts"] as? [Manifests.Object] ?? [] }
                .compactMap { $0["name"] as? String }
            #expect(Set(mounted) == declared, "\(name)")
            let labels = Manifests.value(workload, "spec", "template", "metadata", "labels") as? [String: String] ?? [:]
            let selector = Manifests.value(workload, "spec", "selector", "matchLabels") as? [String: String] ?? [:]
            #expect(!selector.isEmpty && selector.allSatisfy { labels[$0.key] == $0.value }, "\(name)")
        }
        for budget in manifests.all("PodDisruptionBudget") {
            let selector = Manifests.value(budget, "spec", "selector", "matchLabels") as? [String: String] ?? [:]
            #expect(
                manifests.all("Deployment").contains {
                    Manifests.value($0, "spec", "selector", "matchLabels") as? [String: String] == selector
                })
        }
    }

    @Test func containersHaveBoundsAndNoMorePowerThanNeeded() throws {
        for workload in manifests.workloads {
            #expect(Manifests.pod(workload)["priorityClassName"] as? String != nil)
            for container in Manifests.containers(workload) {
                let name = "\(Manifests.name(workload))/\(container["name"] ?? "")"
                for bound in ["requests", "limits"] {
                    for resource in ["cpu", "memory"] {
                        #expect(Manifests.value(container, "resources", bound, resource) != nil, "\(name)")
                    }
                }
                let security = container["securityContext"] as? Manifests.Object ?? [:]
                if security["privileged"] as? Bool == true {
                    let mounts = container["volumeMounts"] as? [Manifests.Object] ?? []
                    #expect(mounts.contains { $0["mountPropagation"] as? String == "Bidirectional" }, "\(name)")
                } else {
                    #expect(security["allowPrivilegeEscalation"] as? Bool == false, "\(name)")
                    #expect(Manifests.value(security, "capabilities", "drop") as? [String] == ["ALL"], "\(name)")
                }
            }
        }
        let manager = try #require(manifests.all("Deployment").first)
        #expect(Manifests.value(Manifests.pod(manager), "securityContext", "runAsNonRoot") as? Bool == true)
        #expect(Manifests.pod(manager)["hostNetwork"] == nil)
    }
}
