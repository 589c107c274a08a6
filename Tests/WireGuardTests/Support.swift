import Glibc
import LinuxNet
import ProviderKit
import Synchronization
import Testing

@testable import WireGuardProvider

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

let isRoot = geteuid() == 0
let hasUserspace = UserspaceProcess.locate() != nil && access("/dev/net/tun", R_OK | W_OK) == 0
/// Where the kernel has WireGuard, the provider takes that.
let hasKernelForm = (try? KernelWireGuard.isAvailable()) ?? false
let canTunnel = isRoot && (hasUserspace || hasKernelForm)
let needsTunnels: Comment =
    "makes tunnels: needs root, and /dev/net/tun with the package wireguard-go or kernel WireGuard"
/// What only userspace devices have: processes and control sockets.
let hasProcesses = isRoot && hasUserspace && !hasKernelForm
let needsProcesses: Comment =
    "looks at processes of userspace tunnels: needs root and wireguard-go, no kernel WireGuard"

/// A host for providers under test: keeps what they log, has the machine's monotonic clock and no HTTP.
final class TestHost: HostServices {
    private let lines = Mutex<[String]>([])

    var log: [String] { lines.withLock { $0 } }

    func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {
        let data = metadata.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        lines.withLock { $0.append("\(level) \(message) \(data)") }
    }

    func now() -> HostInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return HostInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        throw ProviderError(.unsupported, "\(request.url): the test host has no HTTP")
    }

    var context: CallContext {
        CallContext(deadline: now().advanced(by: .seconds(30)), host: ProviderHost(self))
    }
}

/// A namespace of one test's own, gone when the test ends.
final class TestNamespace: Sendable {
    let namespace: NetworkNamespace
    let routes: RouteSocket
    var path: String { namespace.path }
    var name: String { String(path.dropFirst(NetworkNamespace.directory.count + 1)) }

    init(_ name: String) async throws {
        namespace = try NetworkNamespace(name: "kegwt-wg-\(name)-\(getpid())")
        try namespace.create()
        routes = try await RouteSocket.open(in: namespace)
        try routes.setUp(true, index: 1)
    }

    deinit {
        _ = try? namespace.delete()
    }

    /// What another maker's tool prints, run inside the namespace.
    @discardableResult
    func shell(_ command: String) throws -> String {
        try run("ip netns exec \(name) \(command)")
    }

    /// Whether an echo request is answered within `seconds`, sent each 0.2 s.
    func pings(_ address: String, seconds: Int = 5) -> Bool {
        (0..<(seconds * 5)).contains { _ in (try? shell("ping -c 1 -i 0.2 -W 0.2 -n \(address)")) != nil }
    }
}

/// The output of a shell command; tools of other makers are the tests' second opinion.
@discardableResult
func run(_ command: String) throws -> String {
    guard let pipe = popen("(\(command)) 2>&1 </dev/null", "r") else {
        throw ShellFailure(command: command, output: "", status: -1)
    }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = fread(&buffer, 1, buffer.count, pipe)
        if count == 0 { break }
        output += buffer[..<count]
    }
    let status = pclose(pipe)
    let text = String(decoding: output, as: UTF8.self)
    guard status == 0 else { throw ShellFailure(command: command, output: text, status: status) }
    return text
}

struct ShellFailure: Error {
    let command: String
    let output: String
    let status: Int32
}

func hasTool(_ name: String) -> Bool {
    (try? run("command -v \(name)")) != nil
}

/// A worker node with a pod, joined by a wire to a gateway node with its egress namespace; a provider on each node.
struct TwoNodes {
    static let port = 6000
    static let podAddress = "10.244.9.2"
    /// Stands for the internet, in the gateway's egress namespace.
    static let farAddress = "198.51.100.77"

    let host = TestHost()
    let worker: TestNamespace
    let gateway: TestNamespace
    let pod: TestNamespace
    let egress: TestNamespace
    let onWorker: WireGuardProvider
    let onGateway: WireGuardProvider
    let gatewayKey: WireGuardPrivateKey

    init(_ name: String, configuration: String = "{}") async throws {
        worker = try await TestNamespace("\(name)-w")
        gateway = try await TestNamespace("\(name)-g")
        pod = try await TestNamespace("\(name)-p")
        egress = try await TestNamespace("\(name)-e")
        onWorker = try Self.provider(host, configuration, on: worker)
        onGateway = try Self.provider(host, configuration, on: gateway)
        gatewayKey = try WireGuardPrivateKey.generate()
        try worker.routes.createVeth(
            name: "eth0", peer: VethPeer(name: "eth0", namespace: try gateway.namespace.open()))
        for (node, address) in [(worker, "10.243.4.4"), (gateway, "10.243.0.6")] {
            try node.shell("ip addr add \(address)/16 dev eth0")
            try node.shell("ip link set eth0 up")
        }
        try egress.shell("ip addr add \(Self.farAddress)/32 dev lo")
    }

    private static func provider(
        _ host: TestHost, _ configuration: String, on node: TestNamespace
    ) throws -> WireGuardProvider {
        try WireGuardProvider(
            host: ProviderHost(host), configuration: Data(configuration.utf8), node: node.namespace)
    }

    /// One more instance, that knows nothing of the others.
    func provider(on node: TestNamespace) throws -> WireGuardProvider {
        try Self.provider(host, "{}", on: node)
    }

    func podEnd(port: Int = TwoNodes.port, address: String = "10.243.0.6") -> Tunnel.Desired {
        Tunnel.Desired(
            id: "pod", namespace: pod.path, link: "wg0", addresses: ["\(Self.podAddress)/32", "fe80::2/64"],
            pod: Tunnel.PodEnd(
                endpoint: Tunnel.Endpoint(address: address, port: port),
                gatewayPublicKey: gatewayKey.publicKey.description))
    }

    func gatewayEnd(peers: [Tunnel.Peer], namespace: String? = nil, port: Int = TwoNodes.port) -> Tunnel.Desired {
        Tunnel.Desired(
            id: "gateway", namespace: namespace ?? egress.path, link: "wg-\(port)", addresses: ["fe80::1/64"],
            gateway: Tunnel.GatewayEnd(port: port, privateKey: gatewayKey.exportBase64(), peers: peers))
    }

    func peer(_ publicKey: String) -> Tunnel.Peer {
        Tunnel.Peer(id: "default/pod", publicKey: publicKey, allowedIPs: ["\(Self.podAddress)/32"])
    }

    var podReference: Tunnel.Reference { Tunnel.Reference(id: "pod", namespace: pod.path, link: "wg0") }
    var gatewayReference: Tunnel.Reference {
        Tunnel.Reference(id: "gateway", namespace: egress.path, link: "wg-\(Self.port)")
    }

    func ensure(_ provider: WireGuardProvider, _ item: Tunnel.Desired) async throws -> Tunnel.Observed {
        let results = try await provider.service.ensure([item], host.context)
        let result = try #require(results.first)
        if result.code != .ok { throw ProviderError(result.code, result.message ?? "") }
        return try #require(result.observed)
    }

    /// Both ends, and the pod's route to the far address.
    func connect() async throws -> Tunnel.Observed {
        let observed = try await ensure(onWorker, podEnd())
        _ = try await ensure(onGateway, gatewayEnd(peers: [peer(observed.publicKey)]))
        try pod.shell("ip route replace \(Self.farAddress)/32 via inet6 fe80::1 dev wg0")
        return observed
    }

    func removeAll() async throws {
        _ = try await onWorker.service.remove([podReference], host.context)
        _ = try await onGateway.service.remove([gatewayReference], host.context)
    }

    static func process(of reference: Tunnel.Reference) throws -> Int32? {
        let name = TunnelNaming.creationName(namespacePath: reference.namespace, link: reference.link)
        return try UserspaceWireGuard(creationName: name).processIdentifier()
    }

    static func socketExists(_ reference: Tunnel.Reference) -> Bool {
        let name = TunnelNaming.creationName(namespacePath: reference.namespace, link: reference.link)
        return access("\(UserspaceWireGuard.socketDirectory)/\(name).sock", F_OK) == 0
    }
}
