import Foundation
import JSONModel
import Kubernetes
import Lab
import Logging
import Reconcile
import Synchronization
import Testing
import Yams

@testable import Host

/// Managers that elect a leader on an embedded API server, each with a clock and a way to the server of its own.
struct LeadershipFixture {
    /// One manager as it runs in production, on another clock and with providers in memory.
    struct Manager {
        let name: String
        let clock = SteppedClock()
        /// What it asked the server for, as the server saw it.
        let requests: RequestLog
        let metrics: PrometheusRegistry
        let task: Task<Void, any Error>

        /// Runs it for a time by its own clock, in steps that leave it time to work, or until `condition` holds.
        ///
        /// - Returns: whether the condition came to hold.
        @discardableResult
        func run(for time: Duration, until condition: () async throws -> Bool = { false }) async throws -> Bool {
            for _ in 0..<Int(time / .milliseconds(50)) {
                if try await condition() { return true }
                clock.advance(by: .milliseconds(50))
                try await Task.sleep(for: .milliseconds(5))
            }
            return try await condition()
        }

        /// How it ends. Its clock moves meanwhile: a joined call of a provider waits for a moment by it, cancelled or not.
        var result: Result<Void, any Error> {
            get async {
                let time = Task { [clock] in
                    while !Task.isCancelled {
                        clock.advance(by: .milliseconds(50))
                        try await Task.sleep(for: .milliseconds(5))
                    }
                }
                defer { time.cancel() }
                return await task.result
            }
        }

        fileprivate init(
            name: String, requests: RequestLog, metrics: PrometheusRegistry,
            _ start: (SteppedClock) throws -> ManagerRole
        ) throws {
            self.name = name
            self.requests = requests
            self.metrics = metrics
            let role = try start(clock)
            task = Task { try await role.run() }
        }
    }

    /// What came over one socket, and whether it is let through.
    final class RequestLog: Sendable {
        private let state = Mutex<(accesses: [APIAccess], isCut: Bool)>(([], false))

        var all: [APIAccess] { state.withLock { $0.accesses } }
        /// Everything that changes something, elections and Events apart.
        var writes: [APIAccess] {
            all.filter { !["get", "list", "watch"].contains($0.verb) && !["leases", "events"].contains($0.resource) }
        }

        func forget() { state.withLock { $0.accesses = [] } }
        func cut() { state.withLock { $0.isCut = true } }

        fileprivate func allows(_ access: APIAccess) -> Bool {
            state.withLock { state in
                state.accesses.append(access)
                return !state.isCut
            }
        }
    }

    let client: KubernetesClient
    let first: Manager
    let second: Manager
    let cloud: MemoryCloud

    private static let namespace = "team-a"
    private static let system = "keys"

    /// Runs `body` with the first manager leading and the second standing by, both with everything seen.
    static func run(_ body: @escaping @Sendable (LeadershipFixture) async throws -> Void) async throws {
        let logger = Logger(label: "leadership-tests") { _ in SwiftLogNoOpLogHandler() }
        let folder = NSTemporaryDirectory() + "kegwt-ld-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let logs = [RequestLog(), RequestLog()]
        var configuration = EmbeddedAPIServer.Configuration(storagePath: folder + "/storage")
        configuration.guardedSockets = logs.enumerated().map { index, log in
            .init(path: "\(folder)/\(index).sock") { log.allows($0) }
        }
        let server = try EmbeddedAPIServer(configuration: configuration, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            let port = try #require(await server.boundPort)
            let metrics = [PrometheusRegistry(), PrometheusRegistry()]
            func client(_ server: String, _ metrics: PrometheusRegistry = .init()) throws -> KubernetesClient {
                try KubernetesClient(
                    configuration: ClientConfiguration(server: server), logger: logger, metrics: metrics)
            }
            let user = try client("http://127.0.0.1:\(port)")
            let clients = try logs.indices.map {
                try client(
                    EmbeddedAPIServer.Endpoint.unixSocket(path: "\(folder)/\($0).sock").serverURL, metrics[$0])
            }
            try await define(user)
            let cloud = MemoryCloud()
            func start(_ index: Int, _ name: String) throws -> Manager {
                try Manager(name: name, requests: logs[index], metrics: metrics[index]) { clock in
                    let environment = ReconcileEnvironment(clock: clock, metrics: metrics[index])
                    return try role(name, clients[index], cloud, environment, logger)
                }
            }
            let first = try start(0, "first")
            var managers = [first]
            let result: Result<Void, any Error>
            do {
                try #require(try await first.run(for: .seconds(10)) { try await holder(user) == "first" })
                let second = try start(1, "second")
                managers.append(second)
                let fixture = LeadershipFixture(client: user, first: first, second: second, cloud: cloud)
                try await fixture.settle()
                result = .success(try await body(fixture))
            } catch {
                result = .failure(error)
            }
            for manager in managers {
                manager.task.cancel()
                _ = await manager.result
            }
            for client in clients + [user] { try await client.shutdown() }
            group.cancelAll()
            while await group.nextResult() != nil {}
            try result.get()
        }
    }

    private static func role(
        _ name: String, _ client: KubernetesClient, _ cloud: MemoryCloud, _ environment: ReconcileEnvironment,
        _ logger: Logger
    ) throws -> ManagerRole {
        var settings = ManagerSettings()
        settings.leaderElection = true
        (settings.leaderElectionNamespace, settings.secretNamespace) = (system, system)
        return try ManagerRole(
            settings: settings, client: client, loadBalancer: MemoryLoadBalancer(cloud: cloud, manager: name),
            nodePool: MemoryNodePool(cloud: cloud, manager: name),
            events: EventRecorder(client: client, component: name, logger: logger), logger: logger,
            environment: environment, identity: name)
    }

    private func settle() async throws {
        try await create("early")
        try #require(try await first.run(for: .seconds(10)) { try await isReady("early") })
        // Kinds that a standby follows, the Lease among them; each is seen when it is watched.
        let kinds = 8
        try #require(
            try await eventually { second.requests.all.filter { $0.verb == "watch" }.count >= kinds })
        try #require(try await holder() == "first")
        #expect(second.requests.writes.isEmpty, "a standby writes nothing")
    }

    private static func define(_ client: KubernetesClient) async throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../../deploy/crds")
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
            let text = try String(contentsOf: file, encoding: .utf8)
            try await client.create(try YAMLDecoder().decode(CustomResourceDefinition.self, from: text))
        }
        for name in [namespace, system] { try await client.create(Namespace(metadata: ObjectMeta(name: name))) }
    }

    func create(_ name: String) async throws {
        try await client.create(
            StaticGatewayConfiguration(
                metadata: ObjectMeta(name: name, namespace: Self.namespace),
                spec: StaticGatewayConfigurationSpec(gatewayNodepoolName: "gwpool")))
    }

    func gateway(_ name: String) async throws -> StaticGatewayConfiguration {
        try await client.get(StaticGatewayConfiguration.self, namespace: Self.namespace, name: name)
    }

    func isReady(_ name: String) async throws -> Bool {
        try await gateway(name).status?.conditions?.contains { $0.type == "Ready" && $0.isTrue } == true
    }

    /// Who holds the Lease; nil if there is none.
    func holder() async throws -> String? { try await Self.holder(client) }

    private static func holder(_ client: KubernetesClient) async throws -> String? {
        try await client.list(Lease.self, namespace: system).items.first?.spec.holderIdentity
    }

    /// Waits for something that needs no clock, such as an answer on its way.
    func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            if try await condition() { return true }
            try await Task.sleep(for: .milliseconds(20))
        }
        return false
    }
}
