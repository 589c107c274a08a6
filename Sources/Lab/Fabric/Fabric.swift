import LinuxNet
import Logging

/// The virtual network: a router in a namespace that makes packets obey the simulator's topology. Load balancing with
/// live health probes, public addresses at the internet edge, and Azure's refusals.
///
/// One actor owns the wiring; `run` applies every change of topology and health in order.
public actor Fabric {
    /// Health of one backend for one rule.
    public struct BackendHealth: Sendable, Codable, Equatable {
        /// `LOADBALANCER/RULE`.
        public var rule: String
        public var node: String
        public var isHealthy: Bool
    }

    private enum Change: Sendable {
        case topology(AzureTopology)
        case health(ProbeTarget, Bool)
    }

    private let configuration: FabricConfiguration
    private let logger: Logger
    private let namespace: NetworkNamespace
    private let internet: NetworkNamespace
    private var nodes: [FabricNode] = []
    private var topology = AzureTopology()
    private var healthy: Set<ProbeTarget> = []
    private var applied: FabricPlan?

    /// - Throws: `invalidValue` if a namespace name is not one.
    public init(configuration: FabricConfiguration, logger: Logger) throws {
        self.configuration = configuration
        self.logger = logger
        namespace = try NetworkNamespace(name: configuration.namespace)
        internet = try NetworkNamespace(name: configuration.internetNamespace)
    }

    /// Makes the router, the internet host and the nodes with their links. What is there already must be gone first.
    public func wire(nodes: [FabricNode]) async throws {
        let wiring = FabricWiring(configuration: configuration, namespace: namespace, internet: internet)
        try await NetworkNamespace.current.run { try wiring.build(nodes: nodes) }
        self.nodes = nodes
        try await apply()
    }

    /// Follows the topology until the task is cancelled.
    ///
    /// - Throws: What the kernel refuses; the network is then in the state before the refused change.
    public func run(topologies: AsyncStream<AzureTopology>) async throws {
        let prober = try HealthProber(source: configuration.probeSource)
        let (changes, continuation) = AsyncStream.makeStream(of: Change.self, bufferingPolicy: .bufferingNewest(4096))
        let namespace = namespace
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await topology in topologies { continuation.yield(.topology(topology)) }
            }
            group.addTask {
                try await withTaskCancellationHandler {
                    try await namespace.run {
                        prober.run { target, isHealthy in continuation.yield(.health(target, isHealthy)) }
                    }
                } onCancel: {
                    prober.stop()
                }
            }
            group.addTask {
                for await change in changes { try await self.take(change, prober: prober) }
            }
            defer { prober.stop() }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Every probed backend, by rule and node.
    public func health() -> [BackendHealth] {
        topology.probeTargets
            .map { BackendHealth(rule: $0.rule, node: $0.node, isHealthy: healthy.contains($0)) }
            .sorted { ($0.rule, $0.node) < ($1.rule, $1.node) }
    }

    /// Sets a node's interface up or down, as pulling its cable would.
    ///
    /// - Throws: `notFound` if there is no such node.
    public func setLink(of nodeName: String, isUp: Bool) async throws {
        guard let node = nodes.first(where: { $0.name == nodeName }) else {
            throw LinuxNetError(
                code: .notFound, message: "node \"\(nodeName)\" is not in the fabric",
                advice: "nodes are: \(nodes.map(\.name).joined(separator: ", "))")
        }
        try await NetworkNamespace(name: node.namespace).run {
            let socket = try RouteSocket()
            let link = try socket.requireLink(named: FabricConfiguration.nodeLink)
            try socket.setUp(isUp, index: link.index)
            guard isUp else { return }
            // The kernel drops an interface's routes with the interface.
            try socket.ensureRoute(Route(to: .all(.ipv4), via: node.router, linkIndex: link.index))
        }
        logger.notice("link \(isUp ? "up" : "down")", metadata: ["node": "\(nodeName)"])
    }

    private func take(_ change: Change, prober: HealthProber) async throws {
        switch change {
        case .topology(let topology):
            self.topology = topology
            let targets = topology.probeTargets
            healthy.formIntersection(targets)
            prober.setTargets(targets)
        case .health(let target, let isHealthy):
            guard topology.probeTargets.contains(target) else { return }
            logger.notice(
                "backend is \(isHealthy ? "healthy" : "unhealthy")",
                metadata: ["rule": "\(target.rule)", "node": "\(target.node)"])
            if isHealthy { healthy.insert(target) } else { healthy.remove(target) }
        }
        try await apply()
    }

    private func apply() async throws {
        let plan = FabricPlan(topology: topology, nodes: nodes, healthy: healthy)
        guard plan != applied else { return }
        for refusal in plan.refusals where applied?.refusals.contains(refusal) != true {
            logger.warning("\(refusal)")
        }
        let (previous, configuration) = (applied, configuration)
        try await namespace.run { try plan.apply(replacing: previous, configuration) }
        applied = plan
    }
}

extension FabricPlan {
    /// Makes the calling thread's network namespace follow the plan. What a flow needs comes before what sends it
    /// there, and goes after.
    fileprivate func apply(replacing previous: FabricPlan?, _ configuration: FabricConfiguration) throws {
        let socket = try RouteSocket()
        let indices = Dictionary(try socket.links().map { ($0.name, $0.index) }) { first, _ in first }
        func route(_ planned: PlannedRoute) -> Route? {
            indices[planned.link].map {
                Route(
                    to: planned.destination, via: planned.gateway, linkIndex: $0, table: planned.table,
                    isOnLink: planned.gateway != nil)
            }
        }
        for planned in routes.subtracting(previous?.routes ?? []) {
            if let route = route(planned) { try socket.ensureRoute(route) }
        }
        for mark in marks.subtracting(previous?.marks ?? []) {
            try socket.ensureRule(RoutingRule(table: mark, mark: .init(mark)))
        }
        try NFTables.run(ruleset(configuration))
        for mark in (previous?.marks ?? []).subtracting(marks) {
            try socket.ensureNoRule(RoutingRule(table: mark, mark: .init(mark)))
        }
        for planned in (previous?.routes ?? []).subtracting(routes) {
            if let route = route(planned) { try socket.ensureNoRoute(route) }
        }
    }
}
