import Foundation
import Kubernetes
import Logging
import ProviderKit
import Reconcile
import ServiceLifecycle
import Synchronization

/// The manager: three controllers over the chain of objects, and the watches that feed their queues.
///
/// Many keys are worked on at a time, so that ``BatchingCapability`` finds calls to join; the cloud sees one call of each
/// capability at a time.
public struct ManagerRole: Service {
    private let client: KubernetesClient
    private let logger: Logger
    private let staticGateways: Controller
    private let loadBalancers: Controller
    private let nodePools: Controller
    private let newNodes = SeenNodes()
    private let events: EventRecorder
    private let receivePluginEvents: @Sendable (@escaping PluginEventHandler) -> Void
    private let elector: LeaderElector?

    /// Keys that a controller works on at a time: the size of a joined call at most. A key that waits for the cloud costs
    /// a suspended task, and the client bounds its own connections to the API server.
    private static let concurrency = 512
    /// Name of the Lease (upstream behaviour section 2.1).
    private static let leaseName = "0a299682.microsoft.com"

    /// - Parameters:
    ///   - receivePluginEvents: registers who gets what the plugins tell about their items.
    ///   - clock: for retries and periodic passes; benchmarks bring one that need not be waited for.
    public init(
        settings: ManagerSettings, client: KubernetesClient, loadBalancer: any CapabilityClient<LoadBalancer>,
        nodePool: any CapabilityClient<NodePool>, events: EventRecorder, logger: Logger,
        receivePluginEvents: @escaping @Sendable (@escaping PluginEventHandler) -> Void = { _ in },
        clock: any Clock<Duration> = ContinuousClock()
    ) throws {
        self.events = events
        self.receivePluginEvents = receivePluginEvents
        self.client = client
        self.logger = logger
        elector = try Self.makeElector(settings, client, logger)
        let objects = GatewayObjects(client: client)
        let staticGateway = StaticGatewayController(objects: objects, events: events, settings: settings)
        let balancer = LoadBalancerController(
            objects: objects, loadBalancer: BatchingCapability(loadBalancer, clock: clock), events: events,
            settings: settings)
        let pool = NodePoolController(
            objects: objects, nodePool: BatchingCapability(nodePool, clock: clock), events: events, settings: settings)
        staticGateways = Controller(
            name: "static-gateway", concurrency: Self.concurrency, logger: logger, clock: clock,
            reconcile: staticGateway.reconcile)
        loadBalancers = Controller(
            name: "load-balancer", concurrency: Self.concurrency, logger: logger, clock: clock,
            reconcile: balancer.reconcile)
        nodePools = Controller(
            name: "node-pool", concurrency: Self.concurrency, logger: logger, clock: clock,
            reconcile: pool.reconcile)
    }

    /// nil where one manager works alone.
    private static func makeElector(
        _ settings: ManagerSettings, _ client: KubernetesClient, _ logger: Logger
    ) throws -> LeaderElector? {
        guard settings.leaderElection else { return nil }
        // The host name is the pod's name in a cluster; the number tells two processes of one host apart.
        let identity = "\(ProcessInfo.processInfo.hostName)_\(UInt32.random(in: 0...UInt32.max))"
        let election = try LeaderElectionSettings(
            namespace: settings.leaderElectionNamespace, name: leaseName, identity: identity)
        let access = ClientLeaseAccess(client: client, namespace: election.namespace, name: election.name)
        return LeaderElector(settings: election, access: access, logger: logger)
    }

    /// Leads, if leaders are elected, and works; a leadership that is lost ends the role with an error.
    public func run() async throws {
        try await cancelWhenGracefulShutdown {
            do {
                guard let elector else { return try await work() }
                try await elector.run { try await work() }
            } catch is CancellationError {}
        }
    }

    private func work() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for job in jobs { group.addTask { try await job() } }
            // The first to end, by cancellation or error, ends the role.
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private var jobs: [@Sendable () async throws -> Void] {
        let machines = Reflector(GatewayVMConfiguration.self, client: client, logger: logger) { [self] key in
            nodePools.enqueue(key)
            // Its status is copied up, and its end lets the owner of the same name go on.
            loadBalancers.enqueue(key)
        }
        let balancers = Reflector(GatewayLBConfiguration.self, client: client, logger: logger) { [self] key in
            loadBalancers.enqueue(key)
            staticGateways.enqueue(key)
        }
        let gateways = Reflector(StaticGatewayConfiguration.self, client: client, logger: logger) { [self] key in
            staticGateways.enqueue(key)
        }
        // An item of a request is named by its object's UID.
        receivePluginEvents { [events, logger, balancers, machines] plugin, event, count in
            let object =
                balancers.store.all.first { $0.metadata.uid == event.item }?.objectReference
                ?? machines.store.all.first { $0.metadata.uid == event.item }?.objectReference
            guard let object else {
                logger.info(
                    "event about an object that is gone",
                    metadata: [
                        "plugin": .string(plugin), "item": .string(event.item), "reason": .string(event.reason),
                    ])
                return
            }
            let message = count > 1 ? "\(event.message) (\(count) times)" : event.message
            Task {
                switch event.severity {
                case .normal: await events.normal(object, reason: event.reason, message: message)
                case .warning: await events.warning(object, reason: event.reason, message: message)
                }
            }
        }
        let nodes = GatewayNames.gatewayNodeLabels.map { label in
            Reflector(
                Node.self, client: client, scope: ListScope(labelSelector: "\(label.0)=\(label.1)"), logger: logger
            ) { [self, newNodes] key in
                // Nodes report their health every few seconds; only one that is new concerns the pool.
                guard newNodes.insert(key) else { return }
                for machine in machines.store.all { nodePools.enqueue(ObjectKey(machine)) }
            }
        }
        return [
            { [self] in await staticGateways.run() }, { [self] in await loadBalancers.run() },
            { [self] in await nodePools.run() }, { try await gateways.run() }, { try await balancers.run() },
            { try await machines.run() },
        ] + nodes.map { reflector in { @Sendable in try await reflector.run() } }
    }
}

/// Gateway nodes seen so far; a node that leaves and comes back under its name is healed by the periodic pass.
private final class SeenNodes: Sendable {
    private let keys = Mutex<Set<ObjectKey>>([])

    /// - Returns: whether the node is new.
    func insert(_ key: ObjectKey) -> Bool { keys.withLock { $0.insert(key).inserted } }
}
