import AzureARM
import AzureLBProvider
import AzureVMSSProvider
import Foundation
import Host
import JSONModel
import Kubernetes
import Lab
import Logging
import Reconcile
import Yams

/// A CustomResourceDefinition as the server takes it.
private struct CustomResourceDefinition: KubernetesResource {
    static let resourceType = ResourceType(
        group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions", namespaced: false)

    var metadata: ObjectMeta
    var spec: JSONValue
}

/// The manager role with both Azure providers over an API server and the simulator, all in this process and on one
/// virtual clock.
public struct BenchCluster: Sendable {
    public let clock: VirtualClock
    public let simulator: AzureSimulator
    public let host: VirtualHost
    public let client: KubernetesClient
    public let gateways: Reflector<StaticGatewayConfiguration>
    public let machines: Reflector<GatewayVMConfiguration>
    private let changes: [String: JSONValue]
    private let logger: Logger

    public static let namespace = "bench"
    private static let secretNamespace = "keys"

    /// Runs a server around `body`.
    ///
    /// - Parameters:
    ///   - cloud: what exists at the start.
    ///   - changes: fields of the cloud configuration that are other ones than fit `cloud`.
    public static func run<Value: Sendable>(
        cloud: AzureSimulator.Configuration = BenchCloud.configuration, changes: [String: JSONValue] = [:],
        _ body: @escaping @Sendable (BenchCluster) async throws -> Value
    ) async throws -> Value {
        let logger = Logger(label: "cloud-bench") { _ in SwiftLogNoOpLogHandler() }
        let folder = FileManager.default.temporaryDirectory.appending(path: "keg-bench-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let socket = folder.appending(path: "api.sock").path
        let (ready, signal) = AsyncStream.makeStream(of: Void.self)
        let server = try EmbeddedAPIServer(
            configuration: .init(
                storagePath: folder.appending(path: "store.sqlite").path, unixSocketPath: socket, host: nil,
                onReady: { _ in signal.finish() }), logger: logger)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            for await _ in ready {}
            let client = try KubernetesClient(
                configuration: ClientConfiguration(
                    server: EmbeddedAPIServer.Endpoint.unixSocket(path: socket).serverURL), logger: logger)
            let result: Result<Value, any Error>
            do {
                let clock = VirtualClock()
                defer { clock.stop() }
                let cluster = try await BenchCluster(client, clock, logger, cloud, changes)
                let following = cluster.follow()
                result = .success(try await body(cluster))
                following.forEach { $0.cancel() }
            } catch {
                result = .failure(error)
            }
            try await client.shutdown()
            group.cancelAll()
            _ = await group.nextResult()
            return try result.get()
        }
    }

    private init(
        _ client: KubernetesClient, _ clock: VirtualClock, _ logger: Logger, _ cloud: AzureSimulator.Configuration,
        _ changes: [String: JSONValue]
    ) async throws {
        self.client = client
        self.clock = clock
        try await Self.applyDefinitions(client)
        for name in [Self.namespace, Self.secretNamespace] {
            try await client.create(Namespace(metadata: ObjectMeta(name: name)))
        }
        simulator = try BenchCloud.simulator(clock: clock, configuration: cloud)
        host = VirtualHost(simulator: simulator, clock: clock)
        self.changes = changes
        self.logger = logger
        gateways = Reflector(StaticGatewayConfiguration.self, client: client, logger: logger) { _ in }
        machines = Reflector(GatewayVMConfiguration.self, client: client, logger: logger) { _ in }
    }

    private static func applyDefinitions(_ client: KubernetesClient) async throws {
        let root = (1...5).reduce(URL(filePath: #filePath)) { url, _ in url.deletingLastPathComponent() }
        let folder = root.appending(path: "deploy/crds")
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
            let text = try String(contentsOf: file, encoding: .utf8)
            try await client.create(try YAMLDecoder().decode(CustomResourceDefinition.self, from: text))
        }
    }

    /// Keeps the stores up to date.
    private func follow() -> [Task<Void, any Error>] {
        [Task { try await gateways.run() }, Task { try await machines.run() }]
    }

    // MARK: - What a scenario does

    /// Runs a manager for the length of `body`, one that knows nothing of those before it. It ends as a killed process
    /// does: in the middle of what it does.
    @discardableResult
    public func withManager<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        let process = HostProcess(host)
        let manager = try manager(in: process)
        let running = Task { try await manager.run() }
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        process.die()
        running.cancel()
        _ = await running.result
        return try result.get()
    }

    private func manager(in process: HostProcess) throws -> ManagerRole {
        var settings = ManagerSettings()
        settings.secretNamespace = Self.secretNamespace
        // Two plugins, two budgets, as in a daemon.
        func armClient() throws -> ARMClient {
            try BenchCloud.client(process, budgets: RequestBudgets(), changes: changes)
        }
        return try ManagerRole(
            settings: settings, client: client,
            loadBalancer: DirectCapability(
                provider: AzureLoadBalancer(client: armClient()), host: process, timeout: .seconds(5 * 60)),
            nodePool: DirectCapability(
                provider: AzureNodePool(client: armClient()), host: process, timeout: .seconds(15 * 60)),
            events: EventRecorder(client: client, component: "bench", logger: logger), logger: logger,
            environment: ReconcileEnvironment(clock: clock))
    }

    /// Creates configurations for the pool.
    public func create(
        _ names: [String], _ spec: StaticGatewayConfigurationSpec = .init(gatewayNodepoolName: BenchCloud.pool)
    ) async throws {
        for name in names {
            try await client.create(
                StaticGatewayConfiguration(metadata: ObjectMeta(name: name, namespace: Self.namespace), spec: spec))
        }
    }

    /// Waits until `condition` holds, looking again and again.
    ///
    /// - Returns: the virtual time since the call.
    /// - Throws: ``BenchError`` after `limit`.
    @discardableResult
    public func wait(
        _ what: String, limit: Duration, every pause: Duration = .seconds(1), until condition: () async -> Bool
    ) async throws -> Duration {
        let begin = clock.now
        while await !condition() {
            guard begin.duration(to: clock.now) < limit else {
                throw BenchError("\(what): not within \(limit)")
            }
            try await clock.sleep(for: pause)
        }
        return begin.duration(to: clock.now)
    }

    /// How many configurations can be used: their status has a frontend, a port and an egress prefix.
    var readyCount: Int {
        gateways.store.all.count { gateway in
            guard let status = gateway.status else { return false }
            return !status.egressIpPrefix.isEmpty && status.gatewayServerProfile.port != 0
                && !status.gatewayServerProfile.ip.isEmpty
        }
    }
}

/// A scenario that cannot go on.
public struct BenchError: Error, CustomStringConvertible {
    public var description: String

    init(_ description: String) { self.description = description }
}
