import Foundation
import Glibc
import Kubernetes
import LinuxNet
import Logging
import ProviderKit
import Synchronization
import Testing

@testable import Host

@Suite("Gateway: data path in real namespaces", .enabled(if: getuid() == 0, "needs root"), .serialized)
struct GatewayDataPathTests {
    static let keys = ["uid-gw-a": "private-a", "uid-gw-b": "private-b"]
    static let podA = "10.244.0.20"
    static let podB = "10.244.0.21"

    static func planA() -> GatewayPlan {
        Fixture.plan(
            [Fixture.configuration("gw-a")], [Fixture.machines("gw-a")],
            [Fixture.endpoint("web-a", of: "gw-a", address: "\(podA)/32", key: 2)])
    }

    static func planAB() -> GatewayPlan {
        Fixture.plan(
            [Fixture.configuration("gw-a"), Fixture.configuration("gw-b", port: 6001)],
            [Fixture.machines("gw-a"), Fixture.machines("gw-b", secondary: "10.243.0.8")],
            [
                Fixture.endpoint("web-a", of: "gw-a", address: "\(podA)/32", key: 2),
                Fixture.endpoint("web-b", of: "gw-b", address: "\(podB)/32", key: 3),
            ])
    }

    @Test("a pod's packets leave with its gateway's address, and the answers come back")
    func translates() async throws {
        let bed = try await GatewayTestbed("snat")
        defer { try? bed.close() }
        // As a cloud's guest agent would do it.
        try await bed.node.run {
            let socket = try RouteSocket()
            let link = try socket.requireLink(named: "eth0").index
            let secondary = try #require(IPAddress("10.243.0.7"))
            try socket.addAddress(InterfaceAddress(secondary, prefixLength: 24, linkIndex: link))
        }
        let outcome = try await bed.dataPath.apply(Self.planA(), privateKeys: Self.keys)
        #expect(outcome == .init(ready: ["uid-gw-a"], failures: [:]))
        // The network hands the secondary address to the node, as the cloud does.
        #expect(try await bed.source(from: Self.podA) == "10.243.0.7")
        try await bed.node.run {
            let socket = try RouteSocket()
            let link = try socket.requireLink(named: "eth0").index
            let labels = try socket.addresses(linkIndex: link, family: .ipv4).map { "\($0) \($0.label ?? "")" }
            #expect(labels.sorted() == ["10.243.0.5/24 eth0", "10.243.0.6/32 eth0:egress"])
        }
    }

    @Test("the node's own masquerading does not touch gateway traffic")
    func masquerading() async throws {
        let bed = try await GatewayTestbed("masq")
        defer { try? bed.close() }
        try await bed.node.run {
            try NFTables.run(
                """
                table ip others { chain post { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }; }
                """)
        }
        _ = try await bed.dataPath.apply(Self.planA(), privateKeys: Self.keys)
        #expect(try await bed.source(from: Self.podA) == "10.243.0.7")
    }

    @Test("two gateways on one node keep their addresses apart; a change touches only its own")
    func twoGateways() async throws {
        let bed = try await GatewayTestbed("two")
        defer { try? bed.close() }
        _ = try await bed.dataPath.apply(Self.planA(), privateKeys: Self.keys)
        bed.tunnel.forgetCalls()
        let outcome = try await bed.dataPath.apply(Self.planAB(), privateKeys: Self.keys)
        #expect(outcome.ready == ["uid-gw-a", "uid-gw-b"])
        #expect(bed.tunnel.calls == ["ensure uid-gw-b"])
        try await bed.routePod(Self.podB, link: "pod6001")
        #expect(try await bed.source(from: Self.podA) == "10.243.0.7")
        #expect(try await bed.source(from: Self.podB) == "10.243.0.8")
        bed.tunnel.forgetCalls()
        _ = try await bed.dataPath.apply(Self.planA(), privateKeys: Self.keys)
        #expect(bed.tunnel.calls == ["remove uid-gw-b"])
        #expect(try await bed.source(from: Self.podA) == "10.243.0.7")
        let links = try await bed.gateway.run { try RouteSocket().links().map(\.name) }
        #expect(links.contains("wg-6000") && !links.contains("wg-6001"))
    }

    @Test(
        "without its entry in the maps a pod's packet is dropped, never sent with another address",
        arguments: [
            "delete element ip egress-gateway sources { 6000 }",
            "delete element ip egress-gateway marks { \"wg-6000\" }",
            "delete element ip egress-gateway gateways { 6000 }",
            "delete element ip egress-gateway permitted { 6000 . 10.243.0.7 }",
            "flush chain ip egress-gateway translate", "flush chain ip egress-gateway classify",
        ])
    func closed(command: String) async throws {
        let bed = try await GatewayTestbed("closed")
        defer { try? bed.close() }
        _ = try await bed.dataPath.apply(Self.planA(), privateKeys: Self.keys)
        #expect(try await bed.source(from: Self.podA) == "10.243.0.7")
        try await bed.gateway.run { _ = try NFTables.run(command) }
        #expect(try await bed.source(from: Self.podA, answering: false) == nil)
    }

    @Test(
        "what somebody took away is put right after drift was expected, also by a new daemon", arguments: [true, false])
    func drift(restart: Bool) async throws {
        let bed = try await GatewayTestbed("drift")
        defer { try? bed.close() }
        _ = try await bed.dataPath.apply(Self.planAB(), privateKeys: Self.keys)
        try await bed.node.run {
            let socket = try RouteSocket()
            let link = try socket.requireLink(named: "host-gateway").index
            let secondary = try #require(IPAddress("10.243.0.7"))
            try socket.ensureNoRoute(Route(to: IPPrefix(host: secondary), linkIndex: link))
            try NFTables.ensureNoTable(.ip, GatewayRules.nodeTable)
        }
        try await bed.gateway.run { _ = try NFTables.ensureNoTable(.ip, GatewayRules.gatewayTable) }
        let dataPath = restart ? bed.restarted() : bed.dataPath
        await dataPath.expectDrift()
        let outcome = try await dataPath.apply(Self.planA(), privateKeys: Self.keys)
        #expect(outcome.ready == ["uid-gw-a"])
        #expect(try await bed.source(from: Self.podA) == "10.243.0.7")
        // The gateway that is not in the plan any more is gone, whoever made it.
        let left = try await bed.gateway.run {
            try RouteSocket().addresses(family: .ipv4).map(\.description).filter { $0 != "127.0.0.1/8" }
        }
        #expect(left == ["10.243.0.7/32"])
    }

    @Test("drift that is told of while a plan is applied is looked for by the next")
    func driftMeanwhile() async throws {
        let bed = try await GatewayTestbed("meanwhile")
        defer { try? bed.close() }
        let current = Mutex<GatewayDataPath?>(nil)
        let tunnel = FakeCapability<Tunnel>(make: { item in
            await current.withLock { $0 }?.expectDrift()
            return Tunnel.Observed(link: item.link, publicKey: Fixture.key(1), mtu: 1420, form: "kernel")
        })
        let dataPath = GatewayDataPath(
            namespaces: GatewayNamespaces(node: bed.node, gateway: bed.gateway, uplink: "eth0"), tunnel: tunnel,
            logger: Logger(label: "test"))
        current.withLock { $0 = dataPath }
        _ = try await dataPath.apply(Self.planA(), privateKeys: Self.keys)
        try await bed.node.run { _ = try NFTables.ensureNoTable(.ip, GatewayRules.nodeTable) }
        _ = try await dataPath.apply(Self.planA(), privateKeys: Self.keys)
        let table = try await bed.node.run { try NFTables.listTable(.ip, GatewayRules.nodeTable) }
        #expect(table != nil)
    }

    @Test("an empty plan leaves nothing of ours")
    func empty() async throws {
        let bed = try await GatewayTestbed("empty")
        defer { try? bed.close() }
        let before = try await bed.snapshot()
        _ = try await bed.dataPath.apply(Self.planAB(), privateKeys: Self.keys)
        #expect(try await bed.snapshot() != before)
        _ = try await bed.dataPath.apply(GatewayPlan(), privateKeys: [:])
        #expect(try await bed.snapshot() == before)
        #expect(!bed.gateway.exists)
        #expect(bed.tunnel.desired.isEmpty)
    }

    @Test("a gateway whose tunnel fails, or whose Secret has another key, is not ready; the other one is")
    func oneFails() async throws {
        let bed = try await GatewayTestbed("fail")
        defer { try? bed.close() }
        let missing = try await bed.dataPath.apply(Self.planAB(), privateKeys: ["uid-gw-a": "private-a"])
        #expect(missing == .init(ready: ["uid-gw-a"], failures: ["uid-gw-b": "its private key is not known"]))
        #expect(try await bed.source(from: Self.podA) == "10.243.0.7")
        var other = Self.planAB()
        other.servers[1].publicKey = Fixture.key(77)
        let wrong = try await bed.dataPath.apply(other, privateKeys: Self.keys)
        #expect(wrong.ready == ["uid-gw-a"])
        #expect(wrong.failures["uid-gw-b"]?.contains("public half") == true)
    }
}

extension GatewayTestbed {
    /// Lets the pod's packets with that source take that link, as two pods would.
    func routePod(_ address: String, link name: String) async throws {
        try await pod.run {
            let socket = try RouteSocket()
            let link = try socket.requireLink(named: name).index
            try socket.replaceRoute(Route(to: .all(.ipv4), via: IPAddress("fe80::1"), linkIndex: link, table: 77))
            try socket.addRule(RoutingRule(table: 77, source: IPPrefix(host: try #require(IPAddress(address)))))
        }
    }

    /// Everything the node's kernel holds that could be ours.
    func snapshot() async throws -> [String] {
        try await node.run {
            let socket = try RouteSocket()
            return try socket.links().map(\.name) + socket.addresses(family: .ipv4).map(\.description)
                + socket.routes(family: .ipv4).map(\.description) + [NFTables.run("list ruleset")]
        }
    }
}
