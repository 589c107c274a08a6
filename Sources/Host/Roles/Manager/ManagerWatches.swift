import Kubernetes
import Logging
import ProviderKit
import Reconcile

/// What a manager knows of the cluster, and the watches that keep it so.
///
/// They run from the role's start on, on a standby, too: a manager that comes to lead has all objects already.
struct ManagerWatches: Sendable {
    /// Where changes go. A standby drops them: what its stores hold is looked at when it comes to lead.
    struct Receivers: Sendable {
        var gateways: @Sendable (StoreChange) -> Void
        var balancers: @Sendable (StoreChange) -> Void
        var machines: @Sendable (StoreChange) -> Void
        /// The pool of a GatewayVMConfiguration got or lost a node.
        var pool: @Sendable (ObjectKey) -> Void
        /// Something of which ``GatewayUse`` is made has changed.
        var use: @Sendable () -> Void
    }

    let gateways: Reflector<StaticGatewayConfiguration>
    let balancers: Reflector<GatewayLBConfiguration>
    let machines: Reflector<GatewayVMConfiguration>
    let nodes: [Reflector<Node>]
    let reports: Reflector<GatewayNodeReport>
    let pods: Reflector<PodEndpoint>

    private static let uidIndex = "uid"

    /// - Parameter namespace: where the gateway nodes keep their reports.
    init(
        client: KubernetesClient, namespace: String, logger: Logger, environment: ReconcileEnvironment,
        to receivers: Receivers
    ) {
        gateways = Reflector(
            StaticGatewayConfiguration.self, client: client, logger: logger, environment: environment,
            onChange: receivers.gateways)
        balancers = Reflector(
            GatewayLBConfiguration.self, client: client, indexes: [Self.uidIndex: { [$0.metadata.uid] }],
            logger: logger, environment: environment, onChange: receivers.balancers)
        let machines = Reflector(
            GatewayVMConfiguration.self, client: client, indexes: [Self.uidIndex: { [$0.metadata.uid] }],
            logger: logger, environment: environment
        ) { change in
            receivers.machines(change)
            receivers.use()
        }
        self.machines = machines
        nodes = GatewayNames.gatewayNodeLabels.map { label in
            Reflector(
                Node.self, client: client, scope: ListScope(labelSelector: "\(label.0)=\(label.1)"), logger: logger,
                environment: environment
            ) { change in
                receivers.use()
                // Nodes report their health every few seconds; only one that comes or goes concerns the pool.
                guard change.kind != .modified else { return }
                for key in machines.store.keys { receivers.pool(key) }
            }
        }
        reports = Reflector(
            GatewayNodeReport.self, client: client, scope: ListScope(namespace: namespace),
            indexes: [GatewayUse.index: GatewayUse.configurations], logger: logger, environment: environment
        ) { _ in receivers.use() }
        pods = Reflector(
            PodEndpoint.self, client: client, indexes: [GatewayUse.index: GatewayUse.configurations], logger: logger,
            environment: environment, reduce: GatewayUse.reduce
        ) { _ in receivers.use() }
    }

    /// The watches themselves; each runs until its task is cancelled.
    var jobs: [@Sendable () async throws -> Void] {
        [
            { try await gateways.run() }, { try await balancers.run() }, { try await machines.run() },
            { try await reports.run() }, { try await pods.run() },
        ] + nodes.map { reflector in { @Sendable in try await reflector.run() } }
    }

    /// The object a plugin speaks of: an item of a request is named by its object's UID.
    func object(ofItem uid: String) -> ObjectReference? {
        balancers.store.objects(inIndex: Self.uidIndex, value: uid).first?.objectReference
            ?? machines.store.objects(inIndex: Self.uidIndex, value: uid).first?.objectReference
    }

    /// Waits until all objects that the controllers make or look after have been seen once.
    func waitUntilSynced() async throws {
        try await gateways.store.waitUntilSynced()
        try await balancers.store.waitUntilSynced()
        try await machines.store.waitUntilSynced()
    }
}
