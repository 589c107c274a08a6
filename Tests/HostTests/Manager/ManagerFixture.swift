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
struct CustomResourceDefinition: KubernetesResource {
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
    /// Somebody else with rights in the subscription.
    let foreigner: ARMTestClient
    let manager: ManagerRole
    let plugins: PluginRuntime
    /// Where the API server is, as a kubeconfig says it.
    let server: String

    static let namespace = "team-a"
    static let secretNamespace = "keys"

    private struct Options {
        var azure: AzureSimulator.Configuration
        var settings: ManagerSettings
        var isManaged: Bool
        var loadBalancer: PluginEntry?
        var definitionsHaveRules: Bool
        var rights: RolePolicy?
    }

    /// Runs everything around `body`, and the manager beside it.
    ///
    /// - Parameters:
    ///   - isManaged: false: no manager runs.
    ///   - loadBalancer: a plugin in the place of AzureLB.
    ///   - rights: what the manager may ask the API server for; nil: everything.
    ///   - change: what the manager's settings have that the fixture's have not.
    static func run(
        broughtPrefixes: PrefixAllowList? = nil, isManaged: Bool = true, azure: AzureSimulator.Configuration = .test(),
        loadBalancer: PluginEntry? = nil, definitionsHaveRules: Bool = true, rights: RolePolicy? = nil,
        changing change: (inout ManagerSettings) -> Void = { _ in },
        _ body: @escaping @Sendable (ManagerFixture) async throws -> Void
    ) async throws {
        var settings = ManagerSettings()
        settings.secretNamespace = secretNamespace
        // The lease proves that leader election works against a server, too.
        settings.leaderElection = true
        settings.leaderElectionNamespace = secretNamespace
        settings.broughtPrefixes = broughtPrefixes
        change(&settings)
        try await run(
            Options(
                azure: azure, settings: settings, isManaged: isManaged, loadBalancer: loadBalancer,
                definitionsHaveRules: definitionsHaveRules, rights: rights), body)
    }

    private static func run(
        _ options: Options, _ body: @escaping @Sendable (ManagerFixture) async throws -> Void
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
        serverConfiguration.guardedSockets = [.init(path: guarded) { options.rights?.allows($0) ?? true }]
        let server = try EmbeddedAPIServer(configuration: serverConfiguration, logger: logger)
        try await withSimulator(options.azure) { simulator, arm in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                for await _ in ready {}
                let address = EmbeddedAPIServer.Endpoint.unixSocket(path: socket).serverURL
                func client(_ address: String) throws -> KubernetesClient {
                    try KubernetesClient(configuration: ClientConfiguration(server: address), logger: logger)
                }
                let managers = EmbeddedAPIServer.Endpoint.unixSocket(path: guarded).serverURL
                let (client, managerClient) = (try client(address), try client(managers))
                let fixture = try await ManagerFixture(
                    client, managerClient, address, simulator, arm, options, logger)
                let running = Task { if options.isManaged { try await fixture.manager.run() } }
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
        _ client: KubernetesClient, _ managerClient: KubernetesClient, _ address: String, _ simulator: AzureSimulator,
        _ arm: ARMTestClient, _ options: Options, _ logger: Logger
    ) async throws {
        self.client = client
        self.simulator = simulator
        foreigner = arm
        server = address
        try await Self.applyDefinitions(client, withRules: options.definitionsHaveRules)
        for name in [Self.namespace, Self.secretNamespace] {
            try await client.create(Namespace(metadata: ObjectMeta(name: name)))
        }
        let configuration = try pluginConfiguration(endpoint: arm.endpoint)
        let products = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        plugins = try await PluginRuntime(
            [
                options.loadBalancer
                    ?? PluginEntry(name: "azure-lb", path: "libAzureLB.so", configuration: configuration),
                PluginEntry(name: "azure-vmss", path: "libAzureVMSS.so", configuration: configuration),
            ], directory: products.path, trust: .testing, logger: logger)
        manager = try ManagerRole(
            settings: options.settings, client: managerClient,
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
