import Foundation
import JSONModel
import Kubernetes
import Lab
import Logging
import ProviderKit
import Reconcile
import Testing

@testable import Host

/// The node role as it runs, on an API server that goes away.
@Suite("Node: the role and its API server")
struct NodeRoleTests {
    @Test("a pod that the role has seen starts when the API server is gone, if it asks for no gateway")
    func podsStartWithoutServer() async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let folder = NSTemporaryDirectory() + "kegwt-node-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let server = try EmbeddedAPIServer(
            configuration: .init(storagePath: folder + "/storage"), logger: logger)
        let serving = Task { try await server.run() }
        let port = try #require(await server.boundPort)
        let client = try KubernetesClient(
            configuration: ClientConfiguration(server: "http://127.0.0.1:\(port)"), logger: logger)
        try await client.create(Namespace(metadata: ObjectMeta(name: "team-a")))
        let plain = try await client.create(Self.pod("plain", on: "worker-1"))
        let selected = try await client.create(Self.pod("selected", on: "worker-1", gateway: "gw-a"))
        try await client.create(Self.pod("far", on: "worker-2"))
        var settings = NodeSettings()
        settings.socketPath = folder + "/cni.sock"
        settings.cniConfigurationDirectory = folder
        let role = NodeRole(
            nodeName: "worker-1", configuration: settings, client: client,
            tunnel: FakeCapability<Tunnel>(make: { _ in throw ProviderError(.terminal, "not to be called") }),
            podNetwork: FakeCapability<PodNetwork>(make: { _ in .init(routes: []) }),
            events: EventRecorder(client: client, component: "test", logger: logger), logger: logger)
        let running = Task { try await role.run() }
        try await role.pods.store.waitUntilSynced()
        #expect(Set(role.pods.store.all.map(\.metadata.name)) == ["plain", "selected"], "its own pods only")
        // One that comes later is told of.
        let late = try await client.create(Self.pod("late", on: "worker-1"))
        try await Self.eventually { role.pods.store.count == 3 }
        try await Self.eventually { FileManager.default.fileExists(atPath: settings.socketPath) }
        serving.cancel()
        _ = await serving.result
        func add(_ pod: Pod, uid: String? = nil) async throws -> RelayResponse {
            let names = "K8S_POD_NAMESPACE=team-a;K8S_POD_NAME=\(pod.metadata.name)"
            let request = try NodeTestbed.relay(
                "ADD", arguments: "\(names);K8S_POD_UID=\(uid ?? pod.metadata.uid)")
            let text = String(decoding: try JSONEncoder().encode(request), as: UTF8.self)
            let answer = try await RelayServerTests.exchange(settings.socketPath, RelayServerTests.frame(text))
            return try JSONDecoder().decode(RelayResponse.self, from: Data(answer.dropFirst(4)))
        }
        for pod in [plain, late] {
            let response = try await add(pod)
            #expect(try response.exitCode == 0 && NodeTestbed.json(response) == NodeTestbed.previousResult)
        }
        #expect(try NodeTestbed.json(try await add(selected))["code"] == 11, "a pod with a gateway waits for the API")
        #expect(try NodeTestbed.json(try await add(plain, uid: "another"))["code"] == 11, "so does one made anew")
        running.cancel()
        _ = await running.result
        try await client.shutdown()
    }

    private static func pod(_ name: String, on node: String, gateway: String? = nil) -> Pod {
        var metadata = ObjectMeta(name: name, namespace: "team-a", annotations: ["other": "x"])
        metadata.annotations[CNIRequestHandler.annotation] = gateway
        return Pod(
            metadata: metadata, spec: PodSpec(nodeName: node, containers: [Container(name: "main", image: "none")]))
    }

    private static func eventually(_ condition: () -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(10)
        while !condition(), ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(20)) }
        #expect(condition())
    }
}
