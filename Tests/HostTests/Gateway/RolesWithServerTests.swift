import AsyncHTTPClient
import Foundation
import Glibc
import Kubernetes
import Lab
import LinuxNet
import Logging
import NIOCore
import NIOHTTP1
import ProviderKit
import Reconcile
import Testing
import Yams

@testable import Host

/// Both roles on one API server over HTTP: the node's side of an attachment must reach the gateway's kernel.
@Suite("Roles with an API server", .enabled(if: getuid() == 0, "needs root"), .serialized)
struct RolesWithServerTests {
    /// An API server with our kinds, and a client of it.
    private struct Cluster {
        let folder: String
        let client: KubernetesClient
        /// Of the roles, each with the rights that the manifests give it, and no others.
        let gateway: KubernetesClient
        let node: KubernetesClient
        let nodeEvents: EventRecorder
        let events: EventRecorder
        let logger: Logger

        func put<Resource: KubernetesResource>(_ object: Resource, status: Bool = true) async throws {
            var stored = try await client.create(object)
            guard status else { return }
            let metadata = stored.metadata
            stored = object
            stored.metadata = metadata
            _ = try await client.updateStatus(stored)
        }
    }

    private func withCluster(
        gatewayRights: RolePolicy? = nil, nodeRights: RolePolicy? = nil,
        _ body: @escaping @Sendable (Cluster) async throws -> Void
    ) async throws {
        let folder = NSTemporaryDirectory() + "kegwt-ro-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var logger = Logger(label: "test")
        logger.logLevel = .error
        var configuration = EmbeddedAPIServer.Configuration(storagePath: folder + "/storage")
        configuration.guardedSockets = [
            .init(path: folder + "/gateway.sock") { gatewayRights?.allows($0) ?? true },
            .init(path: folder + "/node.sock") { nodeRights?.allows($0) ?? true },
        ]
        let server = try EmbeddedAPIServer(configuration: configuration, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { [logger] group in
            group.addTask { try await server.run() }
            let port = try #require(await server.boundPort)
            try await Self.defineKinds(port)
            let client = try KubernetesClient(
                configuration: ClientConfiguration(server: "http://127.0.0.1:\(port)"), logger: logger)
            let roles = try ["gateway", "node"].map { role in
                let socket = EmbeddedAPIServer.Endpoint.unixSocket(path: "\(folder)/\(role).sock")
                return try KubernetesClient(
                    configuration: ClientConfiguration(server: socket.serverURL), logger: logger)
            }
            let result: Result<Void, any Error>
            do {
                try await body(
                    Cluster(
                        folder: folder, client: client, gateway: roles[0], node: roles[1],
                        nodeEvents: EventRecorder(client: roles[1], component: "test", logger: logger),
                        events: EventRecorder(client: roles[0], component: "test", logger: logger), logger: logger))
                result = .success(())
            } catch {
                result = .failure(error)
            }
            for client in roles + [client] { try await client.shutdown() }
            group.cancelAll()
            while await group.nextResult() != nil {}
            try result.get()
        }
    }

    private static func defineKinds(_ port: Int) async throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../deploy/crds")
        for name in try FileManager.default.contentsOfDirectory(atPath: root.path) where name.hasSuffix(".yaml") {
            let text = try String(contentsOf: root.appending(path: name), encoding: .utf8)
            let object = try #require(try Yams.load(yaml: text))
            var request = HTTPClientRequest(
                url: "http://127.0.0.1:\(port)/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
            request.method = .POST
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: try JSONSerialization.data(withJSONObject: object)))
            let status = try await HTTPClient.shared.execute(request, timeout: .seconds(5)).status
            try #require(status == .created, "\(name): \(status)")
        }
    }

    private static func populate(_ cluster: Cluster) async throws {
        for name in ["team-a", "kube-egress-gateway-system"] {
            try await cluster.put(Namespace(metadata: ObjectMeta(name: name)), status: false)
        }
        for name in [Fixture.node, "worker-1"] {
            try await cluster.put(Node(metadata: ObjectMeta(name: name)), status: false)
        }
        try await cluster.put(
            Secret(
                metadata: ObjectMeta(name: "sgw-uid-gw-a", namespace: "kube-egress-gateway-system"),
                data: ["PrivateKey": Data(Fixture.key(5).utf8)]), status: false)
        var configuration = Fixture.configuration("gw-a")
        configuration.metadata = ObjectMeta(name: "gw-a", namespace: "team-a")
        try await cluster.put(configuration)
        try await cluster.put(Fixture.machines("gw-a"))
        try await cluster.put(Self.pod("gw-a"), status: false)
    }

    private static func pod(_ gateway: String) -> Pod {
        var pod = NodeTestbed.pod(uid: "", annotations: [CNIRequestHandler.annotation: gateway])
        pod.spec = PodSpec(nodeName: "worker-1", containers: [Container(name: "main", image: "none")])
        return pod
    }

    private static func eventually(_ what: Comment, _ condition: () async throws -> Bool) async throws {
        let end = ContinuousClock.now.advanced(by: .seconds(10))
        while ContinuousClock.now < end {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record(what)
    }

    private static func probe(_ port: Int, _ uid: String) async -> UInt {
        let request = HTTPClientRequest(url: "http://127.0.0.1:\(port)/gw/\(uid)")
        return (try? await HTTPClient.shared.execute(request, timeout: .seconds(1)).status.code) ?? 0
    }

    @Test("an attached pod is a peer of the gateway when ADD answers; everything goes with its objects")
    func wholePath() async throws {
        let bed = try await GatewayTestbed("roles")
        defer { try? bed.close() }
        let gatewayRights = try RolePolicy(serviceAccount: "kube-egress-gateway-daemon-manager")
        let nodeRights = try RolePolicy(serviceAccount: "kube-egress-gateway-cni-manager")
        try await withCluster(gatewayRights: gatewayRights, nodeRights: nodeRights) { cluster in
            try await Self.populate(cluster)
            var settings = GatewaySettings()
            settings.networkNamespace = URL(filePath: bed.gateway.path).lastPathComponent
            settings.gatewayProbePort = Int.random(in: 30_000...60_000)
            settings.drainSeconds = 1
            let port = settings.gatewayProbePort
            let gateway = GatewayRole(
                nodeName: Fixture.node, nodeNamespace: bed.node, configuration: settings, client: cluster.gateway,
                tunnel: bed.tunnel, events: cluster.events, logger: cluster.logger)
            var nodeSettings = NodeSettings()
            nodeSettings.socketPath = cluster.folder + "/run/cni.sock"
            nodeSettings.cniConfigurationDirectory = cluster.folder
            let tunnel = FakeCapability<Tunnel>(make: {
                Tunnel.Observed(link: $0.link, publicKey: Fixture.key(9), mtu: 1420, form: "kernel")
            })
            let network = FakeCapability<PodNetwork>(make: { _ in .init(routes: NodeTestbed.podNetwork) })
            let node = NodeRole(
                nodeName: "worker-1", configuration: nodeSettings, client: cluster.node, tunnel: tunnel,
                podNetwork: network, events: cluster.nodeEvents, logger: cluster.logger)
            try Data(#"{"name":"one","plugins":[{"type":"bridge"}]}"#.utf8)
                .write(to: URL(filePath: cluster.folder + "/10-a.conflist"))
            let roles = [Task { try await gateway.run() }, Task { try await node.run() }]
            let uid = try await cluster.client.get(
                StaticGatewayConfiguration.self, namespace: "team-a", name: "gw-a"
            ).metadata.uid
            try await Self.eventually("the probe turns 200") { await Self.probe(port, uid) == 200 }
            try await Self.eventually("the conflist is written") {
                FileManager.default.fileExists(atPath: cluster.folder + "/01-egressgateway.conflist")
            }
            try await Self.attachAndDetach(cluster, nodeSettings.socketPath, bed)
            // Before the pods are known, STATUS asks for the node.
            let starting = CNIRequestHandler(
                nodeName: "worker-1", settings: nodeSettings,
                api: KubernetesNodeAPI(client: cluster.node, events: cluster.nodeEvents, pods: ObjectStore()),
                tunnel: tunnel, podNetwork: network, logger: cluster.logger)
            #expect(await starting.respond(to: try NodeTestbed.relay("STATUS")).exitCode == 0)
            try await cluster.client.delete(StaticGatewayConfiguration.self, namespace: "team-a", name: "gw-a")
            try await Self.eventually("the node is clean") { !bed.gateway.exists }
            #expect(await Self.probe(port, uid) == 503)
            for role in roles { role.cancel() }
            for role in roles { try await role.value }
            #expect(gatewayRights.refused.isEmpty && nodeRights.refused.isEmpty)
            // Events tell of failures; there was none. The node's own: RoleRightsTests.
            #expect(gatewayRights.unused.filter { !$0.hasSuffix("/events") } == [])
            // An endpoint is written anew when a pod's sandbox is made a second time.
            #expect(
                nodeRights.unused.filter { !$0.hasSuffix("/events") }
                    == ["update egressgateway.kubernetes.azure.com/podendpoints"])
            // A gateway follows its peers everywhere. A node follows its pods, and reads at its start its own endpoints
            // and those of a time when endpoints did not name their node.
            #expect(
                gatewayRights.collections == ["staticgatewayconfigurations", "gatewayvmconfigurations", "podendpoints"])
            let label = CNIRequestHandler.nodeAnnotation
            #expect(
                nodeRights.collections
                    == [
                        "pods where spec.nodeName=worker-1", "podendpoints where \(label)=worker-1",
                        "podendpoints where !\(label)",
                        "gatewaystatuses",
                    ])
            #expect(!FileManager.default.fileExists(atPath: nodeSettings.socketPath))
            #expect(FileManager.default.fileExists(atPath: cluster.folder + "/01-egressgateway.conflist"))
        }
    }

    private static func attachAndDetach(_ cluster: Cluster, _ socket: String, _ bed: GatewayTestbed) async throws {
        func call(_ command: String) async throws -> RelayResponse {
            let request = try JSONEncoder().encode(NodeTestbed.relay(command, uid: nil))
            let answer = try await RelayServerTests.exchange(
                socket, RelayServerTests.frame(String(decoding: request, as: UTF8.self)))
            return try JSONDecoder().decode(RelayResponse.self, from: Data(answer.dropFirst(4)))
        }
        let start = ContinuousClock.now
        let added = try await call("ADD")
        let duration = ContinuousClock.now - start
        // The gateway was heard of, not waited for until the limit of 5 seconds.
        #expect(duration < .seconds(3), "ADD took \(duration)")
        #expect(added.exitCode == 0, "\(added.output)")
        // Not "eventually": ADD has waited for it.
        let peers = bed.tunnel.desired.values.first?.gateway?.peers ?? []
        #expect(peers == [.init(id: "team-a/web-0", publicKey: Fixture.key(9), allowedIPs: ["10.244.0.20/32"])])
        let status = try await cluster.client.get(
            GatewayStatus.self, namespace: "kube-egress-gateway-system", name: Fixture.node)
        #expect(status.spec.readyPeerConfigurations.map(\.podEndpoint) == ["team-a/web-0"])
        #expect(status.metadata.ownerReferences.first?.kind == "Node")
        #expect(try await call("CHECK") == RelayResponse(exitCode: 0, output: ""))
        #expect(try await call("STATUS") == RelayResponse(exitCode: 0, output: ""))
        #expect(try await call("DEL") == RelayResponse(exitCode: 0, output: ""))
        try await eventually("the gateway forgets the peer") {
            bed.tunnel.desired.values.first?.gateway?.peers.isEmpty == true
        }
        let endpoints = try await cluster.client.list(PodEndpoint.self).items
        #expect(endpoints.isEmpty)
    }

    @Test("a pod whose gateway is not there is told so by an Event, and nothing stays")
    func refusal() async throws {
        try await withCluster { cluster in
            try await cluster.put(Namespace(metadata: ObjectMeta(name: "team-a")), status: false)
            try await cluster.put(Self.pod("absent"), status: false)
            let tunnel = FakeCapability<Tunnel>(make: { _ in throw ProviderError(.terminal, "not to be called") })
            let handler = CNIRequestHandler(
                nodeName: "worker-1", settings: NodeSettings(),
                api: KubernetesNodeAPI(client: cluster.client, events: cluster.events, pods: ObjectStore()),
                tunnel: tunnel, podNetwork: FakeCapability<PodNetwork>(make: { _ in .init(routes: []) }),
                logger: cluster.logger)
            let response = await handler.respond(to: try NodeTestbed.relay("ADD", uid: nil))
            #expect(response.exitCode == 1 && response.output.contains("team-a/absent does not exist"))
            await cluster.events.flush()
            let event = try #require(try await cluster.client.list(Event.self, namespace: "team-a").items.first)
            #expect(event.type == "Warning" && event.reason == "EgressGatewayAttachFailed")
            #expect(event.involvedObject.kind == "Pod" && event.involvedObject.name == "web-0")
            #expect(tunnel.calls.isEmpty)
        }
    }
}
