import Foundation
import JSONModel
import Kubernetes
import Logging
import ProviderKit

@testable import Host

/// A node role's request handler with an API and capabilities in memory.
struct NodeTestbed {
    static let podNetwork: [PodNetwork.Route] = [
        .init(destination: "10.244.0.1/32", gateway: nil), .init(destination: "0.0.0.0/0", gateway: "fe80::1"),
        .init(destination: "10.244.0.0/16", gateway: "10.244.0.1"),
    ]
    static let previousResult: JSONValue = [
        "cniVersion": "1.0.0",
        "interfaces": [
            ["name": "cni0", "mac": "aa:bb:cc:dd:ee:ff"], ["name": "veth1"],
            ["name": "eth0", "mac": "11:22:33:44:55:66", "sandbox": "/run/netns/pod"],
        ],
        "ips": [
            ["address": "192.168.7.7/24", "interface": 0],
            ["address": "10.244.0.20/24", "gateway": "10.244.0.1", "interface": 2],
        ],
        "routes": [["dst": "0.0.0.0/0"]], "dns": ["nameservers": ["10.0.0.10"]], "vendor": ["kept": true],
    ]

    let api = FakeNodeAPI()
    let tunnel: FakeCapability<Tunnel>
    let podNetwork: FakeCapability<PodNetwork>
    let handler: CNIRequestHandler

    init(gatewayWaitSeconds: Int = 0) async {
        tunnel = FakeCapability(make: { item in
            Tunnel.Observed(link: item.link, publicKey: Fixture.key(9), mtu: 1420, form: "kernel")
        })
        podNetwork = FakeCapability(make: { _ in PodNetwork.Observed(routes: Self.podNetwork) })
        var settings = NodeSettings()
        settings.gatewayWaitSeconds = gatewayWaitSeconds
        handler = CNIRequestHandler(
            nodeName: "worker-1", settings: settings, api: api, tunnel: tunnel, podNetwork: podNetwork,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        var configuration = Fixture.configuration("gw-a")
        configuration.spec.excludeCidrs = ["10.244.0.0/16"]
        await api.add(configuration)
        await api.add(Self.pod())
    }

    static func pod(uid: String = "pod-uid-1", annotations: [String: String]? = nil) -> Pod {
        Pod(
            metadata: ObjectMeta(
                name: "web-0", namespace: "team-a", uid: uid,
                annotations: annotations ?? [CNIRequestHandler.annotation: "gw-a"]))
    }

    static func relay(
        _ command: String, container: String = "c1", uid: String? = "pod-uid-1", version: String = "1.0.0",
        previous: JSONValue? = previousResult, extra: [String: JSONValue] = [:], arguments: String? = nil
    ) throws -> RelayRequest {
        var configuration: [String: JSONValue] = [
            "cniVersion": .string(version), "name": "podnet", "type": "kube-egress-cni", "socketPath": "/x",
        ]
        configuration["prevResult"] = previous
        configuration.merge(extra) { _, new in new }
        let text = String(decoding: try KubernetesJSON.encode(patch: JSONValue.object(configuration)), as: UTF8.self)
        let identity = uid.map { ";K8S_POD_UID=\($0)" } ?? ""
        return RelayRequest(
            version: 1,
            environment: [
                "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": "/run/netns/pod",
                "CNI_IFNAME": "eth0",
                "CNI_ARGS": arguments ?? "IgnoreUnknown=1;K8S_POD_NAMESPACE=team-a;K8S_POD_NAME=web-0\(identity)",
            ],
            configuration: text)
    }

    static func json(_ response: RelayResponse) throws -> JSONValue {
        try KubernetesJSON.decode(JSONValue.self, from: Data(response.output.utf8))
    }

    /// The endpoint that the API holds for the pod.
    var endpoint: PodEndpoint? {
        get async { await api.stored["team-a/web-0"] }
    }
}
