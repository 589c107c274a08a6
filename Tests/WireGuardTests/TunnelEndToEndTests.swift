import Glibc
import LinuxNet
import ProviderKit
import Testing

@testable import WireGuardProvider

/// The provider against the kernel: namespaces, a wire between two nodes, wireguard-go, real packets.
@Suite("Tunnels end to end", .serialized, .enabled(if: canTunnel, needsTunnels))
struct TunnelEndToEndTests {
    @Test func aPodReachesTheFarSideThroughTheTunnelAndStopsWhenItsPeerIsRemoved() async throws {
        let nodes = try await TwoNodes("path")
        let expectedForm: WireGuardForm = hasKernelForm ? .kernel : .userspace
        let observed = try await nodes.connect()
        let clock = ContinuousClock()
        let start = clock.now
        #expect(observed.form == expectedForm.rawValue)
        #expect(observed.mtu == 1420)
        #expect(nodes.pod.pings(TwoNodes.farAddress))
        // The first packet in the tunnel was the test's, not the kernel's: a handshake that nobody answers costs 5 s.
        #expect(clock.now - start < .seconds(4))
        // The packets between the nodes are the tunnel's: the far address is unknown there.
        #expect(throws: ShellFailure.self) { try nodes.worker.shell("ping -c 1 -W 1 \(TwoNodes.farAddress)") }

        let status = try await nodes.onGateway.service.status([nodes.gatewayReference], nodes.host.context)
        let peer = try #require(status.first?.observed?.peers?.first)
        #expect(peer.publicKey == observed.publicKey)
        #expect(peer.receivedBytes > 0 && peer.sentBytes > 0)
        #expect(try #require(peer.lastHandshakeSeconds) < 30)

        _ = try await nodes.ensure(nodes.onGateway, nodes.gatewayEnd(peers: []))
        #expect(!nodes.pod.pings(TwoNodes.farAddress, seconds: 1))
        #expect(!(try nodes.egress.shell("ip route").contains(TwoNodes.podAddress)))

        _ = try await nodes.ensure(nodes.onGateway, nodes.gatewayEnd(peers: [nodes.peer(observed.publicKey)]))
        #expect(try nodes.egress.shell("ip route").contains("\(TwoNodes.podAddress) dev wg-6000 scope link"))
        #expect(nodes.pod.pings(TwoNodes.farAddress, seconds: 10))
        try await nodes.removeAll()
    }

    @Test func aSecondEnsureLeavesLinkProcessKeyAndSessionAlone() async throws {
        let nodes = try await TwoNodes("again")
        let first = try await nodes.connect()
        #expect(nodes.pod.pings(TwoNodes.farAddress))
        let podLink = try nodes.pod.routes.requireLink(named: "wg0").index
        let gatewayLink = try nodes.egress.routes.requireLink(named: nodes.gatewayReference.link).index
        let podProcess = try TwoNodes.process(of: nodes.podReference)
        let gatewayProcess = try TwoNodes.process(of: nodes.gatewayReference)
        let before = try await nodes.onWorker.service.status([nodes.podReference], nodes.host.context)
        // Another instance knows nothing of the first one, as after a restart.
        let restarted = try nodes.provider(on: nodes.worker)
        let second = try await nodes.ensure(restarted, nodes.podEnd())
        _ = try await nodes.connect()
        #expect(second == first)
        // A link made anew would have another index: where the kernel carries the tunnel there is no process to compare.
        #expect(try nodes.pod.routes.requireLink(named: "wg0").index == podLink)
        #expect(try nodes.egress.routes.requireLink(named: nodes.gatewayReference.link).index == gatewayLink)
        #expect(try TwoNodes.process(of: nodes.podReference) == podProcess)
        #expect(try TwoNodes.process(of: nodes.gatewayReference) == gatewayProcess)
        let after = try await nodes.onWorker.service.status([nodes.podReference], nodes.host.context)
        let counters = { (results: [ItemResult<Tunnel.Observed>]) in results.first?.observed?.peers?.first?.sentBytes }
        // A peer made anew would count from zero.
        #expect(try #require(counters(after)) >= #require(counters(before)))
        try await nodes.removeAll()
    }

    @Test func driftIsToldAndRepaired() async throws {
        let nodes = try await TwoNodes("drift")
        let (worker, gateway) = (nodes.onWorker.service, nodes.onGateway.service)
        let absent = try await worker.check([nodes.podEnd()], nodes.host.context).first
        #expect(absent?.drift == ["link wg0 does not exist"])
        let observed = try await nodes.connect()
        let end = nodes.gatewayEnd(peers: [nodes.peer(observed.publicKey)])
        #expect(try await worker.check([nodes.podEnd()], nodes.host.context).map(\.code) == [.ok])
        let faults = [
            ("ip route del \(TwoNodes.podAddress)/32", "route \(TwoNodes.podAddress)/32 is missing"),
            ("ip route add 10.9.9.0/24 dev wg-6000", "route 10.9.9.0/24 is not wanted"),
            ("ip link set wg-6000 mtu 1300", "MTU is not 1420"),
            ("ip addr del fe80::1/64 dev wg-6000", "address fe80::1/64 is missing"),
            ("ip link set wg-6000 down", "it is down"), ("ip link del wg-6000", "does not exist"),
        ]
        for (command, difference) in faults {
            try nodes.egress.shell(command)
            let before = try nodes.egress.shell("ip -d addr")
            let check = try #require(try await gateway.check([end], nodes.host.context).first)
            #expect(
                check.code == .conflict && check.drift?.contains { $0.contains(difference) } == true,
                "\(command): \(check.drift ?? [])")
            #expect(try nodes.egress.shell("ip -d addr") == before, "check changes nothing")
            _ = try await nodes.ensure(nodes.onGateway, end)
            let after = try await gateway.check([end], nodes.host.context)
            #expect(after.map(\.code) == [.ok], "\(command): \(after.first?.drift ?? [])")
        }
        // A peer more, and another one's key.
        let stranger = try WireGuardPrivateKey.generate().publicKey
        let other = try #require(try await gateway.check([nodes.gatewayEnd(peers: [])], nodes.host.context).first)
        #expect(other.drift?.first == "link wg-6000: peer \(observed.publicKey) is not wanted")
        let wanted = nodes.gatewayEnd(peers: [nodes.peer(stranger.description)])
        let missing = try #require(try await gateway.check([wanted], nodes.host.context).first)
        #expect(missing.drift?.contains("link wg-6000: peer \(stranger) is not as wanted") == true)
        try await nodes.removeAll()
    }

    @Test(.enabled(if: hasProcesses, needsProcesses))
    func removeLeavesNoProcessLinkOrSocket() async throws {
        let nodes = try await TwoNodes("gone")
        _ = try await nodes.connect()
        let process = try #require(try TwoNodes.process(of: nodes.podReference))
        for reference in [nodes.podReference, nodes.gatewayReference] {
            #expect(TwoNodes.socketExists(reference))
        }
        try await nodes.removeAll()
        for (reference, place) in [(nodes.podReference, nodes.pod), (nodes.gatewayReference, nodes.egress)] {
            #expect(try TwoNodes.process(of: reference) == nil)
            #expect(!TwoNodes.socketExists(reference))
            #expect(try place.routes.links().map(\.name) == ["lo"])
        }
        // Neither running nor a zombie.
        #expect(kill(process, 0) == -1 && errno == ESRCH)
        // Again, and with the namespace gone: absent is success.
        try await nodes.removeAll()
        try nodes.pod.namespace.delete()
        let results = try await nodes.onWorker.service.remove([nodes.podReference], nodes.host.context)
        #expect(results.map(\.code) == [.ok])
    }

    @Test(.enabled(if: hasProcesses, needsProcesses))
    func aKilledProcessIsReplacedAndADeadSocketIsNoObstacle() async throws {
        let nodes = try await TwoNodes("killed")
        let observed = try await nodes.connect()
        #expect(nodes.pod.pings(TwoNodes.farAddress))
        let process = try #require(try TwoNodes.process(of: nodes.gatewayReference))
        #expect(kill(process, SIGKILL) == 0)
        while try TwoNodes.process(of: nodes.gatewayReference) != nil { usleep(1000) }
        #expect(TwoNodes.socketExists(nodes.gatewayReference))
        _ = try await nodes.connect()
        #expect(try TwoNodes.process(of: nodes.gatewayReference) != process)
        // The pod's end was not touched; its next handshake comes by the watcher or by WireGuard itself.
        #expect(try await nodes.ensure(nodes.onWorker, nodes.podEnd()).publicKey == observed.publicKey)
        #expect(nodes.pod.pings(TwoNodes.farAddress, seconds: 20))
        try await nodes.removeAll()
    }

    @Test func aChangedEndpointIsFollowed() async throws {
        let nodes = try await TwoNodes("endpoint")
        let observed = try await nodes.ensure(nodes.onWorker, nodes.podEnd(port: 6009))
        _ = try await nodes.ensure(nodes.onGateway, nodes.gatewayEnd(peers: [nodes.peer(observed.publicKey)]))
        try nodes.pod.shell("ip route replace \(TwoNodes.farAddress)/32 via inet6 fe80::1 dev wg0")
        #expect(!nodes.pod.pings(TwoNodes.farAddress, seconds: 1))
        let moved = try await nodes.ensure(nodes.onWorker, nodes.podEnd(port: TwoNodes.port))
        #expect(moved == observed)
        #expect(nodes.pod.pings(TwoNodes.farAddress, seconds: 10))
        try await nodes.removeAll()
    }

    @Test func pruneRemovesWhatIsNotListedAndNothingElse() async throws {
        let nodes = try await TwoNodes("prune")
        _ = try await nodes.connect()
        _ = try await nodes.ensure(nodes.onGateway, nodes.gatewayEnd(peers: [], port: 6001))
        try nodes.egress.routes.createBridge(name: "host0")
        let results = try await nodes.onGateway.service.prune(
            keeping: [nodes.gatewayReference], namespaces: [nodes.egress.path], nodes.host.context)
        #expect(results.map(\.code) == [.ok])
        #expect(Set(try nodes.egress.routes.links().map(\.name)) == ["lo", "host0", "wg-6000"])
        #expect(nodes.pod.pings(TwoNodes.farAddress))
        try await nodes.removeAll()
    }

    @Test(.enabled(if: hasProcesses, needsProcesses))
    func aProcessEndsWithItsNamespaceAndIsReaped() async throws {
        let nodes = try await TwoNodes("reaped")
        let short = try NetworkNamespace(name: "kegwt-wg-short-\(getpid())")
        try short.create()
        let item = Tunnel.Desired(
            id: "pod", namespace: short.path, link: "wg0", addresses: [], pod: try #require(nodes.podEnd().pod))
        _ = try await nodes.ensure(nodes.onWorker, item)
        let reference = Tunnel.Reference(id: "pod", namespace: short.path, link: "wg0")
        let process = try #require(try TwoNodes.process(of: reference))
        try short.delete()
        // The watcher's tick is one second.
        for _ in 0..<80 where kill(process, 0) == 0 { try await Task.sleep(for: .milliseconds(100)) }
        #expect(kill(process, 0) == -1 && errno == ESRCH)
        #expect(!TwoNodes.socketExists(reference))
    }
}
