import Glibc
import LinuxNet
import ProviderKit
import Testing

@testable import VXLANProvider
@testable import WireGuardProvider

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// What happens when something is wrong or changes, with real links and packets.
@Suite("VXLAN faults", .serialized, .enabled(if: canTunnel, needsVXLAN))
struct FaultTests {
    @Test func itemsOfABatchFailAloneAndLeaveNothing() async throws {
        let nodes = try await Nodes("alone")
        func item(_ id: String, _ port: Int, _ change: (inout Tunnel.Desired) -> Void = { _ in }) -> Tunnel.Desired {
            var item = nodes.gatewayEnd(peers: [], port: port)
            item.id = id
            change(&item)
            return item
        }
        try nodes.egress[0].routes.createBridge(name: "wg-other")
        let socket = try nodes.gateways[0].namespace.runBlocking { try Conversation.boundSocket(port: 6004) }
        defer { close(socket) }
        let items = [
            item("missing", 6002) { $0.namespace = "/run/netns/kegwt-vx-none" },
            item("taken", 6003) { $0.link = "wg-other" }, item("busy", 6004),
            item("malformed", 6005) { $0.gateway?.privateKey = "secret-that-is-no-key" },
            item("relative", 6006) { $0.namespace = "somewhere" }, item("port", 0), item("good", 6000),
        ]
        let results = try await nodes.onGateways[0].service.ensure(items, nodes.host.context)
        #expect(results.map(\.id) == items.map(\.id))
        #expect(results.map(\.code) == [.retry, .terminal, .retry, .invalid, .invalid, .invalid, .ok])
        let messages = [
            "kegwt-vx-none does not exist", "wg-other", "Address already in use", "gateway.privateKey",
            "allowed: an absolute path", "gateway.port",
        ]
        for (result, text) in zip(results, messages) {
            #expect(result.message?.contains(text) == true, "\(result.message ?? "")")
            #expect(result.message?.contains("secret-that-is-no-key") != true)
        }
        #expect(try nodes.gateways[0].routes.links().map(\.name).sorted() == ["eth0", "lo"])
        #expect(Set(try nodes.egress[0].routes.links().map(\.name)) == ["lo", "wg-6000", "wg-other"])
    }

    @Test func anUnusablePeerIsLeftOutAndTold() async throws {
        let nodes = try await Nodes("peers")
        let observed = try await nodes.connect()
        let stranger = try WireGuardPrivateKey.generate().publicKey.description
        let peers = [
            nodes.peer(stranger, "default/wireguard", addresses: ["10.244.9.7/32"]),
            nodes.peer(observed.publicKey, "default/thief", addresses: ["10.244.9.8/32"]),
            nodes.peer(observed.publicKey),
        ]
        _ = try await nodes.ensure(nodes.onGateways[0], nodes.gatewayEnd(peers: peers))
        #expect(nodes.pod.pings(Nodes.farAddress))
        #expect(nodes.host.log.contains { $0.contains("peer default/wireguard is left out") })
        #expect(nodes.host.log.contains { $0.contains("peer default/thief: MAC address") })
        #expect(!(try nodes.egress[0].tables("wg-6000").contains("10.244.9.8")))
    }

    @Test func portsOfOthersArePassedOverAndAFullRangeIsSaid() async throws {
        let nodes = try await Nodes("ports", configuration: #"{"portRange":"25000-25002"}"#)
        let socket = try nodes.worker.namespace.runBlocking { try Conversation.boundSocket(port: 25_001) }
        defer { close(socket) }
        let pods = [nodes.pod, try await TestNamespace("ports-p2"), try await TestNamespace("ports-p3")]
        let items = pods.enumerated().map { nodes.podEnd("pod-\($0.offset)", in: $0.element) }
        let results = try await nodes.onWorker.service.ensure(items, nodes.host.context)
        let ports = try results.compactMap(\.observed).map { try PodKey(parsing: $0.publicKey).port }
        #expect(Set(ports) == [25_000, 25_002])
        let refused = try #require(results.first { $0.code != .ok })
        #expect(refused.code == .retry)
        #expect(refused.message?.contains("no UDP port of 25000-25002 is free") == true, "\(refused.message ?? "")")
        // One leaves, the one that was refused finds its port.
        let leaving = try #require(results.first { $0.code == .ok })
        let item = try #require(items.first { $0.id == leaving.id })
        _ = try await nodes.onWorker.service.remove([nodes.reference(item)], nodes.host.context)
        let late = try #require(items.first { $0.id == refused.id })
        let port = try PodKey(parsing: try await nodes.ensure(nodes.onWorker, late).publicKey).port
        #expect(port == (try PodKey(parsing: try #require(leaving.observed).publicKey).port))
    }

    @Test func aChangedConfigurationMakesTheLinkAnewWithItsPortAndStation() async throws {
        let nodes = try await Nodes("anew")
        let first = try await nodes.connect()
        let before = try #require(try nodes.pod.routes.link(named: "wg0"))
        var item = nodes.podEnd()
        item.pod?.gatewayPublicKey = try WireGuardPrivateKey.generate().publicKey.description
        let second = try await nodes.ensure(nodes.onWorker, item)
        #expect(second.publicKey == first.publicKey, "gateways still find the pod where it was")
        let after = try #require(try nodes.pod.routes.link(named: "wg0"))
        #expect(after.vxlan?.identifier != before.vxlan?.identifier)
        // An endpoint alone is changed in place.
        item.pod?.endpoint.port = 6009
        _ = try await nodes.ensure(nodes.onWorker, item)
        #expect(try nodes.pod.routes.link(named: "wg0")?.index == after.index)
        #expect(try nodes.pod.tables("wg0").contains("port 6009"))
    }

    @Test func aNamespaceThatIsGoneIsNoFailureToRemove() async throws {
        let nodes = try await Nodes("ns")
        _ = try await nodes.connect()
        try nodes.pod.namespace.delete()
        let reference = nodes.reference(nodes.podEnd())
        #expect(try await nodes.onWorker.service.remove([reference], nodes.host.context).map(\.code) == [.ok])
        #expect(try await nodes.onWorker.service.status([reference], nodes.host.context).map(\.code) == [.retry])
        #expect(try await nodes.onWorker.service.ensure([nodes.podEnd()], nodes.host.context).map(\.code) == [.retry])
        #expect(try nodes.worker.routes.links().map(\.name).sorted() == ["eth0", "lo"])
    }

    @Test func aPodEndRefusesWhatItCannotReach() async throws {
        let nodes = try await Nodes("refuse")
        var item = nodes.podEnd()
        item.pod?.endpoint.address = "fd00::1"
        let family = try #require(try await nodes.onWorker.service.ensure([item], nodes.host.context).first)
        #expect(family.code == .invalid && family.message?.contains("config.underlayFamily") == true)
        item.pod?.endpoint.address = "203.0.113.200"
        let route = try #require(try await nodes.onWorker.service.ensure([item], nodes.host.context).first)
        #expect(route.code != .ok && route.message?.contains("203.0.113.200") == true, "\(route.message ?? "")")
        item.pod = nil
        #expect(try await nodes.onWorker.service.ensure([item], nodes.host.context).map(\.code) == [.invalid])
        #expect(try nodes.pod.routes.links().map(\.name) == ["lo"])
    }

    @Test func theUnderlayMayBeIPv6() async throws {
        let nodes = try await Nodes("six", configuration: #"{"underlayFamily":"ipv6"}"#)
        for (node, address) in [(nodes.worker, "fd00::4"), (nodes.gateways[0], "fd00::6")] {
            try node.shell("ip addr add \(address)/64 dev eth0 nodad")
        }
        var item = nodes.podEnd()
        item.pod?.endpoint.address = "fd00::6"
        let observed = try await nodes.ensure(nodes.onWorker, item)
        #expect(observed.mtu == 1430)
        let gateway = nodes.gatewayEnd(peers: [nodes.peer(observed.publicKey)])
        _ = try await nodes.ensure(nodes.onGateways[0], gateway)
        try nodes.pod.shell("ip route replace \(Nodes.farAddress)/32 via inet6 fe80::1 dev wg0")
        #expect(nodes.pod.pings(Nodes.farAddress, seconds: 3))
        #expect((try? nodes.pod.shell("ping -c 1 -W 1 -M do -s 1402 \(Nodes.farAddress)")) != nil)
        #expect(try await nodes.onGateways[0].service.check([gateway], nodes.host.context).map(\.code) == [.ok])
    }

    /// WireGuard first, then VXLAN in its place, then WireGuard again, on all ends and with the same names.
    @Test(.enabled(if: canTunnelWireGuard, "needs wireguard-go and /dev/net/tun, or a kernel with WireGuard"))
    func aTunnelOfTheOtherKindGivesWay() async throws {
        let nodes = try await Nodes("swap")
        func wireGuard(_ node: TestNamespace, _ item: Tunnel.Desired) async throws -> Tunnel.Observed {
            let provider = try WireGuardProvider(
                host: ProviderHost(nodes.host), configuration: Data("{}".utf8), node: node.namespace)
            let result = try #require(try await provider.service.ensure([item], nodes.host.context).first)
            return try #require(result.observed, "\(result.message ?? "")")
        }
        for round in 0..<2 {
            let pod = try await wireGuard(nodes.worker, nodes.podEnd())
            #expect(pod.encrypted == true)
            _ = try await wireGuard(nodes.gateways[0], nodes.gatewayEnd(peers: [nodes.peer(pod.publicKey)]))
            try nodes.pod.shell("ip route replace \(Nodes.farAddress)/32 via inet6 fe80::1 dev wg0")
            #expect(nodes.pod.pings(Nodes.farAddress, seconds: 10), "WireGuard, round \(round)")
            let observed = try await nodes.connect()
            #expect(observed.encrypted == false)
            #expect(nodes.pod.pings(Nodes.farAddress), "VXLAN, round \(round)")
            #expect(try nodes.pod.routes.links().map(\.name).sorted() == ["lo", "wg0"])
        }
        let name = TunnelNaming.creationName(namespacePath: nodes.pod.path, link: "wg0")
        #expect(access("\(UserspaceWireGuard.socketDirectory)/\(name).sock", F_OK) != 0, "it went with its link")
    }
}

private let canTunnelWireGuard =
    (try? KernelWireGuard.isAvailable()) == true
    || UserspaceProcess.locate() != nil && access("/dev/net/tun", R_OK | W_OK) == 0
