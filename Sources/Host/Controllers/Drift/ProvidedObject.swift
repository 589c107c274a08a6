import Kubernetes
import ProviderKit

/// An object whose state in the cloud a provider makes.
protocol ProvidedObject: KubernetesResource {
    associatedtype Contract: CapabilityContract where Contract.Reference == PoolReference

    /// Set before the provider is called for the first time.
    static var providerFinalizer: String { get }
    /// Whether the object's own state is told through a GatewayLBConfiguration of its name.
    static var isBelowLoadBalancer: Bool { get }
    /// Comparisons in each `checkSeconds`, 1 or more.
    static var looksPerInterval: Int { get }

    var spec: GatewayConfigurationSpec { get }
    var conditions: [Condition]? { get }
    /// Whether the provider has made everything at least once.
    var isProvisioned: Bool { get }

    /// What was found of an object, for people.
    static func describe(_ observed: Contract.Observed) -> String

    init(metadata: ObjectMeta, spec: GatewayConfigurationSpec)

    /// What the provider shall make; nil for an object that lacks its owner, or asks for what the operator has not opened
    /// to it.
    func desired(_ settings: ManagerSettings) -> Contract.Desired?
}

extension ProvidedObject {
    /// The object as `remove`, `prune` and `status` name it.
    var poolReference: PoolReference { PoolReference(id: metadata.uid, pool: spec.pool) }

    /// What the object tells of its present form, if that is a failure.
    var failure: Condition? { FailureCondition.failure(in: conditions, generation: metadata.generation) }
}

extension GatewayLBConfiguration: ProvidedObject {
    typealias Contract = LoadBalancer

    static var providerFinalizer: String { GatewayNames.loadBalancerFinalizer }
    static var isBelowLoadBalancer: Bool { false }
    static var looksPerInterval: Int { 1 }

    static func describe(_ observed: LoadBalancer.Observed) -> String {
        "frontend \(observed.frontendIP), UDP port \(observed.port)"
    }

    init(metadata: ObjectMeta, spec: GatewayConfigurationSpec) {
        self.init(metadata: metadata, spec: spec, status: nil)
    }

    var conditions: [Condition]? { status?.conditions }
    var isProvisioned: Bool { (status?.serverPort ?? 0) != 0 }

    func desired(_ settings: ManagerSettings) -> LoadBalancer.Desired? {
        guard let owner = staticGatewayOwner else { return nil }
        return LoadBalancer.Desired(
            id: metadata.uid, pool: spec.pool,
            probe: .init(path: GatewayNames.probePath(staticGatewayUID: owner.uid), port: settings.gatewayProbePort))
    }
}

extension GatewayVMConfiguration: ProvidedObject {
    typealias Contract = NodePool

    static var providerFinalizer: String { GatewayNames.nodePoolFinalizer }
    static var isBelowLoadBalancer: Bool { true }
    /// A strip takes the addresses of every gateway at once, and its repair takes the writes of whole machines; so half
    /// of the time that it may last is not spent on waiting for the next look.
    static var looksPerInterval: Int { 2 }

    static func describe(_ observed: NodePool.Observed) -> String {
        "egress prefix \(observed.egressPrefix), on \(observed.nodes.count) nodes"
    }

    init(metadata: ObjectMeta, spec: GatewayConfigurationSpec) {
        self.init(metadata: metadata, spec: spec, status: nil)
    }

    var conditions: [Condition]? { status?.conditions }
    var isProvisioned: Bool { status?.egressIpPrefix.isEmpty == false }

    func desired(_ settings: ManagerSettings) -> NodePool.Desired? {
        let isRefused =
            !spec.publicIpPrefixId.isEmpty
            && settings.broughtPrefixes?.refusal(of: spec.publicIpPrefixId, in: metadata.namespace) != nil
        return isRefused ? nil : NodePoolController.desired(self)
    }
}
