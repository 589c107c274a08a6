/// The object a user creates (upstream behaviour section 1.1): pods annotated with its name leave the cluster from its
/// prefix.
public struct StaticGatewayConfiguration: KubernetesResource {
    public static let resourceType = ResourceType(
        group: egressGatewayGroup, version: egressGatewayVersion, kind: "StaticGatewayConfiguration",
        plural: "staticgatewayconfigurations", namespaced: true)

    public var metadata: ObjectMeta
    /// What the user wants.
    public var spec: StaticGatewayConfigurationSpec
    /// What was observed; nil until the first status write.
    public var status: StaticGatewayConfigurationStatus?

    /// Makes an object that no server knows yet.
    public init(
        metadata: ObjectMeta, spec: StaticGatewayConfigurationSpec, status: StaticGatewayConfigurationStatus? = nil
    ) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.value(.metadata, default: ObjectMeta())
        spec = try container.value(.spec, default: StaticGatewayConfigurationSpec())
        status = try container.decodeIfPresent(StaticGatewayConfigurationStatus.self, forKey: .status)
    }
}

/// Group of the five kinds; the same as upstream, so that existing objects stay valid.
public let egressGatewayGroup = "egressgateway.kubernetes.azure.com"
/// The only version of that group.
public let egressGatewayVersion = "v1alpha1"

/// An explicit virtual machine scale set. Empty (`{}`) when a node pool is named instead.
public struct GatewayVmssProfile: Codable, Sendable, Equatable {
    /// Resource group of the scale set, in the cluster's subscription.
    public var vmssResourceGroup: String
    /// Name of the scale set.
    public var vmssName: String
    /// Length of the public IP prefix, 0...31; Azure makes 28...31.
    public var publicIpPrefixSize: Int32

    /// The default is the empty profile.
    public init(vmssResourceGroup: String = "", vmssName: String = "", publicIpPrefixSize: Int32 = 0) {
        self.vmssResourceGroup = vmssResourceGroup
        self.vmssName = vmssName
        self.publicIpPrefixSize = publicIpPrefixSize
    }

    /// True only if all three members have their zero value (upstream behaviour section 1.1).
    public var isEmpty: Bool { self == GatewayVmssProfile() }

    private enum CodingKeys: String, CodingKey {
        case vmssResourceGroup, vmssName, publicIpPrefixSize
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        vmssResourceGroup = try container.value(.vmssResourceGroup, default: "")
        vmssName = try container.value(.vmssName, default: "")
        publicIpPrefixSize = try container.value(.publicIpPrefixSize, default: 0)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeUnlessEmpty(vmssResourceGroup, .vmssResourceGroup)
        try container.encodeUnlessEmpty(vmssName, .vmssName)
        try container.encodeUnlessZero(publicIpPrefixSize, .publicIpPrefixSize)
    }
}

/// Where a pod's default route goes. A struct, so that an unknown value reaches validation instead of not decoding.
public struct DefaultRoute: RawRepresentable, Codable, Sendable, Hashable {
    public var rawValue: String

    public init(rawValue: String) {
        self.rawValue = rawValue
    }

    /// The default route goes through the gateway; `excludeCidrs` do not.
    public static let staticEgressGateway = DefaultRoute(rawValue: "staticEgressGateway")
    /// The default route stays; only `excludeCidrs` go through the gateway.
    public static let azureNetworking = DefaultRoute(rawValue: "azureNetworking")
    /// All values a server accepts.
    public static let allowed = [azureNetworking, staticEgressGateway]
}

/// Desired state of a ``StaticGatewayConfiguration``.
public struct StaticGatewayConfigurationSpec: Codable, Sendable, Equatable {
    /// Agent pool of the gateway nodes; excludes `gatewayVmssProfile`.
    public var gatewayNodepoolName: String
    /// Explicit scale set; excludes `gatewayNodepoolName`.
    public var gatewayVmssProfile: GatewayVmssProfile
    /// Where the pod's default route goes.
    public var defaultRoute: DefaultRoute
    /// False: egress with the nodes' private addresses, no public prefix.
    public var provisionPublicIps: Bool
    /// ARM id of a prefix the user brings; empty: one is made.
    public var publicIpPrefixId: String
    /// Destinations (IPv4 CIDR) that take the other path than `defaultRoute`.
    public var excludeCidrs: [String]
    /// Our addition: IP versions of the egress addresses; empty: IPv4 alone.
    public var ipFamilies: [String]

    /// Makes a spec with upstream's defaults.
    public init(
        gatewayNodepoolName: String = "", gatewayVmssProfile: GatewayVmssProfile = GatewayVmssProfile(),
        defaultRoute: DefaultRoute = .staticEgressGateway, provisionPublicIps: Bool = true,
        publicIpPrefixId: String = "", excludeCidrs: [String] = [], ipFamilies: [String] = []
    ) {
        self.gatewayNodepoolName = gatewayNodepoolName
        self.gatewayVmssProfile = gatewayVmssProfile
        self.defaultRoute = defaultRoute
        self.provisionPublicIps = provisionPublicIps
        self.publicIpPrefixId = publicIpPrefixId
        self.excludeCidrs = excludeCidrs
        self.ipFamilies = ipFamilies
    }

    private enum CodingKeys: String, CodingKey {
        case gatewayNodepoolName, gatewayVmssProfile, defaultRoute, provisionPublicIps, publicIpPrefixId, excludeCidrs
        case ipFamilies
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        gatewayNodepoolName = try container.value(.gatewayNodepoolName, default: "")
        gatewayVmssProfile = try container.value(.gatewayVmssProfile, default: GatewayVmssProfile())
        defaultRoute = try container.value(.defaultRoute, default: .staticEgressGateway)
        provisionPublicIps = try container.value(.provisionPublicIps, default: true)
        publicIpPrefixId = try container.value(.publicIpPrefixId, default: "")
        excludeCidrs = try container.value(.excludeCidrs, default: [])
        ipFamilies = try container.value(.ipFamilies, default: [])
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeUnlessEmpty(gatewayNodepoolName, .gatewayNodepoolName)
        try container.encode(gatewayVmssProfile, forKey: .gatewayVmssProfile)
        try container.encode(defaultRoute, forKey: .defaultRoute)
        try container.encode(provisionPublicIps, forKey: .provisionPublicIps)
        try container.encodeUnlessEmpty(publicIpPrefixId, .publicIpPrefixId)
        try container.encodeUnlessEmpty(excludeCidrs, .excludeCidrs)
        try container.encodeUnlessEmpty(ipFamilies, .ipFamilies)
    }
}

/// What a pod needs to reach its gateway.
public struct GatewayServerProfile: Codable, Sendable, Equatable {
    /// Private IPv4 address of the load balancer's frontend.
    public var ip: String
    /// UDP port, 6000...6999; 0 until known.
    public var port: Int32
    /// Curve25519 public key of the gateway, base64.
    public var publicKey: String
    /// The Secret with the private key; nil until made.
    public var privateKeySecretRef: ObjectReference?

    /// The default is the profile of a gateway about which nothing is known yet.
    public init(ip: String = "", port: Int32 = 0, publicKey: String = "", privateKeySecretRef: ObjectReference? = nil) {
        self.ip = ip
        self.port = port
        self.publicKey = publicKey
        self.privateKeySecretRef = privateKeySecretRef
    }

    private enum CodingKeys: String, CodingKey {
        case ip, port, publicKey, privateKeySecretRef
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        ip = try container.value(.ip, default: "")
        port = try container.value(.port, default: 0)
        publicKey = try container.value(.publicKey, default: "")
        privateKeySecretRef = try container.decodeIfPresent(ObjectReference.self, forKey: .privateKeySecretRef)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeUnlessEmpty(ip, .ip)
        try container.encodeUnlessZero(port, .port)
        try container.encodeUnlessEmpty(publicKey, .publicKey)
        try container.encodeIfPresent(privateKeySecretRef, forKey: .privateKeySecretRef)
    }
}

/// Observed state of a ``StaticGatewayConfiguration``.
public struct StaticGatewayConfigurationStatus: Codable, Sendable, Equatable {
    /// CIDR of the public prefix, or private addresses joined by commas; empty means not ready.
    public var egressIpPrefix: String
    /// Our addition: the same for IPv6; empty unless the spec asks for IPv6.
    public var egressIpv6Prefix: String
    /// How pods reach the gateway.
    public var gatewayServerProfile: GatewayServerProfile
    /// Our addition: gateway nodes that carry the traffic, of all, such as `2/2`; empty until known.
    public var healthyGateways: String
    /// Our addition: pods that use the configuration; nil until counted. It follows them with a delay of seconds.
    public var pods: Int32?
    /// Our addition; nil where upstream wrote the status.
    public var conditions: [Condition]?

    /// The default is the status of an object about which nothing is known yet.
    public init(
        egressIpPrefix: String = "", egressIpv6Prefix: String = "",
        gatewayServerProfile: GatewayServerProfile = GatewayServerProfile(), healthyGateways: String = "",
        pods: Int32? = nil, conditions: [Condition]? = nil
    ) {
        self.egressIpPrefix = egressIpPrefix
        self.egressIpv6Prefix = egressIpv6Prefix
        self.gatewayServerProfile = gatewayServerProfile
        self.healthyGateways = healthyGateways
        self.pods = pods
        self.conditions = conditions
    }

    private enum CodingKeys: String, CodingKey {
        case egressIpPrefix, egressIpv6Prefix, gatewayServerProfile, healthyGateways, pods, conditions
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        egressIpPrefix = try container.value(.egressIpPrefix, default: "")
        egressIpv6Prefix = try container.value(.egressIpv6Prefix, default: "")
        gatewayServerProfile = try container.value(.gatewayServerProfile, default: GatewayServerProfile())
        healthyGateways = try container.value(.healthyGateways, default: "")
        pods = try container.decodeIfPresent(Int32.self, forKey: .pods)
        conditions = try container.decodeIfPresent([Condition].self, forKey: .conditions)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeUnlessEmpty(egressIpPrefix, .egressIpPrefix)
        try container.encodeUnlessEmpty(egressIpv6Prefix, .egressIpv6Prefix)
        try container.encode(gatewayServerProfile, forKey: .gatewayServerProfile)
        try container.encodeUnlessEmpty(healthyGateways, .healthyGateways)
        try container.encodeIfPresent(pods, forKey: .pods)
        try container.encodeIfPresent(conditions, forKey: .conditions)
    }
}
