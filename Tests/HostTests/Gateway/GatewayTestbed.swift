import Foundation
import Glibc
import LinuxNet
import Logging
import ProviderKit
import Testing

@testable import Host

/// A gateway node, the network it is on and a pod, as namespaces of this machine. The pod's tunnel is a veth pair with
/// the names and addresses of the real one, so that the paths behind it are real.
final class GatewayTestbed: Sendable {
    static let primary = "10.243.0.5"
    static let internet = "198.51.100.9"

    let node: NetworkNamespace
    let gateway: NetworkNamespace
    let outside: NetworkNamespace
    let pod: NetworkNamespace
    let tunnel: FakeCapability<Tunnel>
    let dataPath: GatewayDataPath
    private let namespaces: GatewayNamespaces

    init(_ name: String) async throws {
        // Two test runs on one machine must not meet.
        let prefix = "kegwt-ro-\(getpid())-\(name)"
        let node = try NetworkNamespace(name: "\(prefix)-node")
        let gateway = try NetworkNamespace(name: "\(prefix)-egress")
        let outside = try NetworkNamespace(name: "\(prefix)-net")
        let pod = try NetworkNamespace(name: "\(prefix)-pod")
        (self.node, self.gateway, self.outside, self.pod) = (node, gateway, outside, pod)
        for namespace in [node, gateway, outside, pod] { try namespace.delete() }
        for namespace in [node, outside, pod] { try namespace.create() }
        tunnel = FakeCapability(
            make: { try await Self.makeTunnel($0, gateway: gateway, pod: pod) },
            onRemove: { item in
                guard gateway.exists else { return }
                try await gateway.run { _ = try RouteSocket().ensureNoLink(named: item.link) }
            })
        namespaces = GatewayNamespaces(node: node, gateway: gateway, uplink: "eth0")
        dataPath = GatewayDataPath(namespaces: namespaces, tunnel: tunnel, logger: Logger(label: "test"))
        try await connect()
    }

    /// A second life of the daemon on the same node.
    func restarted() -> GatewayDataPath {
        GatewayDataPath(namespaces: namespaces, tunnel: tunnel, logger: Logger(label: "test"))
    }

    func close() throws {
        for namespace in [pod, gateway, node, outside] { try namespace.delete() }
    }

    private func connect() async throws {
        let handle = try outside.open()
        try await node.run {
            let socket = try RouteSocket()
            try socket.createVeth(name: "eth0", peer: VethPeer(name: "wire", namespace: handle))
            let link = try socket.requireLink(named: "eth0").index
            try socket.setUp(true, index: link)
            let address = try #require(IPAddress(Self.primary))
            try socket.addAddress(InterfaceAddress(address, prefixLength: 24, linkIndex: link))
        }
        try await outside.run {
            let socket = try RouteSocket()
            let loopback = try socket.requireLink(named: "lo").index
            try socket.setUp(true, index: loopback)
            try socket.addAddress(InterfaceAddress(try #require(IPAddress(Self.internet)), linkIndex: loopback))
            let link = try socket.requireLink(named: "wire").index
            try socket.setUp(true, index: link)
            let router = try #require(IPAddress("10.243.0.1"))
            try socket.addAddress(InterfaceAddress(router, prefixLength: 24, linkIndex: link))
            // A cloud delivers a secondary address to the interface it is configured on.
            for text in ["10.243.0.7", "10.243.0.8"] {
                let secondary = IPPrefix(host: try #require(IPAddress(text)))
                try socket.addRoute(Route(to: secondary, via: IPAddress(Self.primary), linkIndex: link))
            }
            // Whatever source a leaked packet had, it would arrive here.
            try Sysctl.set("net/ipv4/conf/wire/rp_filter", "0")
            try Sysctl.set("net/ipv4/conf/all/rp_filter", "0")
        }
        try await node.run {
            let socket = try RouteSocket()
            let link = try socket.requireLink(named: "eth0").index
            try socket.addRoute(Route(to: .all(.ipv4), via: IPAddress("10.243.0.1"), linkIndex: link))
        }
    }

    /// The link `wg-<port>` of the gateway namespace, its other end in the pod with the address of the first peer.
    private static func makeTunnel(
        _ item: Tunnel.Desired, gateway: NetworkNamespace, pod: NetworkNamespace
    ) async throws -> Tunnel.Observed {
        let handle = try pod.open()
        let isNew = try await gateway.run {
            let socket = try RouteSocket()
            if try socket.link(named: item.link) != nil { return false }
            let other = "pod" + item.link.dropFirst(3)
            try socket.createVeth(name: item.link, peer: VethPeer(name: String(other), namespace: handle))
            let link = try socket.requireLink(named: item.link).index
            try socket.setUp(true, index: link)
            for text in item.addresses {
                let (address, length) = try IPPrefix.split(text)
                try socket.addAddress(
                    InterfaceAddress(address, prefixLength: length, linkIndex: link, skipsDuplicateDetection: true))
            }
            for peer in item.gateway?.peers ?? [] {
                for text in peer.allowedIPs {
                    try socket.replaceRoute(Route(to: try IPPrefix(parsing: text), linkIndex: link))
                }
            }
            return true
        }
        if isNew {
            try await pod.run {
                let socket = try RouteSocket()
                let link = try socket.requireLink(named: "pod" + item.link.dropFirst(3)).index
                try socket.setUp(true, index: link)
                for peer in item.gateway?.peers ?? [] {
                    for text in peer.allowedIPs {
                        try socket.ensureAddress(
                            InterfaceAddress(try IPPrefix(parsing: text).address, linkIndex: link))
                    }
                }
                // A link-local address without the wait for duplicates, so that the next hop can be asked for.
                try socket.addAddress(
                    InterfaceAddress(
                        try #require(IPAddress("fe80::2")), prefixLength: 64, linkIndex: link,
                        skipsDuplicateDetection: true))
                try socket.replaceRoute(
                    Route(
                        to: .all(.ipv4), via: IPAddress("fe80::1"), linkIndex: link, metric: UInt32(link)))
            }
        }
        return Tunnel.Observed(link: item.link, publicKey: Fixture.key(1), mtu: 1420, form: "veth")
    }

    /// Sends a datagram from the pod and gives the source address it arrived with, nil if none of
    /// several did. With `answering`, the answer must reach the pod as well.
    func source(from podAddress: String, answering: Bool = true) async throws -> String? {
        let port = UInt16.random(in: 20_000...60_000)
        let server = try await outside.run { try Datagram(bind: Self.internet, port) }
        let client = try await pod.run { try Datagram(bind: podAddress, port) }
        // The first one may be lost while neighbours are looked up.
        var arrival: (String, UInt16)?
        for _ in 0..<5 where arrival == nil {
            try client.send("hello", to: Self.internet, port)
            arrival = server.receive()
        }
        guard let (source, sourcePort) = arrival else { return nil }
        if answering {
            try server.send("answer", to: source, sourcePort)
            try #require(client.receive() != nil, "the answer got lost")
        }
        return source
    }
}

/// A UDP socket in the namespace it was made in.
final class Datagram: Sendable {
    private let descriptor: Int32

    init(bind address: String, _ port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var time = timeval(tv_sec: 0, tv_usec: 300_000)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        let result = Self.withAddress(address, port) { bind(descriptor, $0, $1) }
        try #require(result == 0, "bind \(address): \(String(cString: strerror(errno)))")
    }

    deinit { close(descriptor) }

    private static func withAddress<R>(
        _ text: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
    ) -> R {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr(text)
        return withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    func send(_ text: String, to address: String, _ port: UInt16) throws {
        let bytes = Array(text.utf8)
        // The kernel reports the drop of a packet of our own as an error of the call: that is no arrival either.
        _ = Self.withAddress(address, port) { sendto(descriptor, bytes, bytes.count, 0, $0, $1) }
    }

    func receive() -> (String, UInt16)? {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        var buffer = [UInt8](repeating: 0, count: 100)
        let count = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(descriptor, &buffer, 100, 0, $0, &size) }
        }
        guard count >= 0 else { return nil }
        return (String(cString: inet_ntoa(address.sin_addr)), UInt16(bigEndian: address.sin_port))
    }
}
