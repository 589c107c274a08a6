import Glibc
import LinuxNet
import ProviderKit
import Testing

@testable import WireGuardProvider

/// What happens when something is wrong, with real processes and packets.
@Suite("Tunnel faults", .serialized, .enabled(if: canTunnel, needsTunnels))
struct TunnelFaultTests {
    @Test func itemsOfABatchFailAloneAndLeaveNothing() async throws {
        let nodes = try await TwoNodes("alone")
        var missing = nodes.gatewayEnd(peers: [], namespace: "/run/netns/kegwt-wg-none", port: 6002)
        missing.id = "missing"
        var taken = nodes.gatewayEnd(peers: [], port: 6003)
        taken.id = "taken"
        taken.link = "wg-other"
        try nodes.egress.routes.createBridge(name: "wg-other")
        // A socket of somebody else's on the port, as one that listens in the node's namespace.
        var busy = nodes.gatewayEnd(peers: [], port: 6004)
        busy.id = "busy"
        let socket = try nodes.gateway.namespace.runBlocking { try boundSocket(port: 6004) }
        defer { close(socket) }
        var malformed = nodes.gatewayEnd(peers: [], port: 6005)
        malformed.id = "malformed"
        malformed.gateway?.privateKey = "secret-that-is-no-key"
        let good = nodes.gatewayEnd(peers: [])
        let results = try await nodes.onGateway.service.ensure(
            [missing, taken, busy, malformed, good], nodes.host.context)
        #expect(results.map(\.id) == ["missing", "taken", "busy", "malformed", "gateway"])
        #expect(results.map(\.code) == [.retry, .terminal, .retry, .invalid, .ok])
        #expect(results[0].message?.contains("/run/netns/kegwt-wg-none does not exist") == true)
        #expect(results[1].message?.contains("wg-other") == true)
        #expect(results[2].message?.contains("Address already in use") == true, "\(results[2].message ?? "")")
        #expect(results[3].message?.contains("gateway.privateKey") == true)
        #expect(results.allSatisfy { $0.message?.contains("secret-that-is-no-key") != true })
        for item in [missing, taken, busy, malformed] {
            let reference = Tunnel.Reference(id: item.id, namespace: item.namespace, link: item.link)
            #expect(try TwoNodes.process(of: reference) == nil)
            #expect(!TwoNodes.socketExists(reference))
        }
        #expect(try nodes.gateway.routes.links().map(\.name).sorted() == ["eth0", "lo"])
        #expect(Set(try nodes.egress.routes.links().map(\.name)) == ["lo", "wg-6000", "wg-other"])
        try await nodes.removeAll()
    }

    @Test(.enabled(if: hasProcesses, needsProcesses))
    func aBinaryThatEndsAtOnceIsReportedAndLeavesNothing() async throws {
        let nodes = try await TwoNodes("binary", configuration: #"{"form":"userspace","userspaceBinary":"/bin/false"}"#)
        let error = await #expect(throws: ProviderError.self) {
            _ = try await nodes.ensure(nodes.onWorker, nodes.podEnd())
        }
        #expect(error?.message.contains("/bin/false") == true)
        #expect(error?.message.contains("exited with status 1") == true)
        #expect(try nodes.pod.routes.links().map(\.name) == ["lo"])
        #expect(!TwoNodes.socketExists(nodes.podReference))
    }

    /// As after a cancelled call: its work goes on while the removal comes.
    @Test(.enabled(if: hasProcesses, needsProcesses))
    func aRemovalThatComesDuringAnEnsureLeavesNothing() async throws {
        let nodes = try await TwoNodes("overtake", configuration: #"{"form":"userspace"}"#)
        let desired = nodes.podEnd()
        let making = Task { try await nodes.onWorker.service.ensure([desired], nodes.host.context) }
        while !TwoNodes.socketExists(nodes.podReference) { try await Task.sleep(for: .milliseconds(1)) }
        let removed = try await nodes.onWorker.service.remove([nodes.podReference], nodes.host.context)
        #expect(removed.map(\.code) == [.ok])
        #expect(try await making.value.map(\.code) == [.ok])
        #expect(try nodes.pod.routes.links().map(\.name) == ["lo"])
        #expect(!TwoNodes.socketExists(nodes.podReference))
        #expect(try TwoNodes.process(of: nodes.podReference) == nil)
    }

    /// A load balancer that moves a flow gives it to a gateway without the session. Here the gateway's end is made anew
    /// instead: the same key and port, and no session. WireGuard alone needs 15 s to notice.
    @Test func aPodFollowsItsFlowToAGatewayThatDoesNotKnowIt() async throws {
        let nodes = try await TwoNodes("failover", configuration: #"{"stallSeconds":3}"#)
        let observed = try await nodes.connect()
        #expect(nodes.pod.pings(TwoNodes.farAddress))
        _ = try await nodes.onGateway.service.remove([nodes.gatewayReference], nodes.host.context)
        _ = try await nodes.ensure(nodes.onGateway, nodes.gatewayEnd(peers: [nodes.peer(observed.publicKey)]))
        let clock = ContinuousClock()
        let start = clock.now
        #expect(nodes.pod.pings(TwoNodes.farAddress, seconds: 20))
        let elapsed = clock.now - start
        #expect(elapsed < .seconds(8), "answered again after \(elapsed)")
        #expect(nodes.host.log.contains { $0.contains("shaking hands anew") })
        // The pod's key is the one it had.
        #expect(try await nodes.ensure(nodes.onWorker, nodes.podEnd()).publicKey == observed.publicKey)
        #expect(nodes.host.log.allSatisfy { !$0.contains(nodes.gatewayKey.exportBase64()) })
        try await nodes.removeAll()
    }

    @Test func aPodThatSpeaksBeforeItsGatewayKnowsItWaitsAboutASecond() async throws {
        let nodes = try await TwoNodes("early")
        let observed = try await nodes.ensure(nodes.onWorker, nodes.podEnd())
        _ = try await nodes.ensure(nodes.onGateway, nodes.gatewayEnd(peers: []))
        try nodes.pod.shell("ip route replace \(TwoNodes.farAddress)/32 via inet6 fe80::1 dev wg0")
        #expect(!nodes.pod.pings(TwoNodes.farAddress, seconds: 1))
        _ = try await nodes.ensure(nodes.onGateway, nodes.gatewayEnd(peers: [nodes.peer(observed.publicKey)]))
        let clock = ContinuousClock()
        let start = clock.now
        #expect(nodes.pod.pings(TwoNodes.farAddress))
        // Without the watcher: the rest of WireGuard's 5 s.
        #expect(clock.now - start < .seconds(3.5), "\(clock.now - start)")
        try await nodes.removeAll()
    }

    @Test func aBatchOfTunnelsIsMadeInParallel() async throws {
        let nodes = try await TwoNodes("batch")
        let items = (0..<8).map { number in
            var item = nodes.gatewayEnd(peers: [], port: 6100 + number)
            item.id = "\(number)"
            return item
        }
        let results = try await nodes.onGateway.service.ensure(items, nodes.host.context)
        #expect(results.map(\.code) == items.map { _ in .ok })
        let listening = try nodes.gateway.shell("ss -Hlun")
        for item in items { #expect(listening.contains(":\(item.gateway?.port ?? 0) ")) }
        let removed = try await nodes.onGateway.service.prune(
            keeping: [], namespaces: [nodes.egress.path], nodes.host.context)
        #expect(removed.map(\.code) == items.map { _ in .ok })
        #expect(try nodes.egress.routes.links().map(\.name) == ["lo"])
    }
}

/// A UDP socket on all IPv4 addresses.
private func boundSocket(port: UInt16) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    let code = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    try #require(code == 0)
    return descriptor
}
