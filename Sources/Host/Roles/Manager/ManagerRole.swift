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
/// Where leaders are elected, a standby only watches (``ManagerWatches``), and who has led changes nothing any more
/// (``WriteFence``). Many keys are worked on at a time, so that ``BatchingCapability`` finds calls to join; the cloud sees
/// one call of each capability at a time.
public struct ManagerRole: Service {
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
    private let watches: ManagerWatches
    private let uses: GatewayUses
    private let useSignal: ChangeSignal
    private let receivePluginEvents: @Sendable (@escaping PluginEventHandler) -> Void
    private let elector: LeaderElector?
    private let fence: WriteFence

    /// Keys that a controller works on at a time: the size of a joined call at most. A key that waits for the cloud costs
    /// a suspended task, and the client bounds its own connections to the API server.
    private static let concurrency = 512
    /// Name of the Lease (upstream behaviour section 2.1).
    private static let leaseName = "0a299682.microsoft.com"

    /// One reconcile function: a key in, an outcome out.
    public typealias Reconcile = @Sendable (ObjectKey) async -> Outcome

    /// - Parameters:
    ///   - receivePluginEvents: registers who gets what the plugins tell about their items.
    ///   - fenceWrites: registers who is asked before the plugins change something (``PluginRuntime/fenceWrites(_:)``).
    ///   - environment: clocks and randomness of everything the role does.
    ///   - identity: holder of the Lease; nil: host name and a random number.
    ///   - generateKey: makes the private key of a configuration; nil: libsodium's.
    ///   - interpose: lays something around the reconcile function of the controller of that name, such as a trace.
    public init(
        settings: ManagerSettings, client: KubernetesClient, loadBalancer: any CapabilityClient<LoadBalancer>,
        nodePool: any CapabilityClient<NodePool>, events: EventRecorder, logger: Logger,
        receivePluginEvents: @escaping @Sendable (@escaping PluginEventHandler) -> Void = { _ in },
        fenceWrites: (@escaping @Sendable () -> ProviderError?) -> Void = { _ in },
        environment: ReconcileEnvironment = ReconcileEnvironment(), identity: String? = nil,
        generateKey: (@Sendable () throws -> WireGuardPrivateKey)? = nil,
        interpose: (_ controller: String, @escaping Reconcile) -> Reconcile = { $1 }
    ) throws {
        self.events = events
        self.receivePluginEvents = receivePluginEvents
        self.logger = logger
        self.environment = environment
        self.settings = settings
        let elector = try Self.makeElector(settings, client, identity, environment, logger)
        let fence = WriteFence { elector?.isLeading ?? true }
        let loss = "this manager does not lead any more; it changes nothing"
        fenceWrites { fence.isShut ? ProviderError(.cancelled, loss) : nil }
        let writer = client.guarded { if !fence.isOpen { throw ReconcileError(.leadershipLost, loss) } }
        let objects = GatewayObjects(client: writer)
        let loadBalancer = BatchingCapability(
            FencedCapability(loadBalancer, fence: fence), clock: environment.clock)
        let nodePool = BatchingCapability(FencedCapability(nodePool, fence: fence), clock: environment.clock)
        let balancer = LoadBalancerController(
            objects: objects, loadBalancer: loadBalancer, events: events, settings: settings, now: environment.now)
        let pool = NodePoolController(
            objects: objects, nodePool: nodePool, events: events, settings: settings, now: environment.now)
        func controller(_ name: String, _ deadline: Duration, _ reconcile: @escaping Reconcile) -> Controller {
            Controller(
                name: name, concurrency: Self.concurrency, logger: logger, runDeadline: deadline,
                environment: environment, reconcile: interpose(name, reconcile))
        }
        let loadBalancers = controller("load-balancer", RunDeadline.loadBalancer, balancer.reconcile)
        let nodePools = controller("node-pool", RunDeadline.nodePool, pool.reconcile)
        let uses = GatewayUses()
        var staticGateway = StaticGatewayController(
            objects: objects, events: events, settings: settings, uses: uses, now: environment.now)
        if let generateKey { staticGateway.generateKey = generateKey }
        let staticGateways = controller(
            "static-gateway", RunDeadline.staticGateway, staticGateway.reconcile)
        useSignal = ChangeSignal()
        watches = ManagerWatches(
            client: client, namespace: settings.secretNamespace, logger: logger, environment: environment,
            to: Self.receivers(fence, useSignal, staticGateways, loadBalancers, nodePools))
        self.uses = uses
        (self.elector, self.fence, self.objects) = (elector, fence, objects)
        (self.loadBalancer, self.nodePool) = (loadBalancer, nodePool)
        (self.staticGateways, self.loadBalancers, self.nodePools) = (staticGateways, loadBalancers, nodePools)
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
        let access = ClientLeaseAccess(
            client: client, namespace: election.namespace, name: election.name, logger: logger,
            environment: environment)
        return LeaderElector(settings: election, access: access, logger: logger, environment: environment)
    }

    private static func receivers(
        _ fence: WriteFence, _ useSignal: ChangeSignal, _ staticGateways: Controller, _ loadBalancers: Controller,
        _ nodePools: Controller
    ) -> ManagerWatches.Receivers {
        // A standby's queues stay empty: nobody works on them.
        func whileWorking<Change>(_ receive: @escaping @Sendable (Change) -> Void) -> @Sendable (Change) -> Void {
            { change in if fence.isRunning { receive(change) } }
        }
        return ManagerWatches.Receivers(
            gateways: whileWorking { (change: StoreChange) in
                staticGateways.enqueue(change)
                useSignal.raise()
            },
            balancers: whileWorking { (change: StoreChange) in
                loadBalancers.enqueue(change)
                staticGateways.enqueue(change)
            },
            machines: whileWorking { (change: StoreChange) in
                nodePools.enqueue(change)
                // Its status is copied up, and its end lets the owner of the same name go on.
                loadBalancers.enqueue(change)
            },
            pool: whileWorking { (key: ObjectKey) in nodePools.enqueue(key) },
            use: { useSignal.raise() })
    }

    /// Watches, leads if leaders are elected, and works; a leadership that is lost ends the role with an error.
    public func run() async throws {
        receivePluginEvents { [self] plugin, event, count in tell(event, of: plugin, count: count) }
        try await cancelWhenGracefulShutdown {
            do {
                try await Self.runAll(
                    watches.jobs + [
                        {
                            guard let elector else { return try await work() }
                            try await elector.run { try await work() }
                        }
                    ])
            } catch is CancellationError {}
        }
    }

    /// Runs jobs together; the first to end, by cancellation or error, ends the others.
    private static func runAll(_ jobs: [@Sendable () async throws -> Void]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for job in jobs { group.addTask { try await job() } }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func work() async throws {
        fence.open()
        defer { fence.shut() }
        try await withTaskCancellationHandler {
            enqueueKnown()
            try await Self.runAll(
                [
                    { await staticGateways.run() }, { await loadBalancers.run() }, { await nodePools.run() },
                    { try await measureRuns() },
                ] + healthJobs)
        } onCancel: {
            fence.shut()
        }
    }

    /// What a standby's watches have brought before it leads.
    private func enqueueKnown() {
        staticGateways.enqueue(watches.gateways.store.keys.sorted(), priority: .background)
        loadBalancers.enqueue(watches.balancers.store.keys.sorted(), priority: .background)
        nodePools.enqueue(watches.machines.store.keys.sorted(), priority: .background)
    }

    /// Runs that hang are seen only if somebody looks; client-go looks every half second.
    private func measureRuns() async throws {
        while true {
            try await environment.clock.sleep(for: .seconds(5))
            for controller in [staticGateways, loadBalancers, nodePools] { controller.measureRuns() }
        }
    }

    private func tell(_ event: PluginEvent, of plugin: String, count: Int) {
        guard let object = watches.object(ofItem: event.item) else {
            logger.info(
                "event about an object that is gone",
                metadata: [
                    "plugin": .string(plugin), "item": .string(event.item), "reason": .string(event.reason),
                ])
            return
        }
        let message = count > 1 ? "\(event.message) (\(count) times)" : event.message
        Task { [events] in
            switch event.severity {
            case .normal: await events.normal(object, reason: event.reason, message: message)
            case .warning: await events.warning(object, reason: event.reason, message: message)
            }
        }
    }
}

extension ManagerRole {
    /// Compare, prune and count; they begin when all objects have been seen once.
    private var healthJobs: [@Sendable () async throws -> Void] {
        let (balancers, machines) = (watches.balancers.store, watches.machines.store)
        let teller = DriftTeller(objects: objects, events: events, now: environment.now)
        let balancerWatch = DriftWatch(
            store: balancers, capability: loadBalancer, teller: teller, settings: settings, logger: logger,
            environment: environment, enqueue: { [loadBalancers] in loadBalancers.enqueue($0) },
            isInherited: { balancer, failure in machines[ObjectKey(balancer)]?.failure?.reason == failure.reason })
        let machineWatch = DriftWatch(
            store: machines, capability: nodePool, teller: teller, settings: settings, logger: logger,
            environment: environment, enqueue: { [nodePools] in nodePools.enqueue($0) })
        let pruner = CloudPruner(
            objects: objects, loadBalancer: loadBalancer, nodePool: nodePool,
            keys: KeyPruner(objects: objects, settings: settings, logger: logger), settings: settings, logger: logger,
            environment: environment)
        let useWatch = GatewayUseWatch(
            watches: watches, uses: uses, signal: useSignal, environment: environment,
            enqueue: { [staticGateways] in staticGateways.enqueue($0) })
        return [
            { try await balancerWatch.run() }, { try await machineWatch.run() }, { try await useWatch.run() },
            { [watches] in
                try await watches.waitUntilSynced()
                try await pruner.run()
            },
        ]
    }
}
