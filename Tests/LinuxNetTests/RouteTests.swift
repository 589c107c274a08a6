import Glibc
import LinuxNet
import Testing

@Suite("Routes and rules", .enabled(if: isRoot, needsRoot))
struct RouteTests {
    /// A namespace with eth0 = 10.0.0.2/24 and a wg0 that is up.
    private static func pod(_ name: String) async throws -> (pod: TestNamespace, eth0: UInt32, wg0: UInt32) {
        let pod = try await TestNamespace(name)
        for (name, peer) in [("eth0", "far0"), ("wg0", "far1")] {
            try pod.routes.createVeth(name: name, peer: VethPeer(name: peer))
            for end in [name, peer] {
                try pod.routes.setUp(true, index: try pod.routes.requireLink(named: end).index)
            }
        }
        let eth0 = try pod.routes.requireLink(named: "eth0").index
        try pod.routes.addAddress(
            InterfaceAddress(try IPAddress(parsing: "10.0.0.2"), prefixLength: 24, linkIndex: eth0))
        return (pod, eth0, try pod.routes.requireLink(named: "wg0").index)
    }

    @Test("an IPv4 default route goes via an IPv6 gateway")
    func viaInet6() async throws {
        let (pod, _, wg0) = try await Self.pod("via6")
        let route = Route(to: .all(.ipv4), via: try IPAddress(parsing: "fe80::1"), linkIndex: wg0)
        #expect(try pod.routes.ensureRoute(route))
        #expect(try !pod.routes.ensureRoute(route))
        #expect(try pod.shell("ip -4 route show default").contains("default via inet6 fe80::1 dev wg0"))
        let found = try pod.routes.lookup(try IPAddress(parsing: "198.51.100.9"))
        #expect(found.linkIndex == wg0 && found.gateway == route.gateway)
        #expect(found.preferredSource == IPAddress("10.0.0.2"))
        #expect(try pod.routes.ensureNoRoute(route))
        #expect(try !pod.routes.ensureNoRoute(route))
    }

    @Test("routes are replaced in place and compared in full")
    func ensure() async throws {
        let (pod, eth0, wg0) = try await Self.pod("ensure")
        let gateway = try IPAddress(parsing: "10.0.0.1")
        let prefix = try IPPrefix(parsing: "192.0.2.0/24")
        #expect(try pod.routes.ensureRoute(Route(to: prefix, via: gateway, linkIndex: eth0, originProtocol: 4)))
        #expect(try pod.shell("ip -4 route show 192.0.2.0/24").contains("via 10.0.0.1 dev eth0 proto static"))
        #expect(try pod.routes.ensureRoute(Route(to: prefix, linkIndex: wg0)))
        #expect(try pod.routes.routes(family: .ipv4).filter { $0.destination == prefix }.map(\.linkIndex) == [wg0])
        let error = #expect(throws: LinuxNetError.self) {
            try pod.routes.addRoute(Route(to: prefix, linkIndex: eth0))
        }
        #expect(error?.code == .alreadyExists)

        let far = Route(
            to: try IPPrefix(parsing: "203.0.113.0/24"), via: try IPAddress(parsing: "172.16.0.1"), linkIndex: eth0,
            preferredSource: try IPAddress(parsing: "10.0.0.2"), metric: 7, isOnLink: true)
        #expect(try pod.routes.ensureRoute(far))
        #expect(try !pod.routes.ensureRoute(far))
        #expect(
            try pod.shell("ip -4 route show 203.0.113.0/24")
                .contains("via 172.16.0.1 dev eth0 src 10.0.0.2 metric 7 onlink"))
    }

    @Test("packets for blackhole and unreachable routes end here, in both families")
    func refusing() async throws {
        let (pod, _, _) = try await Self.pod("refuse")
        for (family, target) in [(IPAddress.Family.ipv4, "198.51.100.9"), (.ipv6, "2001:db8::9")] {
            for kind in [RouteKind.unreachable, .blackhole, .prohibit] {
                let route = Route(to: .all(family), kind: kind, metric: 50)
                #expect(try pod.routes.ensureRoute(route))
                #expect(try !pod.routes.ensureRoute(route))
                #expect(throws: LinuxNetError.self) { try pod.routes.lookup(try IPAddress(parsing: target)) }
                #expect(try pod.routes.ensureNoRoute(route))
            }
        }
    }

    @Test("a rule sends marked packets to a large table")
    func rules() async throws {
        let (pod, eth0, wg0) = try await Self.pod("rules")
        let rule = RoutingRule(table: 8738, mark: .init(0x2222))
        #expect(try pod.routes.ensureRule(rule))
        #expect(try !pod.routes.ensureRule(rule))
        #expect(try pod.shell("ip rule show").contains("32765:\tfrom all fwmark 0x2222 lookup 8738"))
        #expect(try pod.routes.routes(table: 8738).isEmpty)
        try pod.routes.ensureRoute(Route(to: .all(.ipv4), via: try IPAddress(parsing: "fe80::1"), linkIndex: wg0))
        let symmetric = Route(
            to: .all(.ipv4), via: try IPAddress(parsing: "10.0.0.1"), linkIndex: eth0, table: 8738)
        #expect(try pod.routes.ensureRoute(symmetric))
        #expect(try !pod.routes.ensureRoute(symmetric))
        #expect(try pod.routes.routes(table: 8738).map(\.gateway) == [symmetric.gateway])
        let target = try IPAddress(parsing: "198.51.100.9")
        #expect(try pod.routes.lookup(target).linkIndex == wg0)
        #expect(try pod.routes.lookup(target, mark: 0x2222).linkIndex == eth0)

        let other = RoutingRule(
            priority: 100, table: 77, mark: .init(1, mask: 0xff), source: try IPPrefix(parsing: "10.0.0.0/8"),
            incomingLink: "eth0")
        #expect(try pod.routes.ensureRule(other))
        #expect(try !pod.routes.ensureRule(other))
        #expect(try pod.shell("ip rule show").contains("100:\tfrom 10.0.0.0/8 fwmark 0x1/0xff iif eth0 lookup 77"))
        #expect(try pod.routes.ensureNoRule(rule))
        #expect(try !pod.routes.ensureNoRule(rule))
        #expect(try pod.routes.rules().map(\.table) == [255, 77, 254, 253])
    }

    @Test("a thousand routes are listed as iproute2 lists them")
    func thousand() async throws {
        let (pod, eth0, _) = try await Self.pod("thousand")
        for number in 0..<1000 {
            let address = IPAddress(ipv4: 0xc633_0000 + UInt32(number))
            try pod.routes.addRoute(Route(to: IPPrefix(host: address), linkIndex: eth0))
        }
        let listed = try pod.routes.routes(family: .ipv4)
        #expect(listed.count == 1001)
        #expect(try pod.shell("sh -c 'ip -4 route show | wc -l'") == "1001\n")
    }
}
