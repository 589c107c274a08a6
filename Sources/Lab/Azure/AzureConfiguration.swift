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
        /// IPv4 CIDR that public prefixes are cut from; the lab uses a block of RFC 5737.
        public var publicAddressSpace: String
        public var identity: Identity
        public var latencies: Latencies
        /// Every latency is multiplied by this; 0 or more.
        public var latencyScale: Double
        /// Loopback port to listen on; 0 lets the kernel choose.
        public var port: Int
        /// Seed of every identifier, etag and token that is made up.
        public var seed: UInt64

        public init(
            subscription: String, resourceGroup: String, location: String, virtualNetwork: VirtualNetwork,
            scaleSets: [ScaleSet], publicAddressSpace: String = "203.0.113.0/24", identity: Identity = Identity(),
            latencies: Latencies = Latencies(), latencyScale: Double = 1, port: Int = 0,
            seed: UInt64 = .random(in: .min ... .max)
        ) {
            self.subscription = subscription
            self.resourceGroup = resourceGroup
            self.location = location
            self.virtualNetwork = virtualNetwork
            self.scaleSets = scaleSets
            self.publicAddressSpace = publicAddressSpace
            self.identity = identity
            self.latencies = latencies
            self.latencyScale = latencyScale
            self.port = port
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

        public init(name: String, addressPrefix: String) {
            self.name = name
            self.addressPrefix = addressPrefix
        }
    }

    /// A uniform scale set with Manual upgrade policy and one NIC per instance.
    public struct ScaleSet: Sendable {
        public var name: String
        public var tags: [String: String]
        /// `osProfile.computerName` of each instance, in order; ids are 0, 1, ... Their primary private addresses are
        /// the first free ones of the subnet, in this order.
        public var computerNames: [String]
        /// Name of the subnet of the primary ipConfiguration.
        public var subnet: String
        /// `properties.uniqueId`; nil: made up from the seed.
        public var uniqueID: String?

        public init(
            name: String, tags: [String: String], computerNames: [String], subnet: String, uniqueID: String? = nil
        ) {
            self.name = name
            self.tags = tags
            self.computerNames = computerNames
            self.subnet = subnet
            self.uniqueID = uniqueID
        }
    }

    /// The one service principal that is let in.
    public struct Identity: Sendable {
        public var tenant: String
        public var clientID: String
        public var clientSecret: String

        public init(
            tenant: String = "00000000-0000-0000-0000-0000000000aa",
            clientID: String = "00000000-0000-0000-0000-0000000000bb", clientSecret: String = "lab-secret"
        ) {
            self.tenant = tenant
            self.clientID = clientID
            self.clientSecret = clientSecret
        }
    }

    /// How long things take. Defaults are those of a quiet Azure region, as users of the public clouds report them.
    public struct Latencies: Sendable {
        /// Every GET, and the first answer of every other call.
        public var answer: Duration
        /// From a load balancer PUT or DELETE to the end of its operation.
        public var loadBalancer: Duration
        public var publicIPPrefix: Duration
        public var scaleSet: Duration
        public var instance: Duration

        public init(
            answer: Duration = .milliseconds(80), loadBalancer: Duration = .seconds(3),
            publicIPPrefix: Duration = .seconds(4), scaleSet: Duration = .seconds(3), instance: Duration = .seconds(12)
        ) {
            self.answer = answer
            self.loadBalancer = loadBalancer
            self.publicIPPrefix = publicIPPrefix
            self.scaleSet = scaleSet
            self.instance = instance
        }

        /// Every operation takes `operation`, every answer comes at once.
        public static func uniform(_ operation: Duration) -> Latencies {
            Latencies(
                answer: .zero, loadBalancer: operation, publicIPPrefix: operation, scaleSet: operation,
                instance: operation)
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
