import Glibc
import ProviderKit
import Testing

@testable import LinuxNet
@testable import WireGuardProvider

/// `make test-vm` sets the variable in a guest whose kernel has WireGuard. Then these tests run whatever the kernel
/// says it has, and fail where it does not carry the tunnels: falling back to userspace is no way to pass.
private let expectsKernelForm = getenv("EGRESS_EXPECT_KERNEL_WIREGUARD").map { String(cString: $0) } == "1"
private let needsKernelForm: Comment =
    "expects the kernel's WireGuard: runs where EGRESS_EXPECT_KERNEL_WIREGUARD is 1, as in make test-vm"

/// The provider and the control protocol against the kernel's WireGuard; iproute2 and wireguard-tools tell what it has.
@Suite("The kernel's WireGuard", .serialized, .enabled(if: expectsKernelForm, needsKernelForm))
struct KernelFormTests {
    /// What `ss` lists of a namespace's UDP sockets on a port, whoever owns them.
    private func sockets(_ place: TestNamespace, port: Int) throws -> [Substring] {
        try place.shell("ss -Hlun").split(separator: "\n").filter { $0.contains(":\(port) ") }
    }

    @Test func tunnelsAreTheKernelsThoughUserspaceIsAtHand() async throws {
        #expect(hasKernelForm)
        // Without it there would be no choice that could go wrong.
        #expect(hasUserspace, "wireguard-go and /dev/net/tun belong into the guest")
        let nodes = try await TwoNodes("kernel")
        let observed = try await nodes.connect()
        #expect(nodes.pod.pings(TwoNodes.farAddress))
        #expect(observed.form == WireGuardForm.kernel.rawValue)
        for (place, reference) in [(nodes.pod, nodes.podReference), (nodes.egress, nodes.gatewayReference)] {
            let name = reference.link
            #expect(try place.shell("ip -j -d link show \(name)").contains("\"info_kind\":\"wireguard\""))
            #expect(try place.shell("wg show interfaces").trimmedLine == name)
            #expect(!TwoNodes.socketExists(reference))
        }
        #expect(try nodes.pod.shell("wg show wg0 public-key").trimmedLine == observed.publicKey)
        let handshake = try nodes.egress.shell("wg show wg-6000 latest-handshakes").trimmedLine.split(separator: "\t")
        #expect(handshake.first.map(String.init) == observed.publicKey)
        #expect(try #require(handshake.last.flatMap { Int($0) }) > 0)
        #expect(try run("pgrep -x wireguard-go || true").isEmpty)
        try await nodes.removeAll()
    }

    @Test func theSocketIsInTheNodesNamespaceAndGoesWithTheTunnel() async throws {
        let nodes = try await TwoNodes("socket")
        _ = try await nodes.connect()
        #expect(try !sockets(nodes.gateway, port: TwoNodes.port).isEmpty)
        #expect(try sockets(nodes.egress, port: TwoNodes.port).isEmpty)
        try await nodes.removeAll()
        #expect(try sockets(nodes.gateway, port: TwoNodes.port).isEmpty)
        for place in [nodes.pod, nodes.egress, nodes.worker, nodes.gateway] {
            #expect(try place.routes.links().allSatisfy { $0.kind != KernelWireGuard.linkKind })
        }
        // Absent is success, and the port and the names are free again.
        try await nodes.removeAll()
        _ = try await nodes.connect()
        #expect(nodes.pod.pings(TwoNodes.farAddress))
        try await nodes.removeAll()
    }

    @Test func aTunnelEndsWithItsNamespaceAndCanBeMadeAnew() async throws {
        let nodes = try await TwoNodes("ends")
        let port = 6010
        let short = try NetworkNamespace(name: "kegwt-wg-kernel-short-\(getpid())")
        defer { _ = try? short.delete() }
        for _ in 0..<2 {
            try short.create()
            _ = try await nodes.ensure(nodes.onGateway, nodes.gatewayEnd(peers: [], namespace: short.path, port: port))
            #expect(try !sockets(nodes.gateway, port: port).isEmpty)
            try short.delete()
            // The kernel cleans namespaces up in the background.
            let limit = ContinuousClock.now + .seconds(20)
            while try !sockets(nodes.gateway, port: port).isEmpty, ContinuousClock.now < limit {
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(try sockets(nodes.gateway, port: port).isEmpty)
        }
    }

    /// More than one message takes in each direction, and one peer with more allowed IPs than a message holds.
    @Test func manyPeersAreSetAndReadBack() async throws {
        let place = try await TestNamespace("many")
        try place.routes.createLink(name: "wg0", kind: KernelWireGuard.linkKind)
        let key = try WireGuardPrivateKey.generate()
        var peers: [WireGuardPeer] = []
        for number in 0..<200 {
            let count = number == 100 ? 1000 : 4
            let prefixes = (0..<count).map { IPPrefix(host: IPAddress(ipv4: 0x0a00_0000 + UInt32(number << 12 + $0))) }
            let endpoint = WireGuardEndpoint(address: IPAddress(ipv4: 0x0af3_0000 + UInt32(number)), port: 6000)
            peers.append(
                WireGuardPeer(
                    publicKey: try WireGuardPrivateKey.generate().publicKey, endpoint: endpoint,
                    allowedIPs: Set(prefixes), persistentKeepalive: UInt16(number)))
        }
        let all = WireGuardConfiguration(
            privateKey: key, listenPort: 6000, replacePeers: true, peers: peers.map { .set($0) })
        #expect(KernelProtocol.fragments(of: all).count > 2)
        let (status, rest) = try place.namespace.runBlocking { [peers] in
            let device = try KernelWireGuard(socket: GenericNetlinkSocket(), link: "wg0")
            try device.configure(all)
            let status = try device.status()
            let kept = Array(peers.suffix(50))
            try device.configure(WireGuardConfiguration(peers: status.changes(toPeers: kept)))
            return (status, try device.status())
        }
        #expect(status.publicKey == key.publicKey && status.listenPort == 6000)
        #expect(status.peers.count == peers.count)
        #expect(status.changes(toPeers: peers).isEmpty)
        #expect(rest.peers.count == 50)
        let listed = try place.shell("wg show wg0 peers").split(separator: "\n").map(String.init)
        #expect(Set(listed) == Set(peers.suffix(50).map(\.publicKey.description)))
    }

    @Test func theKernelsRefusalIsTold() async throws {
        let place = try await TestNamespace("refusal")
        try place.routes.createBridge(name: "br0")
        let error = #expect(throws: LinuxNetError.self) {
            try place.namespace.runBlocking {
                try KernelWireGuard(socket: GenericNetlinkSocket(), link: "br0").configure(
                    WireGuardConfiguration(listenPort: 6000))
            }
        }
        #expect(error?.errorNumber == EOPNOTSUPP)
        #expect(throws: LinuxNetError.self) {
            try place.namespace.runBlocking {
                _ = try KernelWireGuard(socket: GenericNetlinkSocket(), link: "absent").status()
            }
        }
    }
}
