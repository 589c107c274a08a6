import AzureTestSupport
import Foundation
import JSONModel
import Kubernetes
import Lab
import Logging
import ProviderKit
import Testing
import Yams

@testable import Host

/// A CustomResourceDefinition as the server takes it.
private struct CustomResourceDefinition: KubernetesResource {
    static let resourceType = ResourceType(
        group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions", namespaced: false)

    var metadata: ObjectMeta
    var spec: JSONValue
}

/// The manager role as it runs in production: an API server over HTTP, both Azure plugins loaded from their files, and
/// Azure's simulator. Nothing of it needs root.
struct ManagerFixture {
    let client: KubernetesClient
    let simulator: AzureSimulator
    let manager: ManagerRole
    let plugins: PluginRuntime

    static let namespace = "team-a"
    static let secretNamespace = "keys"

    /// Runs everything around `body`, and the manager beside it.
    static func run(
        broughtPrefixes: PrefixAllowList? = nil, azure: AzureSimulator.Configuration = .test(),
        definitionsHaveRules: Bool = true, rights: RolePolicy? = nil,
        _ body: @escaping @Sendable (ManagerFixture) async throws -> Void
    ) async throws {
        let logger = Logger(label: "manager-tests") { _ in SwiftLogNoOpLogHandler() }
        let folder = FileManager.default.temporaryDirectory.appending(path: "kegwt-mgr-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let socket = folder.appending(path: "api.sock").path
        let (ready, signal) = AsyncStream.makeStream(of: Void.self)
        var serverConfiguration = EmbeddedAPIServer.Configuration(
            storagePath: folder.appending(path: "store.sqlite").path, unixSocketPath: socket, host: nil,
            onReady: { _ in signal.finish() })
        let guarded = folder.appending(path: "guarded.sock").path
        serverConfiguration.guardedSockets = [.init(path: guarded) { rights?.allows($0) ?? true }]
        let server = try EmbeddedAPIServer(configuration: serverConfiguration, logger: logger)
        try await withSimulator(azure) { simulator, arm in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                for await _ in ready {}
                func client(_ path: String) throws -> KubernetesClient {
                    try KubernetesClient(
                        configuration: ClientConfiguration(
                            server: EmbeddedAPIServer.Endpoint.unixSocket(path: path).serverURL), logger: logger)
                }
                let (client, managerClient) = (try client(socket), try client(guarded))
                let fixture = try await ManagerFixture(
                    client, managerClient, simulator, arm.endpoint, broughtPrefixes, definitionsHaveRules, logger)
                let running = Task { try await fixture.manager.run() }
                let result: Result<Void, any Error>
                do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
                running.cancel()
                _ = await running.result
                fixture.plugins.close()
                try await client.shutdown()
                try await managerClient.shutdown()
                group.cancelAll()
                _ = await group.nextResult()
                try result.get()
            }
        }
    }

    private init(
        _ client: KubernetesClient, _ managerClient: KubernetesClient, _ simulator: AzureSimulator, _ endpoint: String,
        _ broughtPrefixes: PrefixAllowList?, _ definitionsHaveRules: Bool, _ logger: Logger
    ) async throws {
        self.client = client
        self.simulator = simulator
        try await Self.applyDefinitions(client, withRules: definitionsHaveRules)
        for name in [Self.namespace, Self.secretNamespace] {
            try await client.create(Namespace(metadata: ObjectMeta(name: name)))
        }
        let configuration = try pluginConfiguration(endpoint: endpoint)
        let products = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        plugins = try await PluginRuntime(
            [
                PluginEntry(name: "azure-lb", path: "libAzureLB.so", configuration: configuration),
                PluginEntry(name: "azure-vmss", path: "libAzureVMSS.so", configuration: configuration),
            ], directory: products.path, trust: .testing, logger: logger)
        var settings = ManagerSettings()
        settings.secretNamespace = Self.secretNamespace
        settings.broughtPrefixes = broughtPrefixes
        // The lease proves that leader election works against a server, too.
        settings.leaderElection = true
        settings.leaderElectionNamespace = Self.secretNamespace
        manager = try ManagerRole(
            settings: settings, client: managerClient,
            loadBalancer: try plugins.require(LoadBalancer.self, timeout: .seconds(30)),
            nodePool: try plugins.require(NodePool.self, timeout: .seconds(30)),
            events: EventRecorder(client: managerClient, component: "test", logger: logger), logger: logger)
    }

    /// Without its rules a definition is one from before it had them, as on a cluster that is taken over.
    private static func applyDefinitions(_ client: KubernetesClient, withRules: Bool) async throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(path: "deploy/crds")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(files.count == 5)
        for file in files {
            let text = try String(contentsOf: file, encoding: .utf8)
            var definition = try YAMLDecoder().decode(CustomResourceDefinition.self, from: text)
            if !withRules { definition.spec = Self.withoutRules(definition.spec) }
            try await client.create(definition)
        }
    }

    private static func withoutRules(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members):
            .object(members.filter { $0.key != "x-kubernetes-validations" }.mapValues(withoutRules))
        case .array(let elements): .array(elements.map(withoutRules))
        default: value
        }
    }

    /// Creates a configuration for the simulator's pool.
    func create(_ name: String, _ change: (inout StaticGatewayConfigurationSpec) -> Void = { _ in }) async throws {
        var spec = StaticGatewayConfigurationSpec(gatewayNodepoolName: "gwpool")
        change(&spec)
        try await client.create(
            StaticGatewayConfiguration(
                metadata: ObjectMeta(name: name, namespace: Self.namespace), spec: spec))
    }

    func find<Resource: KubernetesResource>(
        _ type: Resource.Type, _ name: String, namespace: String = namespace
    ) async throws -> Resource? {
        do {
            return try await client.get(type, namespace: namespace, name: name)
        } catch let error as KubernetesError where error.code == .notFound {
            return nil
        }
    }

    /// Polls until `condition` gives a value.
    func eventually<Value>(
        _ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Value?
    ) async throws -> Value {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if let value = try await condition() { return value }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw HostError(.unavailable, "did not happen within \(limit): \(what)")
    }

    /// Waits for a configuration to become ready.
    func ready(_ name: String) async throws -> StaticGatewayConfiguration {
        try await eventually("\(name) is ready") {
            guard let found = try await find(StaticGatewayConfiguration.self, name),
                found.status?.egressIpPrefix.isEmpty == false
            else { return nil }
            return found
        }
    }

    func events(about name: String) async throws -> [Event] {
        try await client.list(Event.self, namespace: Self.namespace).items.filter { $0.involvedObject.name == name }
    }
}
