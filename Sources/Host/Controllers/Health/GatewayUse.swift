import Kubernetes
import Reconcile
import Synchronization

/// What a gateway node reports, as the manager needs it: without the list of peers, which is as long as there are pods.
struct GatewayNodeReport: KubernetesResource {
    static let resourceType = GatewayStatus.resourceType

    struct Spec: Codable, Sendable, Equatable {
        var readyGatewayConfigurations: [ReadyGatewayConfiguration]?
    }

    var metadata: ObjectMeta
    var spec: Spec?
}

/// How a configuration is used and served right now: its pods, and which of its nodes say that they carry its traffic.
struct GatewayUse: Sendable, Equatable {
    /// Type of the condition it makes.
    static let conditionType = "GatewaysHealthy"
    /// Index of PodEndpoints and of reports by the configurations that they name.
    static let index = "configuration"
    /// Nodes named in a message; more are counted.
    private static let namedNodes = 5

    /// Nodes that have the configuration's addresses, sorted.
    var nodes: [String]
    /// Why nodes do not carry its traffic, by node.
    var faults: [String: String]
    var pods: Int

    var healthyCount: Int { nodes.count - faults.count }
    /// For the printer column, such as `2/2`.
    var healthyText: String { "\(healthyCount)/\(nodes.count)" }

    /// - Parameters:
    ///   - profiles: the nodes that the provider gave addresses.
    ///   - reporting: names of the nodes that report a tunnel server for the configuration.
    ///   - silent: see ``silentNodes(_:)``.
    init(profiles: [GatewayVMProfile], reporting: [String], silent: Set<String>, pods: Int) {
        let reported = Set(reporting.map(Self.comparable))
        nodes = Set(profiles.map(\.nodeName)).sorted()
        faults = [:]
        for node in nodes {
            let name = Self.comparable(node)
            if silent.contains(name) {
                faults[node] = "the node is not ready"
            } else if !reported.contains(name) {
                faults[node] = "its tunnel server is not reported"
            }
        }
        self.pods = pods
    }

    /// Those of the gateway nodes that the API server knows which are not ready; found once for all configurations.
    static func silentNodes(_ cluster: [Node]) -> Set<String> {
        Set(cluster.filter(isSilent).map { comparable($0.metadata.name) })
    }

    /// Computer names may have capitals, names of Nodes never do.
    private static func comparable(_ name: String) -> String { name.lowercased() }

    /// A node whose kubelet says so, or is not heard of (`Unknown`); what its gateway reported last is old.
    private static func isSilent(_ node: Node) -> Bool {
        guard let ready = Conditions.find("Ready", in: node.status?.conditions) else { return false }
        return ready.status != "True"
    }

    static func configurations(of endpoint: PodEndpoint) -> [String] {
        [
            ObjectKey(namespace: endpoint.metadata.namespace, name: endpoint.spec.staticGatewayConfiguration)
                .description
        ]
    }

    /// Pods are counted by configuration; nothing else of them is read here.
    @Sendable static func reduce(_ endpoint: inout PodEndpoint) {
        let (metadata, spec) = (endpoint.metadata, endpoint.spec)
        endpoint = PodEndpoint(
            metadata: ObjectMeta(name: metadata.name, namespace: metadata.namespace),
            spec: PodEndpointSpec(staticGatewayConfiguration: spec.staticGatewayConfiguration))
    }

    static func configurations(of report: GatewayNodeReport) -> [String] {
        (report.spec?.readyGatewayConfigurations ?? []).map(\.staticGatewayConfiguration)
    }

    func condition(generation: Int64) -> Condition {
        var condition = Condition(type: Self.conditionType, status: "False", observedGeneration: generation)
        if nodes.isEmpty {
            condition.status = "Unknown"
            condition.reason = "NodesPending"
            condition.message = "no gateway node has addresses for this configuration yet"
        } else if faults.isEmpty {
            condition.status = "True"
            condition.reason = "AllHealthy"
            condition.message = "all \(nodes.count) gateway nodes report that they carry the traffic"
        } else {
            condition.reason = healthyCount == 0 ? "NoneHealthy" : "SomeUnhealthy"
            let named = faults.sorted { $0.key < $1.key }.prefix(Self.namedNodes).map { "\($0.key): \($0.value)" }
            let rest = faults.count - named.count
            condition.message =
                "\(healthyCount) of \(nodes.count) gateway nodes carry the traffic; " + named.joined(separator: "; ")
                + (rest > 0 ? "; and \(rest) more" : "")
        }
        return condition
    }

    /// Whether the object's status says this already.
    func isTold(by gateway: StaticGatewayConfiguration) -> Bool {
        let status = gateway.status ?? StaticGatewayConfigurationStatus()
        var told = Conditions.find(Self.conditionType, in: status.conditions)
        told?.lastTransitionTime = nil
        return status.healthyGateways == healthyText && status.pods == Int32(clamping: pods)
            && told == condition(generation: gateway.metadata.generation)
    }

    /// The status with everything put in that this says.
    func entered(
        in status: StaticGatewayConfigurationStatus, generation: Int64, now: Timestamp
    ) -> StaticGatewayConfigurationStatus {
        var status = status
        status.healthyGateways = healthyText
        status.pods = Int32(clamping: pods)
        status.conditions = Conditions.setting(
            condition(generation: generation), in: status.conditions, now: now)
        return status
    }
}

/// The latest ``GatewayUse`` of each configuration: written by ``GatewayUseWatch``, read by the controller.
final class GatewayUses: Sendable {
    private let uses = Mutex<[ObjectKey: GatewayUse]>([:])

    /// nil until everything it is made of was seen once.
    subscript(key: ObjectKey) -> GatewayUse? { uses.withLock { $0[key] } }

    func replaceAll(_ new: [ObjectKey: GatewayUse]) { uses.withLock { $0 = new } }
}
