import Glibc
import LinuxNet
import Logging
import Testing

@testable import Lab

/// The fabric in real namespaces; needs root. What a socket saw is what counts.
@Suite(.serialized, .enabled(if: getuid() == 0, "needs root"))
struct FabricLiveTests {
    private static let prefix = "kegwft"

    @Test(.timeLimit(.minutes(1)))
    func packetsFollowTheTopologyAndTheHealthOfTheBackends() async throws {
        let nodes = FabricExample.nodes(prefix: Self.prefix)
        let configuration = FabricExample.configuration(prefix: Self.prefix)
        let names = nodes.map(\.namespace) + [configuration.namespace, configuration.internetNamespace]
        defer { for name in names { _ = try? NetworkNamespace(name: name).delete() } }
        for name in names { try NetworkNamespace(name: name).delete() }

        let fabric = try Fabric(configuration: configuration, logger: Logger(label: "fabric-test"))
        try await fabric.wire(nodes: nodes)
        let (topologies, continuation) = AsyncStream.makeStream(of: AzureTopology.self)
        let running = Task { try await fabric.run(topologies: topologies) }
        defer { running.cancel() }

        let worker = try NetworkNamespace(name: nodes[0].namespace)
        let gateways = try nodes[1...].map { try NetworkNamespace(name: $0.namespace) }
        for (gateway, node) in zip(gateways, nodes[1...]) { try await Self.takeFrontend(gateway, answering: node.name) }
        let internet = try NetworkNamespace(name: configuration.internetNamespace)
        let web = try await internet.run { try TestServers.startSourceEcho(port: 80) }
        defer { web.stop() }

        // Everything without an address of its own leaves with the ordinary one.
        #expect(try await Self.sourceSeen(from: worker, boundTo: "10.243.4.4") == "192.0.2.10")

        // No health, no packet.
        continuation.yield(FabricExample.topology())
        try await Task.sleep(for: .milliseconds(300))
        #expect(try await Self.answers(worker, ports: 9000..<9003).isEmpty)

        let first = try await gateways[0].run { try TestServers.startHealth(port: 8082) }
        let second = try await gateways[1].run { try TestServers.startHealth(port: 8082) }
        defer { second.stop() }
        try await Self.waitForHealth(fabric, ["gateway-1", "gateway-2"])
        let spread = try await Self.answers(worker, ports: 9100..<9116)
        #expect(spread.count == 16)
        #expect(Set(spread.values) == ["gateway-1", "gateway-2"], "16 flows hash to both backends")
        #expect(try await Self.answers(worker, ports: 9100..<9116) == spread, "a flow stays where it is")

        first.stop()
        try await Self.waitForHealth(fabric, ["gateway-2"])
        let moved = try await Self.answers(worker, ports: 9100..<9116)
        #expect(moved.count == 16 && Set(moved.values) == ["gateway-2"], "flows leave an unhealthy backend")

        // A secondary address leaves with its public one, and a strange address not at all.
        try await gateways[0].run { try Self.addAddress("10.243.0.7") }
        #expect(try await Self.sourceSeen(from: gateways[0], boundTo: "10.243.0.7") == "203.0.113.8")
        try await gateways[0].run { try Self.addAddress("10.243.0.99") }
        #expect(try await Self.sourceSeen(from: gateways[0], boundTo: "10.243.0.99") == nil)

        // A pulled cable counts as unhealthy, and with nobody healthy nothing gets through.
        try await fabric.setLink(of: "gateway-2", isUp: false)
        try await Self.waitForHealth(fabric, [])
        #expect(try await Self.answers(worker, ports: 9100..<9102).isEmpty)
    }

    // MARK: - Help

    private static func takeFrontend(_ gateway: NetworkNamespace, answering name: String) async throws {
        try await gateway.run {
            try addAddress("10.243.0.6")
            try TestServers.startDatagramAnswer(address: "10.243.0.6", port: 6000, text: name)
        }
    }

    private static func addAddress(_ text: String) throws {
        let socket = try RouteSocket()
        let link = try socket.requireLink(named: "eth0")
        try socket.ensureAddress(InterfaceAddress(IPAddress(parsing: text), linkIndex: link.index))
    }

    private static func answers(_ worker: NetworkNamespace, ports: Range<UInt16>) async throws -> [UInt16: String] {
        try await worker.run { try TestServers.ask("10.243.0.6", port: 6000, from: ports) }
    }

    private static func sourceSeen(from namespace: NetworkNamespace, boundTo source: String) async throws -> String? {
        try await namespace.run { try TestServers.fetch("198.51.100.9", port: 80, from: source) }
    }

    private static func waitForHealth(_ fabric: Fabric, _ expected: Set<String>) async throws {
        for _ in 0..<100 {
            if Set(await fabric.health().filter(\.isHealthy).map(\.node)) == expected { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        Issue.record("health is \(await fabric.health()), expected \(expected)")
    }
}
