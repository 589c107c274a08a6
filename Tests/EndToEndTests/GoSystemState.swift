import Foundation
import JSONModel
import Kubernetes
import Lab
import LinuxNet
import Logging
import Testing

/// Turns what our daemons have made into what the Go system's programs leave behind: names, chains, routes and objects of
/// upstream behaviour sections 3 to 5. The daemons must be down.
///
/// Two things are not theirs: tunnels are userspace WireGuard, since this may be a kernel without it, and a web server
/// answers the load balancer's probes in the place of their gateway daemon.
struct GoSystemState {
    let gateway: StaticGatewayConfiguration
    let machines: GatewayVMConfiguration
    /// What the runtime calls the pod's sandbox.
    let containerID: String
    let client: KubernetesClient
    let layout: LabLayout
    let plan = EndToEndLab.plan

    private var port: Int { Int(gateway.status?.gatewayServerProfile.port ?? 0) }

    init(namespace: String, name: String, pod: String, layout: LabLayout) async throws {
        self.layout = layout
        var logger = Logger(label: "go-system")
        logger.logLevel = .error
        client = try KubernetesClient(
            configuration: try ClientConfiguration.load(kubeconfig: layout.socketKubeconfig), logger: logger)
        gateway = try await client.get(StaticGatewayConfiguration.self, namespace: namespace, name: name)
        machines = try await client.get(GatewayVMConfiguration.self, namespace: namespace, name: name)
        let endpoint = try await client.get(PodEndpoint.self, namespace: namespace, name: pod)
        containerID = try #require(
            endpoint.metadata.annotations["egressgateway.kubernetes.azure.com/container-id"])
    }

    // MARK: - Objects

    /// Conditions and annotations are ours alone.
    func leaveObjects(pod: String) async throws {
        let (namespace, name) = (gateway.metadata.namespace, gateway.metadata.name)
        let noConditions: JSONValue = ["status": ["conditions": .null]]
        let noAnnotations: JSONValue = ["metadata": ["annotations": .null]]
        func strip<Object: KubernetesResource>(_ type: Object.Type) async throws {
            _ = try await client.mergePatch(
                type, namespace: namespace, name: name, patch: noConditions, subresource: .status)
        }
        try await strip(StaticGatewayConfiguration.self)
        try await strip(GatewayLBConfiguration.self)
        try await strip(GatewayVMConfiguration.self)
        _ = try await client.mergePatch(PodEndpoint.self, namespace: namespace, name: pod, patch: noAnnotations)
    }

    // MARK: - Nodes

    /// - Returns: the process that answers probes.
    func leaveGatewayNode(_ node: String) async throws -> Int32 {
        let profile = try #require(machines.status?.gatewayVMProfiles.first { $0.nodeName == node })
        let frontend = try #require(gateway.status?.gatewayServerProfile.ip)
        let chain = "EGRESS-" + profile.secondaryIP.replacing(".", with: "-")
        let note = "-m comment --comment \"kube-egress-gateway"
        try await Self.shell(
            """
            nft delete table ip egress-gateway-node
            ip address delete \(frontend)/32 dev eth0
            ip address add \(frontend)/32 dev eth0 label eth0:egress
            iptables -t nat -N EGRESS-GATEWAY-SNAT
            iptables -t nat -I POSTROUTING \(note) no MASQUERADE" -j EGRESS-GATEWAY-SNAT
            iptables -t nat -N \(chain)
            iptables -t nat -I EGRESS-GATEWAY-SNAT \(note) no sNAT packet from ip \(profile.secondaryIP)" -j \(chain)
            iptables -t nat -A \(chain) -s \(profile.secondaryIP)/32 -j ACCEPT
            """, in: plan.namespace(ofNode: node))
        let (mark, source) = ("EGRESS-GATEWAY-MARK-\(port)", "EGRESS-GATEWAY-SNAT-\(port)")
        try await Self.shell(
            """
            nft delete table ip egress-gateway
            ip link set wg-\(port) alias \(gateway.metadata.uid)
            iptables -t nat -N \(mark)
            iptables -t nat -I PREROUTING \(note) mark packets from gateway link wg-\(port)" -j \(mark)
            iptables -t nat -A \(mark) -i wg-\(port) -j CONNMARK --set-mark \(port)
            iptables -t nat -N \(source)
            iptables -t nat -I POSTROUTING \(note) sNAT packets from gateway link wg-\(port)" -j \(source)
            iptables -t nat -A \(source) -o host0 -m connmark --mark \(port) -j SNAT --to-source \(profile.secondaryIP)
            """, in: plan.egressNamespace(ofNode: node))
        return try await answerProbes(of: node)
    }

    /// Their daemon's probe server, as far as the load balancer sees it.
    private func answerProbes(of node: String) async throws -> Int32 {
        let folder = "\(layout.stateDirectory)/probes-\(node)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(folder)/\($0);" }.joined(separator: " ")
        try Data(
            """
            daemon off; pid \(folder)/pid; error_log \(folder)/error.log; events {}
            http { access_log off; \(temporary)
              server { listen 8082; location /gw/\(gateway.metadata.uid) { return 200; } location / { return 404; } } }
            """.utf8
        ).write(to: URL(filePath: "\(folder)/nginx.conf"))
        return try await ChildProcess.start(
            ChildCommand(
                "/usr/sbin/nginx", ["-p", folder, "-c", "\(folder)/nginx.conf", "-e", "\(folder)/error.log"],
                namespace: try NetworkNamespace(name: plan.namespace(ofNode: node))),
            logFile: "\(folder)/log")
    }

    // MARK: - Pods

    func leavePod(_ pod: String) async throws {
        try await Self.shell(
            """
            nft delete table inet kube-egress-gateway
            iptables -t mangle -A PREROUTING -i eth0 -j MARK --set-mark 8738
            iptables -t mangle -A PREROUTING -j CONNMARK --save-mark
            iptables -t mangle -A OUTPUT -m connmark --mark 8738 -j CONNMARK --restore-mark
            ip link set wg0 alias wg01234567
            """, in: plan.namespace(ofPod: pod, in: gateway.metadata.namespace))
    }

    /// The list that their CNI manager writes, in `folder`.
    func leaveConfigurationList(in folder: String, network: String) throws {
        let base = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: network)))
        var list = try #require(base as? [String: Any])
        var plugins = try #require(list["plugins"] as? [Any])
        let entry: [String: Any] = [
            "type": "kube-egress-cni", "ipam": ["type": "kube-egress-cni-ipam"],
            "excludedCIDRs": ["169.254.169.254/32"], "socketPath": "localhost:50051",
        ]
        plugins.insert(entry, at: 1)
        list["plugins"] = plugins
        let data = try JSONSerialization.data(withJSONObject: list, options: [.sortedKeys, .prettyPrinted])
        try data.write(to: URL(filePath: "\(folder)/01-egressgateway.conflist"))
    }

    // MARK: - What the guide says

    /// Step 3 of docs/migrating.md, with this lab's name of the network namespace.
    func cleanGatewayNode(_ node: String) async throws {
        try await Self.shell(
            """
            ip netns delete \(plan.egressNamespace(ofNode: node))
            ip link delete host-gateway 2>/dev/null || true
            iptables-save -t nat | grep -v EGRESS- | iptables-restore -T nat
            """, in: plan.namespace(ofNode: node))
    }

    private static func shell(_ script: String, in namespace: String) async throws {
        let output = try await ChildProcess.run(
            ChildCommand(
                "/bin/sh", ["-e", "-c", script],
                environment: ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                namespace: try NetworkNamespace(name: namespace)))
        try #require(output.status.isSuccess, "\(namespace): \(output.errorText)")
    }
}
