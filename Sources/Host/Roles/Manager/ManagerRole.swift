import Foundation
import Kubernetes
import LinuxNet
import Logging
import ProviderKit
import Reconcile
import ServiceLifecycle

/// The manager: three controllers over the chain of objects, the watches that feed their queues, and the comparison of
/// the cloud with what they made (``DriftWatch``, ``CloudPruner``).
///
/// Many keys are worked on at a time, so that ``BatchingCapability`` finds calls to join; the cloud sees one call of each
/// capability at a time.
public struct ManagerRole: Service {
    private let client: KubernetesClient
    private let logger: Logger
    private let environment: ReconcileEnvironment
    private let staticGateways: Controller
    private let loadBalancers: Controller
    private let nodePools: Controller
    private let objects: GatewayObjects
    private let settings: ManagerSettings
    private let loadBalancer: BatchingCapability<LoadBalancer>
    private let nodePool: BatchingCapability<NodePool>
    private let events: EventRecorder
    private let receivePluginEvents: @Sendable (@escaping PluginEventHandler) -> Void
    private let elector: LeaderElector?

    /// Keys that a controller works on at a time: the size of a joined call at most. A key that waits for the cloud costs
    /// a suspended task, and the client bounds its own connections to the API server.
    private static let concurrency = 512
    /// Name of the Lease (upstream behaviour section 2.1).
    private static let leaseName = "0a299682.microsoft.com"

    /// One reconcile function: a key in, an outcome out.
    public typealias Reconcile = @Sendable (ObjectKey) async -> Outcome

    /// - Parameters:
    ///   - receivePluginEvents: registers who gets what the plugins tell about their items.
    ///   - environment: clocks and randomness of everything the role does.
    ///   - identity: holder of the Lease; nil: host name and a random number.
    ///   - generateKey: makes the private key of a configuration; nil: libsodium's.
    ///   - interpose: lays something around the reconcile function of the controller of that name, such as a trace.
    public init(
        settings: ManagerSettings, client: KubernetesClient, loadBalancer: any CapabilityClient<LoadBalancer>,
        nodePool: any CapabilityClient<NodePool>, events: EventRecorder, logger: Logger,
        receivePluginEvents: @escaping @Sendable (@escaping PluginEventHandler) -> Void = { _ in },
        environment: ReconcileEnvironment = ReconcileEnvironment(), identity: String? = nil,
        generateKey: (@Sendable () throws -> WireGuardPrivateKey)? = nil,
        interpose: (_ controller: String, @escaping Reconcile) -> Reconcile = { $1 }
    ) throws {
        self.events = events
        self.receivePluginEvents = receivePluginEvents
        self.client = client
        self.logger = logger
        self.environment = environment
        elector = try Self.makeElector(settings, client, identity, environment, logger)
        self.settings = settings
        self.loadBalancer = BatchingCapability(loadBalancer, clock: environment.clock)
        self.nodePool = BatchingCapability(nodePool, clock: environment.clock)
        objects = GatewayObjects(client: client)
        var staticGateway = StaticGatewayController(
            objects: objects, events: events, settings: settings, now: environment.now)
        if let generateKey { staticGateway.generateKey = generateKey }
        let balancer = LoadBalancerController(
            objects: objects, loadBalancer: self.loadBalancer, events: events, settings: settings, now: environment.now)
        let pool = NodePoolController(
            objects: objects, nodePool: self.nodePool, events: events, settings: settings, now: environment.now)
        func controller(_ name: String, _ deadline: Duration, _ reconcile: @escaping Reconcile) -> Controller {
            Controller(
                name: name, concurrency: Self.concurrency, logger: logger, runDeadline: deadline,
                environment: environment, reconcile: interpose(name, reconcile))
        }
        staticGateways = controller("static-gateway", RunDeadline.staticGateway, staticGateway.reconcile)
        loadBalancers = controller("load-balancer", RunDeadline.loadBalancer, balancer.reconcile)
        nodePools = controller("node-pool", RunDeadline.nodePool, pool.reconcile)
    }

    /// How long one run may take. The cloud's calls have limits of their own, and one waits for the joined call before
    /// it; a run is only cut short when those limits failed.
    private enum RunDeadline {
        static let staticGateway = Duration.seconds(2 * 60)
        static let loadBalancer = Duration.seconds(15 * 60)
        static let nodePool = Duration.seconds(40 * 60)
    }

    /// nil where one manager works alone.
    private static func makeElector(
        _ settings: ManagerSettings, _ client: KubernetesClient, _ identity: String?,
        _ environment: ReconcileEnvironment, _ logger: Logger
    ) throws -> LeaderElector? {
        guard settings.leaderElection else { return nil }
        // The host name is the pod's name in a cluster; the number tells two processes of one host apart.
        var random = environment.random
        let number = UInt32.random(in: 0...UInt32.max, using: &random)
        let identity = identity ?? "\(ProcessInfo.processInfo.hostName)_\(number)"
        let election = try LeaderElectionSettings(
            namespace: settings.leaderElectionNamespace, name: leaseName, identity: identity)
        let access = ClientLeaseAccess(client: client, namespace: election.namespace, name: election.name)
        return LeaderElector(settings: election, access: access, logger: logger, environment: environment)
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
        let machines = Reflector(
            GatewayVMConfiguration.self, client: client, logger: logger, environment: environment
        ) { [self] change in
            nodePools.enqueue(change)
            // Its status is copied up, and its end lets the owner of the same name go on.
            loadBalancers.enqueue(change)
        }
        let balancers = Reflector(
            GatewayLBConfiguration.self, client: client, logger: logger, environment: environment
        ) { [self] change in
            loadBalancers.enqueue(change)
            staticGateways.enqueue(change)
        }
        let gateways = Reflector(
            StaticGatewayConfiguration.self, client: client, logger: logger, environment: environment
        ) { [self] change in
            staticGateways.enqueue(change)
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
                Node.self, client: client, scope: ListScope(labelSelector: "\(label.0)=\(label.1)"), logger: logger,
                environment: environment
            ) { [self] change in
                // Nodes report their health every few seconds; only one that comes or goes concerns the pool.
                guard change.kind != .modified else { return }
                for machine in machines.store.all { nodePools.enqueue(ObjectKey(machine)) }
            }
        }
        return [
            { [self] in await staticGateways.run() }, { [self] in await loadBalancers.run() },
            { [self] in await nodePools.run() }, { try await gateways.run() }, { try await balancers.run() },
            { try await machines.run() },
        ] + driftJobs(gateways.store, balancers.store, machines.store)
            + nodes.map { reflector in { @Sendable in try await reflector.run() } }
    }
}

extension ManagerRole {
    /// Begin only when all objects have been seen once; and, as all jobs, only while this manager leads.
    private func driftJobs(
        _ gateways: ObjectStore<StaticGatewayConfiguration>, _ balancers: ObjectStore<GatewayLBConfiguration>,
        _ machines: ObjectStore<GatewayVMConfiguration>
    ) -> [@Sendable () async throws -> Void] {
        let teller = DriftTeller(objects: objects, events: events, now: environment.now)
        let balancerWatch = DriftWatch(
            store: balancers, capability: loadBalancer, teller: teller, settings: settings, logger: logger,
            environment: environment, enqueue: { [loadBalancers] in loadBalancers.enqueue($0) },
            isInherited: { balancer, failure in machines[ObjectKey(balancer)]?.failure?.reason == failure.reason })
        let machineWatch = DriftWatch(
            store: machines, capability: nodePool, teller: teller, settings: settings, logger: logger,
            environment: environment, enqueue: { [nodePools] in nodePools.enqueue($0) })
        let pruner = CloudPruner(
            objects: objects, loadBalancer: loadBalancer, nodePool: nodePool, settings: settings, logger: logger,
            environment: environment)
        return [
            { try await balancerWatch.run() }, { try await machineWatch.run() },
            {
                try await gateways.waitUntilSynced()
                try await balancers.waitUntilSynced()
                try await machines.waitUntilSynced()
                try await pruner.run()
            },
        ]
    }
}
