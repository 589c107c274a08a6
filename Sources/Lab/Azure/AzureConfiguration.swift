extension AzureSimulator {
    /// What exists when the simulator starts, and how it answers.
    public struct Configuration: Sendable {
        /// Subscription id, a GUID.
        public var subscription: String
        public var resourceGroup: String
        /// Region name of every resource.
        public var location: String
        public var virtualNetwork: VirtualNetwork
        public var scaleSets: [ScaleSet]
        /// Pools of standalone virtual machines, each with one network interface.
        public var machinePools: [MachinePool]
        /// IPv4 CIDR that public prefixes are cut from; the lab uses a block of RFC 5737.
        public var publicAddressSpace: String
        /// IPv6 CIDR that public IPv6 prefixes are cut from; the default is of the block of RFC 3849.
        public var publicAddressSpaceIPv6: String
        public var identity: Identity
        public var latencies: Latencies
        /// Every latency is multiplied by this; 0 or more.
        public var latencyScale: Double
        public var limits: Limits
        public var rateLimits: RateLimits
        /// Elements of one page of a list, 1 or more.
        public var pageSize: Int
        /// Loopback address to listen on.
        public var host: String
        /// Port to listen on; 0 lets the kernel choose.
        public var port: Int
        /// Certificate and key of the endpoint; nil: plain HTTP.
        public var certificate: ServerCertificate?
        /// The Instance Metadata Service; nil: none.
        public var metadata: Metadata?
        /// Seed of every identifier, etag, token and latency that is made up.
        public var seed: UInt64

        public init(
            subscription: String, resourceGroup: String, location: String, virtualNetwork: VirtualNetwork,
            scaleSets: [ScaleSet], machinePools: [MachinePool] = [], publicAddressSpace: String = "203.0.113.0/24",
            publicAddressSpaceIPv6: String = "2001:db8:ffff::/48", identity: Identity = Identity(),
            latencies: Latencies = .reference, latencyScale: Double = 1, limits: Limits = .azure,
            rateLimits: RateLimits = .generous, pageSize: Int = 100, host: String = "127.0.0.1", port: Int = 0,
            certificate: ServerCertificate? = nil, metadata: Metadata? = nil,
            seed: UInt64 = .random(in: .min ... .max)
        ) {
            self.subscription = subscription
            self.resourceGroup = resourceGroup
            self.location = location
            self.virtualNetwork = virtualNetwork
            self.scaleSets = scaleSets
            self.machinePools = machinePools
            self.publicAddressSpace = publicAddressSpace
            self.publicAddressSpaceIPv6 = publicAddressSpaceIPv6
            self.identity = identity
            self.latencies = latencies
            self.latencyScale = latencyScale
            self.limits = limits
            self.rateLimits = rateLimits
            self.pageSize = pageSize
            self.host = host
            self.port = port
            self.certificate = certificate
            self.metadata = metadata
            self.seed = seed
        }
    }

    /// A virtual network and its subnets.
    public struct VirtualNetwork: Sendable {
        public var name: String
        /// IPv4 CIDR.
        public var addressPrefix: String
        public var subnets: [Subnet]

        public init(name: String, addressPrefix: String, subnets: [Subnet]) {
            self.name = name
            self.addressPrefix = addressPrefix
            self.subnets = subnets
        }
    }

    /// A subnet. Its first four addresses and its last are Azure's own.
    public struct Subnet: Sendable {
        public var name: String
        /// IPv4 CIDR inside the virtual network.
        public var addressPrefix: String
        /// IPv6 CIDR of a dual-stack subnet; nil: IPv4 only.
        public var addressPrefixIPv6: String?

        public init(name: String, addressPrefix: String, addressPrefixIPv6: String? = nil) {
            self.name = name
            self.addressPrefix = addressPrefix
            self.addressPrefixIPv6 = addressPrefixIPv6
        }
    }

    /// A uniform scale set with one NIC per instance.
    public struct ScaleSet: Sendable {
        /// Who brings instances up to date after a change of the model.
        public enum UpgradePolicy: String, Sendable {
            case manual = "Manual"
            case automatic = "Automatic"
        }

        public var name: String
        public var tags: [String: String]
        /// `osProfile.computerName` of each instance, in order; ids are 0, 1, ... Their primary private addresses are
        /// the first free ones of the subnet, in this order. Instances made later are named by the scale set's name
        /// and six base-36 digits, as Azure does.
        public var computerNames: [String]
        /// Name of the subnet of the primary ipConfiguration.
        public var subnet: String
        public var upgradePolicy: UpgradePolicy
        /// `properties.uniqueId`; nil: made up from the seed.
        public var uniqueID: String?

        public init(
            name: String, tags: [String: String], computerNames: [String], subnet: String,
            upgradePolicy: UpgradePolicy = .manual, uniqueID: String? = nil
        ) {
            self.name = name
            self.tags = tags
            self.computerNames = computerNames
            self.subnet = subnet
            self.upgradePolicy = upgradePolicy
            self.uniqueID = uniqueID
        }
    }

    /// Standalone virtual machines, each with a network interface of its own that exists before the machine, as AKS
    /// makes them for pools of type VirtualMachines.
    public struct MachinePool: Sendable {
        /// One machine; its computer name is its name.
        public struct Machine: Sendable {
            public var name: String
            /// Name of its network interface resource.
            public var networkInterface: String
            /// Availability zone, `1` to `3`; nil: none.
            public var zone: String?

            public init(name: String, networkInterface: String? = nil, zone: String? = nil) {
                self.name = name
                self.networkInterface = networkInterface ?? "\(name)-nic"
                self.zone = zone
            }
        }

        public var machines: [Machine]
        /// Tags of every machine.
        public var tags: [String: String]
        /// Tags of every network interface.
        public var interfaceTags: [String: String]
        /// Name of the subnet of the primary ipConfiguration.
        public var subnet: String

        public init(
            machines: [Machine], tags: [String: String], interfaceTags: [String: String], subnet: String
        ) {
            self.machines = machines
            self.tags = tags
            self.interfaceTags = interfaceTags
            self.subnet = subnet
        }

        /// A pool with the tags that AKS gives and the gateway looks for.
        ///
        /// - Parameter prefixLength: length of the egress prefix that the pool asks for.
        public static func gateways(
            named pool: String, machines: [String], prefixLength: Int, subnet: String
        ) -> MachinePool {
            MachinePool(
                machines: machines.map { Machine(name: $0) },
                tags: ["aks-managed-poolName": pool, "aks-managed-gatewayIPPrefixSize": String(prefixLength)],
                interfaceTags: ["aks-managed-poolName": pool, "aks-managed-static-gateway-nic": "true"],
                subnet: subnet)
        }
    }

    /// What ARM refuses above a number. Defaults are those of the public limits pages; tests take smaller ones.
    public struct Limits: Sendable {
        /// Frontends of one Standard load balancer.
        public var frontendsPerLoadBalancer = 600
        public var rulesPerLoadBalancer = 1500
        /// Rules that reach one network interface, over all its ipConfigurations.
        public var rulesPerInterface = 300
        /// Private addresses of one network interface.
        public var ipConfigurationsPerInterface = 256
        public var publicIPPrefixes = 100
        public var instancesPerScaleSet = 1000

        public init() {}
        public static let azure = Limits()
    }

    /// The Instance Metadata Service as one instance sees it.
    public struct Metadata: Sendable {
        /// Port on the same loopback address; 0 lets the kernel choose.
        public var port: Int
        /// The instance that asks, by computer name; nil: the first there is.
        public var computerName: String?

        public init(port: Int = 0, computerName: String? = nil) {
            self.port = port
            self.computerName = computerName
        }
    }

    /// Why a simulator could not be made or run.
    public struct StartError: Error, Sendable, CustomStringConvertible {
        public enum Code: Sendable {
            /// The configuration is wrong; the message names field and value.
            case configuration
            /// ``AzureSimulator/run()`` ended before it listened; its own error says why.
            case notListening
        }

        public var code: Code
        public var message: String
        public var description: String { message }
    }
}
