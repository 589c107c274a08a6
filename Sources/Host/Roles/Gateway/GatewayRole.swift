import Kubernetes
import LinuxNet
import Logging
import ProviderKit
import Reconcile
import ServiceLifecycle

/// A gateway node: keeps tunnel servers, source addresses and health probes in step with the objects of the API.
///
/// On its end everything in the kernel stays, so that a restart drops no packet.
public struct GatewayRole: Service {
    /// Changes that come within this time are handled together.
    private static let settling = Duration.milliseconds(25)
    /// How often everything is compared with the kernel.
    private static let resync = Duration.seconds(60)

    private let nodeName: String
    private let settings: GatewaySettings
    private let client: KubernetesClient
    private let events: EventRecorder
    private let logger: Logger
    private let dataPath: GatewayDataPath
    private let probe = ProbeState()
    private let keys: GatewayKeys
    private let status: GatewayStatusWriter

    /// - Parameters:
    ///   - nodeName: the Kubernetes node; GatewayVMConfigurations name it.
    ///   - client: stays the caller's; used until ``run()`` returns.
    ///   - tunnel: makes the tunnel servers.
    public init(
        nodeName: String, configuration: GatewaySettings, client: KubernetesClient,
        tunnel: any CapabilityClient<Tunnel>, events: EventRecorder, logger: Logger
    ) {
        self.init(
            nodeName: nodeName, nodeNamespace: .current, configuration: configuration, client: client, tunnel: tunnel,
            events: events, logger: logger)
    }

    /// The node's namespace as a parameter, for tests.
    init(
        nodeName: String, nodeNamespace: NetworkNamespace, configuration: GatewaySettings, client: KubernetesClient,
        tunnel: any CapabilityClient<Tunnel>, events: EventRecorder, logger: Logger
    ) {
        self.nodeName = nodeName
        settings = configuration
        self.client = client
        self.events = events
        self.logger = logger
        let namespaces = GatewayNamespaces(
            node: nodeNamespace,
            gateway: NetworkNamespace(path: "\(NetworkNamespace.directory)/\(configuration.networkNamespace)"),
            uplink: configuration.uplink)
        dataPath = GatewayDataPath(namespaces: namespaces, tunnel: tunnel, logger: logger)
        keys = GatewayKeys(namespace: configuration.secretNamespace) { namespace, name in
            try await client.get(Secret.self, namespace: namespace, name: name)
        }
        status = GatewayStatusWriter(nodeName: nodeName, namespace: configuration.secretNamespace, client: client)
    }

    /// Works until the task is cancelled or graceful shutdown begins; then answers probes with 503 for the drain time.
    ///
    /// - Throws: ``HostError`` if the settings are wrong or the probe's port is taken.
    public func run() async throws {
        try settings.validate()
        let server = try await ProbeServer.start(port: settings.gatewayProbePort, state: probe)
        logger.info("answering health probes", metadata: ["port": .stringConvertible(server.port)])
        let result: Result<Void, any Error>
        do {
            try await RoleLifetime.run(work: { try await follow() }, drain: drain)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await server.stop()
        try result.get()
    }

    /// The load balancer takes this node out before the daemon goes; new pods are still served meanwhile.
    @Sendable private func drain() async {
        logger.notice("draining", metadata: ["seconds": .stringConvertible(settings.drainSeconds)])
        probe.drain()
        try? await Task.sleep(for: .seconds(settings.drainSeconds))
    }

    private func follow() async throws {
        let signal = ChangeSignal()
        let changed: @Sendable (StoreChange) -> Void = { _ in signal.raise() }
        let configurations = Reflector(
            StaticGatewayConfiguration.self, client: client, logger: logger, onChange: changed)
        let machines = Reflector(
            GatewayVMConfiguration.self, client: client, indexes: GatewayObjectIndex.machineIndexes, logger: logger,
            onChange: changed)
        let endpoints = Reflector(
            PodEndpoint.self, client: client, indexes: GatewayObjectIndex.endpointIndexes, logger: logger,
            onChange: changed)
        let known = GatewayObjectIndex(
            configurations: configurations.store, machines: machines.store, endpoints: endpoints.store)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await configurations.run() }
            group.addTask { try await machines.run() }
            group.addTask { try await endpoints.run() }
            group.addTask {
                // Before all three are complete a plan would take away what only is not known yet.
                try await configurations.store.waitUntilSynced()
                try await machines.store.waitUntilSynced()
                try await endpoints.store.waitUntilSynced()
                let addresses = try await ownAddresses()
                signal.raise()
                try await reconcileForEver(signal) {
                    known.plan(nodeName: nodeName, nodeAddresses: addresses)
                }
            }
            group.addTask {
                while true {
                    try await Task.sleep(for: Self.resync)
                    await dataPath.expectDrift()
                    await status.expectDrift()
                    signal.raise()
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// The node's internal addresses; none if it has no Node object. They stay for as long as the node is there.
    private func ownAddresses() async throws -> Set<String> {
        while true {
            do {
                let node = try await client.get(Node.self, name: nodeName)
                return Set((node.status?.addresses ?? []).filter { $0.type == "InternalIP" }.map(\.address))
            } catch let error as KubernetesError where error.code == .notFound {
                return []
            } catch let error as KubernetesError {
                logger.warning("cannot read the Node", metadata: ["error": .string(String(describing: error))])
                try await Task.sleep(for: .seconds(2))
            }
        }
    }

    private func reconcileForEver(_ signal: ChangeSignal, plan: @Sendable () -> GatewayPlan) async throws {
        var report = Report()
        var failures = 0
        var retry: Task<Void, Never>?
        defer { retry?.cancel() }
        for await _ in signal.changes {
            retry?.cancel()
            try await Task.sleep(for: Self.settling)
            let isDone = await reconcile(plan(), &report)
            failures = isDone ? 0 : failures + 1
            guard failures > 0 else { continue }
            // 1, 2, 4 ... 30 seconds, or the next change.
            let pause = Duration.seconds(min(30, 1 << min(failures - 1, 5)))
            retry = Task {
                guard (try? await Task.sleep(for: pause)) != nil else { return }
                signal.raise()
            }
        }
        try Task.checkCancellation()
    }

    /// What was said already, so that a lasting fault is told once.
    private struct Report {
        var rejections: Set<GatewayPlan.Rejection> = []
        var failures: [String: String] = [:]
        var general: String?
    }

    /// - Returns: whether everything is as it should be.
    private func reconcile(_ plan: GatewayPlan, _ report: inout Report) async -> Bool {
        for rejection in plan.rejections where !report.rejections.contains(rejection) {
            logger.warning(
                "object is left out",
                metadata: ["object": .string(rejection.object), "reason": .string(rejection.reason)])
        }
        report.rejections = Set(plan.rejections)
        // Traffic goes elsewhere before its way is taken apart.
        let planned = Set(plan.servers.map(\.uid))
        probe.setActive(probe.active.intersection(planned))
        let (privateKeys, keyFailures) = await keys.load(plan.servers)
        do {
            var outcome = try await dataPath.apply(plan, privateKeys: privateKeys)
            outcome.failures.merge(keyFailures) { _, reason in reason }
            // A server that stood keeps its traffic while an update of it fails.
            probe.setActive(probe.active.union(outcome.ready))
            await tell(outcome, plan, &report)
            try await status.write(GatewayStatusWriter.spec(plan, ready: outcome.ready))
            report.general = nil
            return outcome.failures.isEmpty
        } catch is CancellationError {
            return true
        } catch {
            let text = String(describing: error)
            if text != report.general { logger.error("the node does not follow", metadata: ["error": .string(text)]) }
            report.general = text
            return false
        }
    }

    private func tell(_ outcome: GatewayDataPath.Outcome, _ plan: GatewayPlan, _ report: inout Report) async {
        for server in plan.servers {
            guard let reason = outcome.failures[server.uid] else {
                if report.failures[server.uid] != nil || !outcome.ready.contains(server.uid) { continue }
                logger.debug(
                    "gateway stands",
                    metadata: [
                        "configuration": .string(server.configuration), "link": .string(server.link),
                        "source": .string(server.secondaryAddress.description),
                        "peers": .stringConvertible(server.peers.count),
                    ])
                continue
            }
            await keys.forget(server.uid)
            guard report.failures[server.uid] != reason else { continue }
            logger.error(
                "gateway does not stand",
                metadata: ["configuration": .string(server.configuration), "reason": .string(reason)])
            let parts = server.configuration.split(separator: "/", maxSplits: 1).map(String.init)
            await events.warning(
                ObjectReference(
                    apiVersion: StaticGatewayConfiguration.resourceType.apiVersion,
                    kind: StaticGatewayConfiguration.resourceType.kind, namespace: parts.first ?? "",
                    name: parts.last ?? "", uid: server.uid),
                reason: "GatewayNodeFailed", message: "node \(nodeName): \(reason)")
        }
        report.failures = outcome.failures
    }
}
