/// `node-pool/1`: secondary addresses on gateway nodes and the prefix they leave through. See `egress_node_pool.h`.
public enum NodePool: CapabilityContract {
    public static let identifier = "node-pool/1"

    /// An IP version that egress has addresses of.
    public enum IPFamily: String, Codable, Sendable, CaseIterable {
        case ipv4 = "IPv4"
        case ipv6 = "IPv6"
    }

    public struct Desired: Codable, Sendable, Equatable, Identified {
        /// UID of the GatewayVMConfiguration; names ipConfiguration and managed prefix (upstream behaviour section 2.2).
        public var id: String
        public var pool: PoolSelector
        /// False: egress with the private secondary addresses.
        public var publicIPs: Bool
        /// Length of the public prefix, 28..31; absent: the pool says it (by tag).
        public var prefixLength: Int?
        /// A prefix the user brings; absent: the provider makes one.
        public var prefixID: String?
        /// The IP versions of the addresses, IPv4 among them; absent: IPv4 alone.
        public var ipFamilies: [IPFamily]?

        /// Whether the nodes shall have an IPv6 address, too.
        public var wantsIPv6: Bool { ipFamilies?.contains(.ipv6) == true }

        public init(
            id: String, pool: PoolSelector, publicIPs: Bool, prefixLength: Int?, prefixID: String?,
            ipFamilies: [IPFamily]? = nil
        ) {
            self.id = id
            self.pool = pool
            self.publicIPs = publicIPs
            self.prefixLength = prefixLength
            self.prefixID = prefixID
            self.ipFamilies = ipFamilies
        }
    }

    public typealias Reference = PoolReference

    /// One gateway node as it now is.
    public struct Node: Codable, Sendable, Equatable {
        /// The node's name in Kubernetes; of a standalone Azure machine, the name of its network interface (upstream
        /// behaviour section 1.3), whose `primaryIP` then tells which node it is.
        public var nodeName: String
        /// Address of the node.
        public var primaryIP: String
        /// Address that egress traffic of this configuration leaves the node with.
        public var secondaryIP: String
        /// The same for IPv6; absent unless IPv6 was asked for.
        public var secondaryIPv6: String?

        public init(nodeName: String, primaryIP: String, secondaryIP: String, secondaryIPv6: String? = nil) {
            self.nodeName = nodeName
            self.primaryIP = primaryIP
            self.secondaryIP = secondaryIP
            self.secondaryIPv6 = secondaryIPv6
        }
    }

    public struct Observed: Codable, Sendable, Equatable {
        /// CIDR of the public prefix, or the secondary addresses joined by commas where `publicIPs` is false.
        public var egressPrefix: String
        /// The same for IPv6; absent unless IPv6 was asked for.
        public var egressPrefixV6: String?
        public var nodes: [Node]

        public init(egressPrefix: String, egressPrefixV6: String? = nil, nodes: [Node]) {
            self.egressPrefix = egressPrefix
            self.egressPrefixV6 = egressPrefixV6
            self.nodes = nodes
        }
    }
}
