/// Desired state shared by ``GatewayLBConfiguration`` and ``GatewayVMConfiguration``: copied verbatim from the
/// StaticGatewayConfiguration (upstream behaviour sections 1.2 and 1.3).
public struct GatewayConfigurationSpec: Codable, Sendable, Equatable {
    /// Agent pool of the gateway nodes.
    public var gatewayNodepoolName: String
    /// Explicit scale set.
    public var gatewayVmssProfile: GatewayVmssProfile
    /// False: no public prefix.
    public var provisionPublicIps: Bool
    /// ARM id of a prefix the user brings; empty: one is made.
    public var publicIpPrefixId: String
    /// Our addition: IP versions of the egress addresses; empty: IPv4 alone.
    public var ipFamilies: [String]

    /// Makes a spec with upstream's defaults.
    public init(
        gatewayNodepoolName: String = "", gatewayVmssProfile: GatewayVmssProfile = GatewayVmssProfile(),
        provisionPublicIps: Bool = true, publicIpPrefixId: String = "", ipFamilies: [String] = []
    ) {
        self.gatewayNodepoolName = gatewayNodepoolName
        self.gatewayVmssProfile = gatewayVmssProfile
        self.provisionPublicIps = provisionPublicIps
        self.publicIpPrefixId = publicIpPrefixId
        self.ipFamilies = ipFamilies
    }

    private enum CodingKeys: String, CodingKey {
        case gatewayNodepoolName, gatewayVmssProfile, provisionPublicIps, publicIpPrefixId, ipFamilies
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        gatewayNodepoolName = try container.value(.gatewayNodepoolName, default: "")
        gatewayVmssProfile = try container.value(.gatewayVmssProfile, default: GatewayVmssProfile())
        provisionPublicIps = try container.value(.provisionPublicIps, default: true)
        publicIpPrefixId = try container.value(.publicIpPrefixId, default: "")
        ipFamilies = try container.value(.ipFamilies, default: [])
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeUnlessEmpty(gatewayNodepoolName, .gatewayNodepoolName)
        try container.encode(gatewayVmssProfile, forKey: .gatewayVmssProfile)
        try container.encode(provisionPublicIps, forKey: .provisionPublicIps)
        try container.encodeUnlessEmpty(publicIpPrefixId, .publicIpPrefixId)
        try container.encodeUnlessEmpty(ipFamilies, .ipFamilies)
    }
}

/// The load balancer's share of a gateway (upstream behaviour section 1.2).
public struct GatewayLBConfiguration: KubernetesResource {
    public static let resourceType = ResourceType(
        group: egressGatewayGroup, version: egressGatewayVersion, kind: "GatewayLBConfiguration",
        plural: "gatewaylbconfigurations", namespaced: true)

    public var metadata: ObjectMeta
    /// Copied from the owner.
    public var spec: GatewayConfigurationSpec
    /// Nil until the first reconcile.
    public var status: GatewayLBConfigurationStatus?

    /// Makes an object that no server knows yet.
    public init(metadata: ObjectMeta, spec: GatewayConfigurationSpec, status: GatewayLBConfigurationStatus? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.value(.metadata, default: ObjectMeta())
        spec = try container.value(.spec, default: GatewayConfigurationSpec())
        status = try container.decodeIfPresent(GatewayLBConfigurationStatus.self, forKey: .status)
    }
}

/// Observed state of a ``GatewayLBConfiguration``.
public struct GatewayLBConfigurationStatus: Codable, Sendable, Equatable {
    /// Private IPv4 address of the frontend.
    public var frontendIp: String
    /// UDP port of the rule, 6000...6999; 0 until known.
    public var serverPort: Int32
    /// Copied up from the ``GatewayVMConfiguration``.
    public var egressIpPrefix: String
    /// Our addition, copied up likewise.
    public var egressIpv6Prefix: String
    /// Our addition; nil where upstream wrote the status.
    public var conditions: [Condition]?

    /// The default is the status of an object about which nothing is known yet.
    public init(
        frontendIp: String = "", serverPort: Int32 = 0, egressIpPrefix: String = "", egressIpv6Prefix: String = "",
        conditions: [Condition]? = nil
    ) {
        self.frontendIp = frontendIp
        self.serverPort = serverPort
        self.egressIpPrefix = egressIpPrefix
        self.egressIpv6Prefix = egressIpv6Prefix
        self.conditions = conditions
    }

    private enum CodingKeys: String, CodingKey {
        case frontendIp, serverPort, egressIpPrefix, egressIpv6Prefix, conditions
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        frontendIp = try container.value(.frontendIp, default: "")
        serverPort = try container.value(.serverPort, default: 0)
        egressIpPrefix = try container.value(.egressIpPrefix, default: "")
        egressIpv6Prefix = try container.value(.egressIpv6Prefix, default: "")
        conditions = try container.decodeIfPresent([Condition].self, forKey: .conditions)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeUnlessEmpty(frontendIp, .frontendIp)
        try container.encodeUnlessZero(serverPort, .serverPort)
        try container.encodeUnlessEmpty(egressIpPrefix, .egressIpPrefix)
        try container.encodeUnlessEmpty(egressIpv6Prefix, .egressIpv6Prefix)
        try container.encodeIfPresent(conditions, forKey: .conditions)
    }
}

/// The nodes' share of a gateway (upstream behaviour section 1.3).
public struct GatewayVMConfiguration: KubernetesResource {
    public static let resourceType = ResourceType(
        group: egressGatewayGroup, version: egressGatewayVersion, kind: "GatewayVMConfiguration",
        plural: "gatewayvmconfigurations", namespaced: true)

    public var metadata: ObjectMeta
    /// Copied from the owner.
    public var spec: GatewayConfigurationSpec
    /// Nil until the first reconcile.
    public var status: GatewayVMConfigurationStatus?

    /// Makes an object that no server knows yet.
    public init(metadata: ObjectMeta, spec: GatewayConfigurationSpec, status: GatewayVMConfigurationStatus? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.value(.metadata, default: ObjectMeta())
        spec = try container.value(.spec, default: GatewayConfigurationSpec())
        status = try container.decodeIfPresent(GatewayVMConfigurationStatus.self, forKey: .status)
    }
}

/// Observed state of a ``GatewayVMConfiguration``.
public struct GatewayVMConfigurationStatus: Codable, Sendable, Equatable {
    /// CIDR of the public prefix, or private addresses joined by commas.
    public var egressIpPrefix: String
    /// Our addition: the same for IPv6; empty unless the spec asks for IPv6.
    public var egressIpv6Prefix: String
    /// One entry per gateway node.
    public var gatewayVMProfiles: [GatewayVMProfile]
    /// Our addition; nil where upstream wrote the status.
    public var conditions: [Condition]?

    /// The default is the status of an object about which nothing is known yet.
    public init(
        egressIpPrefix: String = "", egressIpv6Prefix: String = "", gatewayVMProfiles: [GatewayVMProfile] = [],
        conditions: [Condition]? = nil
    ) {
        self.egressIpPrefix = egressIpPrefix
        self.egressIpv6Prefix = egressIpv6Prefix
        self.gatewayVMProfiles = gatewayVMProfiles
        self.conditions = conditions
    }

    private enum CodingKeys: String, CodingKey {
        case egressIpPrefix, egressIpv6Prefix, gatewayVMProfiles, conditions
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        egressIpPrefix = try container.value(.egressIpPrefix, default: "")
        egressIpv6Prefix = try container.value(.egressIpv6Prefix, default: "")
        gatewayVMProfiles = try container.value(.gatewayVMProfiles, default: [])
        conditions = try container.decodeIfPresent([Condition].self, forKey: .conditions)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeUnlessEmpty(egressIpPrefix, .egressIpPrefix)
        try container.encodeUnlessEmpty(egressIpv6Prefix, .egressIpv6Prefix)
        try container.encodeUnlessEmpty(gatewayVMProfiles, .gatewayVMProfiles)
        try container.encodeIfPresent(conditions, forKey: .conditions)
    }
}

/// Addresses of one gateway node.
public struct GatewayVMProfile: Codable, Sendable, Equatable {
    /// Computer name of the scale set instance, or name of the network interface for single virtual machines.
    public var nodeName: String
    /// IPv4 address of the primary ipConfiguration.
    public var primaryIP: String
    /// IPv4 address of the gateway's ipConfiguration, to which egress traffic is translated.
    public var secondaryIP: String
    /// Our addition: the same for IPv6; empty unless the spec asks for IPv6.
    public var secondaryIPv6: String

    /// Makes a profile.
    public init(nodeName: String = "", primaryIP: String = "", secondaryIP: String = "", secondaryIPv6: String = "") {
        self.nodeName = nodeName
        self.primaryIP = primaryIP
        self.secondaryIP = secondaryIP
        self.secondaryIPv6 = secondaryIPv6
    }

    private enum CodingKeys: String, CodingKey {
        case nodeName, primaryIP, secondaryIP, secondaryIPv6
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        nodeName = try container.value(.nodeName, default: "")
        primaryIP = try container.value(.primaryIP, default: "")
        secondaryIP = try container.value(.secondaryIP, default: "")
        secondaryIPv6 = try container.value(.secondaryIPv6, default: "")
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(nodeName, forKey: .nodeName)
        try container.encode(primaryIP, forKey: .primaryIP)
        try container.encode(secondaryIP, forKey: .secondaryIP)
        try container.encodeUnlessEmpty(secondaryIPv6, .secondaryIPv6)
    }
}
