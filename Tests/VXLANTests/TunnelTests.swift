import Glibc
import LinuxNet
import ProviderKit
import Testing

@testable import VXLANProvider

/// The provider against the kernel: namespaces, wires between nodes, real packets.
@Suite("VXLAN tunnels", .serialized, .enabled(if: canTunnel, needsVXLAN))
struct TunnelTests {
    @Test func aPodSpeaksThroughEitherGatewayBothWays() async throws {
        let nodes = try await Nodes("path")
        let observed = try await nodes.connect()
        #expect(observed.form == "kernel" && observed.encrypted == false && observed.mtu == 1450)
        let key = try PodKey(parsing: observed.publicKey)
        #expect(key.host.description == Nodes.workerAddress && VXLANSettings().portRange.contains(key.port))
        let data = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for index in 0..<2 {
            try nodes.chooseGateway(index)
            let far = nodes.egress[index]
            let before = try nodes.packets("rx", of: "wg-6000", in: far)
            #expect(nodes.pod.pings(Nodes.farAddress), "ICMP from the pod through gateway \(index)")
            #expect(far.pings(Nodes.podAddress), "ICMP to the pod through gateway \(index)")
            for (isStream, bytes) in [(true, data), (false, Array(data.prefix(1400)))] {
                let out = try Conversation.echo(
                    bytes, from: nodes.pod.namespace, to: far.namespace, Nodes.farAddress, port: 7001,
                    isStream: isStream)
                #expect(out.isWhole && out.seen == Nodes.podAddress)
                let back = try Conversation.echo(
                    bytes, from: far.namespace, to: nodes.pod.namespace, Nodes.podAddress, port: 7002,
                    isStream: isStream)
                #expect(back.isWhole)
            }
            #expect(try nodes.packets("rx", of: "wg-6000", in: far) > before + 10)
        }
        // A full-size packet passes whole, one more byte does not: the MTU is right.
        #expect((try? nodes.pod.shell("ping -c 1 -W 1 -M do -s 1422 \(Nodes.farAddress)")) != nil)
        #expect(throws: ShellFailure.self) { try nodes.pod.shell("ping -c 1 -W 1 -M do -s 1423 \(Nodes.farAddress)") }
        // The packets between the nodes are the tunnel's: the far address is unknown there.
        #expect(throws: ShellFailure.self) { try nodes.worker.shell("ping -c 1 -W 1 \(Nodes.farAddress)") }
    }

    /// The load balancer tells flows apart by addresses and ports: a pod must be one flow.
    @Test func aPodIsOneFlowOutside() async throws {
        let nodes = try await Nodes("flow")
        let key = try PodKey(parsing: try await nodes.connect().publicKey)
        let table = "table netdev t { chain c { type filter hook ingress device eth0 priority 0; udp dport 6000 "
        let rules =
            table + "ip saddr \(Nodes.workerAddress) udp sport \(key.port) counter; udp dport 6000 counter; }; }"
        try nodes.gateways[0].shell("nft '\(rules)'")
        for port in 0..<8 as Range<UInt16> {
            let result = try Conversation.echo(
                [1, 2, 3], from: nodes.pod.namespace, to: nodes.egress[0].namespace, Nodes.farAddress,
                port: 7100 + port, isStream: true)
            #expect(result.isWhole)
        }
        let counters = try nodes.gateways[0].shell("nft list table netdev t").split(separator: "\n")
            .compactMap { $0.split(separator: "packets ").dropFirst().first?.prefix { $0 != " " } }
        #expect(counters.count == 2 && counters[0] == counters[1] && counters[0] != "0", "\(counters)")
    }

    @Test func whatIsNotListedGoesAndComesBackWithTheList() async throws {
        let nodes = try await Nodes("full")
        let observed = try await nodes.connect()
        let other = try await TestNamespace("full-p2")
        let second = try await nodes.ensure(
            nodes.onWorker, nodes.podEnd("second", in: other, address: "10.244.9.3"))
        try other.shell("ip route replace \(Nodes.farAddress)/32 via inet6 fe80::1 dev wg0")
        #expect(second.publicKey != observed.publicKey)
        let both = [
            nodes.peer(observed.publicKey),
            nodes.peer(second.publicKey, "default/second", addresses: ["10.244.9.3/32"]),
        ]
        // Not known to the gateway yet: what it sends is dropped, not forwarded with a source nobody can answer.
        #expect(!other.pings(Nodes.farAddress, seconds: 1))
        _ = try await nodes.ensure(nodes.onGateways[0], nodes.gatewayEnd(peers: both))
        #expect(nodes.pod.pings(Nodes.farAddress) && other.pings(Nodes.farAddress))
        _ = try await nodes.ensure(nodes.onGateways[0], nodes.gatewayEnd(peers: [both[1]]))
        #expect(other.pings(Nodes.farAddress))
        #expect(!nodes.pod.pings(Nodes.farAddress, seconds: 1))
        let tables = try nodes.egress[0].tables("wg-6000")
        let station = try PodKey(parsing: observed.publicKey).hardwareAddress.description
        #expect(!tables.contains(station) && !tables.contains(Nodes.podAddress))
        _ = try await nodes.ensure(nodes.onGateways[0], nodes.gatewayEnd(peers: both))
        #expect(nodes.pod.pings(Nodes.farAddress))
    }

    @Test func aPodCannotSpeakWithAnAddressThatIsNotAnybodysBehindTheLink() async throws {
        let nodes = try await Nodes("source")
        // What many machines have, and new namespaces inherit.
        try nodes.egress[0].shell("sh -c 'echo 2 >/proc/sys/net/ipv4/conf/all/rp_filter'")
        _ = try await nodes.connect()
        try nodes.pod.shell("ip addr add 192.0.2.99/32 dev wg0")
        try nodes.egress[0].shell("ip route add 192.0.2.99/32 dev lo")
        let egress = nodes.egress[0]
        try egress.shell(
            "nft 'table ip t { chain c { type filter hook input priority 0; ip saddr 192.0.2.99 counter; }; }'")
        #expect(throws: ShellFailure.self) {
            try nodes.pod.shell("ping -c 2 -i 0.2 -W 0.3 -I 192.0.2.99 \(Nodes.farAddress)")
        }
        #expect(try egress.shell("nft list table ip t").contains("counter packets 0"))
    }

    @Test func aSecondEnsureChangesNothing() async throws {
        let nodes = try await Nodes("again")
        let first = try await nodes.connect()
        let places = [(nodes.pod, "wg0"), (nodes.egress[0], "wg-6000")]
        let before = try places.map { try $0.0.tables($0.1) }
        #expect(before[0].contains("vxlan id") && before[0].contains("NOARP"))
        let monitors = try [nodes.pod, nodes.egress[0]].map { try ChangeMonitor(in: $0.namespace) }
        let restarted = try Nodes.provider(nodes.host, "{}", on: nodes.worker)
        #expect(try await nodes.ensure(restarted, nodes.podEnd()) == first)
        let again = try Nodes.provider(nodes.host, "{}", on: nodes.gateways[0])
        _ = try await nodes.ensure(again, nodes.gatewayEnd(peers: [nodes.peer(first.publicKey)]))
        #expect(try await nodes.onWorker.service.check([nodes.podEnd()], nodes.host.context).map(\.code) == [.ok])
        #expect(monitors.map { $0.messages() } == [0, 0])
        #expect(try places.map { try $0.0.tables($0.1) } == before)
        try nodes.egress[0].shell("bridge fdb add 02:00:00:00:00:99 dev wg-6000 dst 10.243.4.9 self permanent")
        #expect(monitors[1].messages() > 0, "the monitor does hear changes")
    }

    @Test func aThousandPeersAreOneBatchAndADelta() async throws {
        let nodes = try await Nodes("many")
        func peers(_ range: Range<Int>) throws -> [Tunnel.Peer] {
            try range.map { number in
                let station = MACAddress(bytes: [2, 0, 0, 0, UInt8(number >> 8), UInt8(number & 255)])
                let key = PodKey(
                    host: IPAddress(ipv4: 0x0af3_0400 + UInt32(number % 200)), port: 20_000 + UInt16(number),
                    hardwareAddress: try #require(station))
                return nodes.peer(
                    key.text, "default/pod-\(number)",
                    addresses: ["10.245.\(number >> 8).\(number & 255)/32"])
            }
        }
        let clock = ContinuousClock()
        let full = try await clock.measure {
            _ = try await nodes.ensure(nodes.onGateways[0], nodes.gatewayEnd(peers: try peers(0..<1000)))
        }
        #expect(full < .seconds(5))
        func count(_ command: String, _ needle: String) throws -> Int {
            try nodes.egress[0].shell(command).split(separator: "\n").filter { $0.contains(needle) }.count
        }
        #expect(try count("bridge fdb show dev wg-6000", "permanent") == 1000)
        #expect(try count("ip -6 neigh show dev wg-6000", "PERMANENT") == 1000)
        #expect(try count("ip -4 route show dev wg-6000", "10.245.") == 1000)
        _ = try await nodes.ensure(nodes.onGateways[0], nodes.gatewayEnd(peers: try peers(1..<1001)))
        #expect(try count("ip -4 route show dev wg-6000", "10.245.") == 1000)
        #expect(try count("ip -4 route show dev wg-6000", "10.245.0.0 ") == 0)
        #expect(try count("bridge fdb show dev wg-6000", "permanent") == 1000)
    }

    @Test func removeAndPruneTakeWhatIsOursAndNothingElse() async throws {
        let nodes = try await Nodes("gone")
        _ = try await nodes.connect()
        _ = try await nodes.ensure(nodes.onGateways[0], nodes.gatewayEnd(peers: [], port: 6001))
        // A VXLAN link of somebody else.
        try nodes.egress[0].shell("ip link add theirs type vxlan id 9 dstport 4789")
        try nodes.gateways[0].shell("ip link add egw0123456789ab type vxlan id 10 dstport 4790")
        let kept = nodes.reference(nodes.gatewayEnd(peers: []))
        let results = try await nodes.onGateways[0].service.prune(
            keeping: [kept], namespaces: [nodes.egress[0].path, "/run/netns/kegwt-vx-none"], nodes.host.context)
        #expect(results.map(\.code) == [.ok])
        #expect(Set(try nodes.egress[0].routes.links().map(\.name)) == ["lo", "wg-6000", "theirs"])
        #expect(try nodes.gateways[0].routes.link(named: "egw0123456789ab") == nil, "a link that was never finished")
        let status = try await nodes.onGateways[0].service.status([kept], nodes.host.context)
        #expect(status.first?.observed?.publicKey == nodes.gatewayKey.publicKey.description)
        #expect(status.first?.observed?.encrypted == false)
        let theirs = Tunnel.Reference(id: "theirs", namespace: nodes.egress[0].path, link: "theirs")
        for _ in 0..<2 {
            let removed = try await nodes.onGateways[0].service.remove([kept, theirs], nodes.host.context)
            #expect(removed.map(\.code) == [.ok, .ok])
        }
        #expect(Set(try nodes.egress[0].routes.links().map(\.name)) == ["lo", "theirs"])
        #expect(try await nodes.onGateways[0].service.status([kept], nodes.host.context) == [.ok(kept.id, nil)])
    }

    @Test func driftIsToldAndRepaired() async throws {
        let nodes = try await Nodes("drift")
        let observed = try await nodes.connect()
        let gateway = nodes.gatewayEnd(peers: [nodes.peer(observed.publicKey)])
        let station = try PodKey(parsing: observed.publicKey).hardwareAddress
        let place = nodes.egress[0]
        let faults = [
            ("ip route del \(Nodes.podAddress)/32", "route \(Nodes.podAddress)/32"),
            ("ip -6 neigh del \(station.linkLocalAddress) dev wg-6000", "neighbour \(station.linkLocalAddress)"),
            ("bridge fdb replace \(station) dev wg-6000 dst 10.243.4.9 self permanent", "forwarding of \(station)"),
            ("ip route add 10.9.9.0/24 dev wg-6000", "route 10.9.9.0/24"),
            ("sh -c 'echo 2 >/proc/sys/net/ipv4/conf/all/rp_filter'", "it takes any source"),
            ("sh -c 'echo 0 >/proc/sys/net/ipv4/conf/wg-6000/rp_filter'", "it takes any source"),
            ("ip link set wg-6000 mtu 1300", "MTU is not 1450"), ("ip link set wg-6000 arp on", "resolves neighbours"),
            ("ip addr del fe80::1/64 dev wg-6000", "address fe80::1/64 is missing"),
            ("ip link set wg-6000 down", "it is down"), ("ip link del wg-6000", "does not exist"),
        ]
        for (command, difference) in faults {
            try place.shell(command)
            let before = try place.shell("ip -d addr")
            let check = try #require(try await nodes.onGateways[0].service.check([gateway], nodes.host.context).first)
            #expect(
                check.code == .conflict && check.drift?.contains { $0.contains(difference) } == true,
                "\(check.message ?? "")")
            #expect(try place.shell("ip -d addr") == before, "check changes nothing")
            _ = try await nodes.ensure(nodes.onGateways[0], gateway)
            let after = try await nodes.onGateways[0].service.check([gateway], nodes.host.context)
            #expect(after.map(\.code) == [.ok], "\(command): \(after.first?.message ?? "")")
            #expect(nodes.pod.pings(Nodes.farAddress), "after \(command)")
        }
        try nodes.pod.shell(
            "bridge fdb del \(try #require(GatewayIdentity(nodes.gatewayKey.publicKey)).hardwareAddress) dev wg0")
        #expect(!nodes.pod.pings(Nodes.farAddress, seconds: 1))
        #expect(try await nodes.onWorker.service.check([nodes.podEnd()], nodes.host.context).map(\.code) == [.conflict])
        #expect(try await nodes.ensure(nodes.onWorker, nodes.podEnd()) == observed)
        #expect(nodes.pod.pings(Nodes.farAddress))
    }
}
