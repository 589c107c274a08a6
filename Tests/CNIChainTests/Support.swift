import CNIChainProvider
import Glibc
import LinuxNet
import ProviderKit
import Testing

let isRoot = geteuid() == 0
let needsRoot: Comment = "makes network namespaces: needs root"

/// A pod's namespace between two worlds, each of which owns all the addresses the tests send to:
///
///     router  10.244.0.1 --- eth0 10.244.0.20  pod  wg0 fe80::2 --- fe80::1  tunnel
///
/// so the socket that receives a packet tells which way it went.
final class PodLab: Sendable {
    static let target = "198.51.100.9"
    static let excluded = "192.0.2.77"
    static let podAddress = "10.244.0.20"
    static let target6 = "2001:db8:1::9"
    static let excluded6 = "2001:db8:2::77"

    let pod: NetworkNamespace
    let router: NetworkNamespace
    let tunnel: NetworkNamespace
    let podRoutes: RouteSocket

    init(_ name: String) async throws {
        func make(_ role: String) async throws -> (NetworkNamespace, RouteSocket) {
            let namespace = try NetworkNamespace(name: "kegwt-cc-\(name)-\(role)-\(getpid())")
            try namespace.create()
            // No generated link-local addresses: they come late and differ, and fingerprints are compared. Fixed ones
            // are added below; neighbour discovery needs them.
            try await namespace.run { try Sysctl.set("net/ipv6/conf/default/addr_gen_mode", "1") }
            let routes = try await RouteSocket.open(in: namespace)
            try routes.setUp(true, index: 1)
            return (namespace, routes)
        }
        let routerRoutes: RouteSocket
        let tunnelRoutes: RouteSocket
        (pod, podRoutes) = try await make("pod")
        (router, routerRoutes) = try await make("router")
        (tunnel, tunnelRoutes) = try await make("tunnel")

        try podRoutes.createVeth(name: "eth0", peer: VethPeer(name: "r0", namespace: try router.open()))
        try podRoutes.createVeth(name: "wg0", peer: VethPeer(name: "t0", namespace: try tunnel.open()))
        for (routes, link) in [(podRoutes, "eth0"), (podRoutes, "wg0"), (routerRoutes, "r0"), (tunnelRoutes, "t0")] {
            try routes.setUp(true, index: try routes.requireLink(named: link).index)
        }
        try Self.add("10.244.0.20/24", "2001:db8::20/64", "fe80::20/64", to: "eth0", podRoutes)
        try Self.add("10.244.0.1/24", "2001:db8::1/64", "fe80::10/64", to: "r0", routerRoutes)
        try Self.add("fe80::2/64", to: "wg0", podRoutes)
        try Self.add("fe80::1/64", to: "t0", tunnelRoutes)
        for routes in [routerRoutes, tunnelRoutes] {
            try Self.add("\(Self.target)/32", "\(Self.excluded)/32", to: "lo", routes)
            try Self.add("\(Self.target6)/128", "\(Self.excluded6)/128", to: "lo", routes)
        }
        try Self.add("10.244.0.1/32", to: "lo", tunnelRoutes)
        let back = try tunnelRoutes.requireLink(named: "t0").index
        try tunnelRoutes.addRoute(
            Route(to: IPPrefix(host: try IPAddress(parsing: Self.podAddress)), linkIndex: back))
        let eth0 = try podRoutes.requireLink(named: "eth0").index
        for (family, gateway) in [(IPAddress.Family.ipv4, "10.244.0.1"), (.ipv6, "2001:db8::1")] {
            try podRoutes.addRoute(Route(to: .all(family), via: try IPAddress(parsing: gateway), linkIndex: eth0))
        }
    }

    deinit {
        for namespace in [pod, router, tunnel] { _ = try? namespace.delete() }
    }

    private static func add(_ addresses: String..., to link: String, _ routes: RouteSocket) throws {
        let index = try routes.requireLink(named: link).index
        for text in addresses {
            let (address, length) = try IPPrefix.split(text)
            try routes.addAddress(
                InterfaceAddress(
                    address, prefixLength: length, linkIndex: index,
                    skipsDuplicateDetection: address.family == .ipv6))
        }
    }

    /// The attachment of this pod, without IPv6 exceptions unless given.
    func desired(
        _ route: PodNetwork.DefaultRoute, excluded: [String] = ["\(PodLab.excluded)/24"], exceptions: [String] = []
    ) -> PodNetwork.Desired {
        PodNetwork.Desired(
            id: "pod", namespace: pod.path, interface: "eth0", tunnelLink: "wg0", defaultRoute: route,
            excludedCIDRs: excluded, exceptionCIDRs: exceptions)
    }

    var reference: PodNetwork.Reference {
        PodNetwork.Reference(id: "pod", namespace: pod.path, interface: "eth0", tunnelLink: "wg0")
    }

    func ensure(_ desired: PodNetwork.Desired) async -> ItemResult<PodNetwork.Observed>? {
        await PodNetworkProbe.capability.ensure([desired], PodNetworkProbe.context).first
    }

    func check(_ desired: PodNetwork.Desired) async -> ItemResult<PodNetwork.Observed>? {
        await PodNetworkProbe.capability.check([desired], PodNetworkProbe.context).first
    }

    /// Runs a command in the pod's network.
    @discardableResult
    func inPod(_ command: String) throws -> String {
        try shell("ip netns exec \(pod.path.split(separator: "/").last ?? "") \(command)")
    }

    /// All that iproute2 and nft say about the pod, without counters.
    func fingerprint() throws -> String {
        try [
            "ip -4 route show table all", "ip -6 route show table all", "ip rule", "ip -6 rule", "nft -s list ruleset",
        ]
        .map { try inPod($0) }
        .joined(separator: "--\n")
    }

    /// Where a packet from the pod to `address` arrives.
    func way(to address: String) async throws -> Way {
        let port = UInt16.random(in: 20000...60000)
        let atRouter = try await TestSocket.open(in: router, bind: address, port: port)
        let atTunnel = try await TestSocket.open(in: tunnel, bind: address, port: port)
        let sender = try await TestSocket.open(in: pod, bind: address.contains(":") ? "::" : "0.0.0.0", port: 0)
        sender.send([1], to: address, port: port)
        for _ in 0..<30 {
            if let packet = atRouter.receive(milliseconds: 5) { return .router(source: packet.source) }
            if let packet = atTunnel.receive(milliseconds: 5) { return .tunnel(source: packet.source) }
        }
        return .nowhere
    }

    /// Whether a TCP connection from the router's side to the pod comes about.
    func acceptsInbound(from source: String, to address: String = PodLab.podAddress) async throws -> Bool {
        let port = UInt16.random(in: 20000...60000)
        let listener = try await TestSocket.open(
            in: pod, bind: address.contains(":") ? "::" : "0.0.0.0", port: port, isStream: true)
        let client = try await TestSocket.open(in: router, bind: source, port: 0, isStream: true)
        return withExtendedLifetime(listener) { client.connects(to: address, port: port, milliseconds: 2000) }
    }

    /// Whether the pod answers a packet that came in by eth0, to where it came from.
    func answersInbound(from source: String, to address: String = PodLab.podAddress) async throws -> Bool {
        let port = UInt16.random(in: 20000...60000)
        let server = try await TestSocket.open(in: pod, bind: address.contains(":") ? "::" : "0.0.0.0", port: port)
        let client = try await TestSocket.open(in: router, bind: source, port: 0)
        client.send([7], to: address, port: port)
        guard let question = server.receive(milliseconds: 500) else { return false }
        server.send([8], to: question.source, port: question.port)
        return client.receive(milliseconds: 500)?.bytes == [8]
    }
}

enum Way: Equatable {
    case router(source: String)
    case tunnel(source: String)
    case nowhere
}

/// Output of a command; fails the test if the command does.
func shell(_ command: String) throws -> String {
    guard let pipe = popen("\(command) 2>&1", "r") else { throw ShellFailure(text: command) }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = fread(&buffer, 1, buffer.count, pipe)
        if count == 0 { break }
        output += buffer[..<count]
    }
    let text = String(decoding: output, as: UTF8.self)
    guard pclose(pipe) == 0 else { throw ShellFailure(text: "\(command): \(text)") }
    return text
}

struct ShellFailure: Error {
    let text: String
}
