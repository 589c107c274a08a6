import Foundation
import JSONModel
import Kubernetes
import Lab
import Logging
import Reconcile
import Yams

/// Where a manager finds its cluster and its cloud; the first line of the world's process.
struct WorldGreeting: Codable {
    /// The text of the file by which the API server is found.
    var kubeconfig: String
    /// Of the cloud: `http://127.0.0.1:PORT`.
    var cloud: String
}

/// What came of a manager's work, or of a time without work: when all was provided, when the next manager had settled,
/// and at the end of the time for which that one was watched.
struct WorldReport: Codable {
    /// Configurations that are ready, whose gateways are healthy, and whose pods are counted.
    var ready = 0
    var endpoints = 0
    /// Writes of objects of the kinds that the manager follows.
    var writes = 0
    /// Requests to the cloud.
    var reads = 0
    var cloudWrites = 0
    /// Bytes of the cloud's answers.
    var bytes = 0
}

/// Everything around the manager, in a process of its own: an API server, the Azure simulator, and what stands for the
/// kubelets of the gateway nodes.
struct IdleWorld {
    let plan: IdlePlan
    let simulator: AzureSimulator
    let client: KubernetesClient
    private let gateways: Reflector<StaticGatewayConfiguration>
    private let balancers: Reflector<GatewayLBConfiguration>
    private let machines: Reflector<GatewayVMConfiguration>
    private let changes: ChangeCount

    /// Objects that are created at a time.
    private static let parallelism = 32
    /// Without a write for so long, all work is done.
    private static let quiet = Duration.seconds(20)
    /// A manager that was started has listed all, compared all and looked for what belongs to no object.
    private static let start = Duration.seconds(60)
    /// A kubelet whose node's state does not change reports it this often (`nodeStatusReportFrequency` of Kubernetes).
    private static let heartbeat = Duration.seconds(300)

    /// Serves, makes all objects, and tells what a manager that is started meanwhile makes of them.
    ///
    /// - Parameters:
    ///   - folder: for the API server's storage.
    ///   - definitions: folder of the CustomResourceDefinitions.
    ///   - seconds: how long the manager is watched once it is done.
    static func run(_ plan: IdlePlan, folder: String, definitions: String, seconds: Int) async throws {
        let logger = Logger(label: "idle-world") { _ in SwiftLogNoOpLogHandler() }
        let server = try EmbeddedAPIServer(configuration: .init(storagePath: folder), logger: logger)
        let simulator = try AzureSimulator(configuration: plan.cloud, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            group.addTask { try await simulator.run() }
            group.addTask {
                guard let port = await server.boundPort else {
                    throw BenchError(description: "the API server does not listen")
                }
                let cluster = EmbeddedAPIServer.Endpoint.tcp(host: "127.0.0.1", port: port)
                let client = try KubernetesClient(
                    configuration: ClientConfiguration(server: cluster.serverURL), logger: logger)
                let world = IdleWorld(plan, simulator, client, logger)
                try await world.makeObjects(definitions: definitions)
                tell(
                    WorldGreeting(
                        kubeconfig: EmbeddedAPIServer.kubeconfig(for: cluster), cloud: try await simulator.endpoint()))
                try await world.follow(seconds: seconds)
                try await client.shutdown()
            }
            try await group.next()
            group.cancelAll()
        }
    }

    private init(_ plan: IdlePlan, _ simulator: AzureSimulator, _ client: KubernetesClient, _ logger: Logger) {
        self.plan = plan
        self.simulator = simulator
        self.client = client
        let changes = ChangeCount()
        self.changes = changes
        gateways = Reflector(StaticGatewayConfiguration.self, client: client, logger: logger) { _ in changes.note() }
        balancers = Reflector(GatewayLBConfiguration.self, client: client, logger: logger) { _ in changes.note() }
        machines = Reflector(GatewayVMConfiguration.self, client: client, logger: logger) { _ in changes.note() }
    }

    private static func tell(_ value: some Encodable) {
        guard let line = try? JSONEncoder().encode(value) else { return }
        print(String(decoding: line, as: UTF8.self))
        fflush(nil)
    }

    // MARK: - Objects

    private func makeObjects(definitions: String) async throws {
        for file in try FileManager.default.contentsOfDirectory(atPath: definitions).sorted() {
            let text = try String(contentsOfFile: "\(definitions)/\(file)", encoding: .utf8)
            try await client.create(try YAMLDecoder().decode(CustomResourceDefinition.self, from: text))
        }
        try await create(plan.namespaceNames) { Namespace(metadata: ObjectMeta(name: $0)) }
        try await create(plan.nodes) { $0 }
        try await create(plan.reports) { $0 }
        try await create(plan.gateways) { $0 }
        let client = client
        try await concurrently(Array(plan.pods.enumerated())) { [plan] index, pod in
            try await client.create(plan.endpoint(index, of: client.create(pod)))
        }
    }

    private func create<Item: Sendable, Object: KubernetesResource>(
        _ items: [Item], _ object: @escaping @Sendable (Item) -> Object
    ) async throws {
        let client = client
        try await concurrently(items) { try await client.create(object($0)) }
    }

    private func concurrently<Item: Sendable>(
        _ items: [Item], _ work: @escaping @Sendable (Item) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, item) in items.enumerated() {
                if index >= Self.parallelism { try await group.next() }
                group.addTask { try await work(item) }
            }
            try await group.waitForAll()
        }
    }

    // MARK: - The manager's work

    private func follow(seconds: Int) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await gateways.run() }
            group.addTask { try await balancers.run() }
            group.addTask { try await machines.run() }
            group.addTask { try await keepNodesAlive() }
            group.addTask {
                try await settle()
                Self.tell(await report())
                // The driver ends the manager and starts another one, which looks at everything once.
                try await Task.sleep(for: Self.start)
                try await settle()
                let before = await report()
                Self.tell(before)
                try await Task.sleep(for: .seconds(seconds))
                var after = await report()
                after.writes -= before.writes
                after.reads -= before.reads
                after.cloudWrites -= before.cloudWrites
                after.bytes -= before.bytes
                Self.tell(after)
            }
            try await group.next()
            group.cancelAll()
        }
    }

    private func settle() async throws {
        var (last, since) = (-1, ContinuousClock.now)
        while true {
            try await Task.sleep(for: .seconds(1))
            if changes.count != last { (last, since) = (changes.count, .now) }
            if since.duration(to: .now) >= Self.quiet, readyCount == plan.configurations { return }
        }
    }

    private var readyCount: Int {
        gateways.store.all.count { gateway in
            let status = gateway.status
            return ["Ready", "GatewaysHealthy"].allSatisfy {
                Conditions.find($0, in: status?.conditions)?.status == "True"
            } && status?.pods.map(Int.init) == plan.endpointsPerConfiguration
        }
    }

    private func report() async -> WorldReport {
        var report = WorldReport(ready: readyCount, writes: changes.count)
        report.endpoints = gateways.store.all.reduce(0) { $0 + Int($1.status?.pods ?? 0) }
        for (name, count) in await simulator.audit() {
            let isWrite = ["_CreateOrUpdate", "_Delete", "_Update"].contains { name.contains($0) }
            report.reads += isWrite ? 0 : count.calls
            report.cloudWrites += isWrite ? count.calls : 0
            report.bytes += count.responseBytes
        }
        return report
    }

    /// Each node's kubelet reports once per ``heartbeat``, one node after the other.
    private func keepNodesAlive() async throws {
        while true {
            for node in plan.nodes {
                try await Task.sleep(for: Self.heartbeat / plan.nodes.count)
                let now = ISO8601DateFormatter().string(from: Date())
                let conditions: JSONValue = [
                    [
                        "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "",
                        "lastHeartbeatTime": .string(now),
                    ]
                ]
                _ = try await client.mergePatch(
                    Node.self, name: node.metadata.name, patch: ["status": ["conditions": conditions]],
                    subresource: .status)
            }
        }
    }
}

/// A CustomResourceDefinition as the server takes it.
private struct CustomResourceDefinition: KubernetesResource {
    static let resourceType = ResourceType(
        group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions", namespaced: false)

    var metadata: ObjectMeta
    var spec: JSONValue
}
