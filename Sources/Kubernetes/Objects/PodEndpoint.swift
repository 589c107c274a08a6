/// Where a pod and its gateway meet (upstream behaviour section 1.5). Named as the pod and controlled by it.
public struct PodEndpoint: KubernetesResource {
    public static let resourceType = ResourceType(
        group: egressGatewayGroup, version: egressGatewayVersion, kind: "PodEndpoint", plural: "podendpoints",
        namespaced: true)

    public var metadata: ObjectMeta
    /// The pod's side of the tunnel.
    public var spec: PodEndpointSpec
    /// Upstream never writes it.
    public var status: PodEndpointStatus?

    /// Makes an object that no server knows yet.
    public init(metadata: ObjectMeta, spec: PodEndpointSpec, status: PodEndpointStatus? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.value(.metadata, default: ObjectMeta())
        spec = try container.value(.spec, default: PodEndpointSpec())
        status = try container.decodeIfPresent(PodEndpointStatus.self, forKey: .status)
    }
}

/// Desired state of a ``PodEndpoint``.
public struct PodEndpointSpec: Codable, Sendable, Equatable {
    /// Name of the StaticGatewayConfiguration in the same namespace.
    public var staticGatewayConfiguration: String
    /// The pod's IPv4 address with `/32`.
    public var podIpAddress: String
    /// Curve25519 public key of the pod, base64.
    public var podPublicKey: String

    /// Makes a spec.
    public init(staticGatewayConfiguration: String = "", podIpAddress: String = "", podPublicKey: String = "") {
        self.staticGatewayConfiguration = staticGatewayConfiguration
        self.podIpAddress = podIpAddress
        self.podPublicKey = podPublicKey
    }

    private enum CodingKeys: String, CodingKey {
        case staticGatewayConfiguration, podIpAddress, podPublicKey
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        staticGatewayConfiguration = try container.value(.staticGatewayConfiguration, default: "")
        podIpAddress = try container.value(.podIpAddress, default: "")
        podPublicKey = try container.value(.podPublicKey, default: "")
    }
}

/// Observed state of a ``PodEndpoint``; upstream's is empty.
public struct PodEndpointStatus: Codable, Sendable, Equatable {
    /// Our addition.
    public var conditions: [Condition]?

    /// The default is upstream's empty status.
    public init(conditions: [Condition]? = nil) {
        self.conditions = conditions
    }
}

/// What one gateway node has ready, for diagnosis (upstream behaviour section 1.4). The data is in `spec`.
public struct GatewayStatus: KubernetesResource {
    public static let resourceType = ResourceType(
        group: egressGatewayGroup, version: egressGatewayVersion, kind: "GatewayStatus", plural: "gatewaystatuses",
        namespaced: true)

    public var metadata: ObjectMeta
    /// Gateways and peers that are ready on the node.
    public var spec: GatewayStatusSpec
    /// Upstream never writes it.
    public var status: GatewayStatusStatus?

    /// Makes an object that no server knows yet.
    public init(
        metadata: ObjectMeta, spec: GatewayStatusSpec = GatewayStatusSpec(), status: GatewayStatusStatus? = nil
    ) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.value(.metadata, default: ObjectMeta())
        spec = try container.value(.spec, default: GatewayStatusSpec())
        status = try container.decodeIfPresent(GatewayStatusStatus.self, forKey: .status)
    }
}

/// The lists of a ``GatewayStatus``.
public struct GatewayStatusSpec: Codable, Sendable, Equatable {
    /// Gateways whose tunnel server is up.
    public var readyGatewayConfigurations: [ReadyGatewayConfiguration]
    /// Peers that are configured.
    public var readyPeerConfigurations: [ReadyPeerConfiguration]

    /// The default says nothing is ready.
    public init(
        readyGatewayConfigurations: [ReadyGatewayConfiguration] = [],
        readyPeerConfigurations: [ReadyPeerConfiguration] = []
    ) {
        self.readyGatewayConfigurations = readyGatewayConfigurations
        self.readyPeerConfigurations = readyPeerConfigurations
    }

    private enum CodingKeys: String, CodingKey {
        case readyGatewayConfigurations, readyPeerConfigurations
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        readyGatewayConfigurations = try container.value(.readyGatewayConfigurations, default: [])
        readyPeerConfigurations = try container.value(.readyPeerConfigurations, default: [])
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeUnlessEmpty(readyGatewayConfigurations, .readyGatewayConfigurations)
        try container.encodeUnlessEmpty(readyPeerConfigurations, .readyPeerConfigurations)
    }
}

/// One gateway that is ready on a node.
public struct ReadyGatewayConfiguration: Codable, Sendable, Equatable {
    /// `namespace/name`.
    public var staticGatewayConfiguration: String
    /// Name of the tunnel link, such as `wg-6000`.
    public var interfaceName: String

    /// Makes an entry.
    public init(staticGatewayConfiguration: String, interfaceName: String) {
        self.staticGatewayConfiguration = staticGatewayConfiguration
        self.interfaceName = interfaceName
    }
}

/// One peer that is configured on a node.
public struct ReadyPeerConfiguration: Codable, Sendable, Equatable {
    /// `namespace/name`.
    public var podEndpoint: String
    /// Name of the tunnel link, such as `wg-6000`.
    public var interfaceName: String
    /// Curve25519 public key of the pod, base64.
    public var publicKey: String

    /// Makes an entry.
    public init(podEndpoint: String, interfaceName: String, publicKey: String) {
        self.podEndpoint = podEndpoint
        self.interfaceName = interfaceName
        self.publicKey = publicKey
    }
}

/// Observed state of a ``GatewayStatus``; upstream's is empty.
public struct GatewayStatusStatus: Codable, Sendable, Equatable {
    /// Our addition.
    public var conditions: [Condition]?

    /// The default is upstream's empty status.
    public init(conditions: [Condition]? = nil) {
        self.conditions = conditions
    }
}
