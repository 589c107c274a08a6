import LinuxNet
import ProviderKit
import Testing

@testable import VXLANProvider

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// A worker node with a pod, wired through a switch to two gateway nodes with an egress namespace each; a provider on
/// every node. Both gateways have the load balancer's frontend address; the worker's route says who gets the packets.
struct Nodes {
    static let port = 6000
    static let podAddress = "10.244.9.2"
    static let frontend = "10.243.0.100"
    static let gatewayAddresses = ["10.243.0.6", "10.243.0.7"]
    static let workerAddress = "10.243.4.4"
    /// Stands for the internet, in each gateway's egress namespace.
    static let farAddress = "198.51.100.77"

    let host = TestHost()
    let network: TestNamespace
    let worker: TestNamespace
    let pod: TestNamespace
    let gateways: [TestNamespace]
    let egress: [TestNamespace]
    let onWorker: VXLANProvider
    let onGateways: [VXLANProvider]
    let gatewayKey: WireGuardPrivateKey

    init(_ name: String, configuration: String = "{}") async throws {
        network = try await TestNamespace("\(name)-n")
        worker = try await TestNamespace("\(name)-w")
        pod = try await TestNamespace("\(name)-p")
        gateways = [try await TestNamespace("\(name)-g1"), try await TestNamespace("\(name)-g2")]
        egress = [try await TestNamespace("\(name)-e1"), try await TestNamespace("\(name)-e2")]
        onWorker = try Self.provider(host, configuration, on: worker)
        let host = host
        onGateways = try gateways.map { try Self.provider(host, configuration, on: $0) }
        gatewayKey = try WireGuardPrivateKey.generate()
        try network.routes.createBridge(name: "switch")
        try network.shell("ip link set switch up")
        for (index, node) in ([worker] + gateways).enumerated() {
            try node.routes.createVeth(
                name: "eth0", peer: VethPeer(name: "port\(index)", namespace: try network.namespace.open()))
            try network.shell("ip link set port\(index) master switch up")
            try node.shell("ip addr add \(([Self.workerAddress] + Self.gatewayAddresses)[index])/16 dev eth0")
            try node.shell("ip link set eth0 up")
        }
        for gateway in gateways { try gateway.shell("ip addr add \(Self.frontend)/32 dev lo") }
        for namespace in egress { try namespace.shell("ip addr add \(Self.farAddress)/32 dev lo") }
        try chooseGateway(0)
    }

    /// What a load balancer does.
    func chooseGateway(_ index: Int) throws {
        try worker.shell("ip route replace \(Self.frontend)/32 via \(Self.gatewayAddresses[index])")
    }

    static func provider(
        _ host: TestHost, _ configuration: String, on node: TestNamespace
    ) throws -> VXLANProvider {
        try VXLANProvider(
            host: ProviderHost(host), configuration: Data(configuration.utf8), node: node.namespace)
    }

    func podEnd(_ name: String = "pod", in namespace: TestNamespace? = nil, address: String = podAddress)
        -> Tunnel.Desired
    {
        Tunnel.Desired(
            id: name, namespace: (namespace ?? pod).path, link: "wg0", addresses: ["\(address)/32", "fe80::2/64"],
            pod: Tunnel.PodEnd(
                endpoint: Tunnel.Endpoint(address: Self.frontend, port: Self.port),
                gatewayPublicKey: gatewayKey.publicKey.description))
    }

    func gatewayEnd(_ index: Int = 0, peers: [Tunnel.Peer], port: Int = Nodes.port) -> Tunnel.Desired {
        Tunnel.Desired(
            id: "gateway-\(index)", namespace: egress[index].path, link: "wg-\(port)", addresses: ["fe80::1/64"],
            gateway: Tunnel.GatewayEnd(port: port, privateKey: gatewayKey.exportBase64(), peers: peers))
    }

    func peer(_ publicKey: String, _ id: String = "default/pod", addresses: [String] = ["\(podAddress)/32"])
        -> Tunnel.Peer
    {
        Tunnel.Peer(id: id, publicKey: publicKey, allowedIPs: addresses)
    }

    func reference(_ item: Tunnel.Desired) -> Tunnel.Reference {
        Tunnel.Reference(id: item.id, namespace: item.namespace, link: item.link)
    }

    func ensure(_ provider: VXLANProvider, _ item: Tunnel.Desired) async throws -> Tunnel.Observed {
        let results = try await provider.service.ensure([item], host.context)
        let result = try #require(results.first)
        if result.code != .ok { throw ProviderError(result.code, result.message ?? "") }
        return try #require(result.observed)
    }

    /// All three ends, and the pod's route to the far address.
    func connect() async throws -> Tunnel.Observed {
        let observed = try await ensure(onWorker, podEnd())
        for index in 0..<2 {
            _ = try await ensure(onGateways[index], gatewayEnd(index, peers: [peer(observed.publicKey)]))
        }
        try pod.shell("ip route replace \(Self.farAddress)/32 via inet6 fe80::1 dev wg0")
        return observed
    }

    func packets(_ direction: String, of link: String, in namespace: TestNamespace) throws -> Int {
        let text = try namespace.shell("cat /sys/class/net/\(link)/statistics/\(direction)_packets")
        return try #require(Int(text.filter(\.isNumber)))
    }
}
