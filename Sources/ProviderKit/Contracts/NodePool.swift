/// `node-pool/1`: secondary addresses on gateway nodes and the prefix they leave through. See `egress_node_pool.h`.
public enum NodePool: CapabilityContract {
    public static let identifier = "node-pool/1"

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

        public init(id: String, pool: PoolSelector, publicIPs: Bool, prefixLength: Int?, prefixID: String?) {
            self.id = id
            self.pool = pool
            self.publicIPs = publicIPs
            self.prefixLength = prefixLength
            self.prefixID = prefixID
        }
    }

    public typealias Reference = PoolReference

    /// One gateway node as it now is.
    public struct Node: Codable, Sendable, Equatable {
        /// The node's name in Kubernetes.
        public var nodeName: String
        /// Address of the node.
        public var primaryIP: String
        /// Address that egress traffic of this configuration leaves the node with.
        public var secondaryIP: String

        public init(nodeName: String, primaryIP: String, secondaryIP: String) {
            self.nodeName = nodeName
            self.primaryIP = primaryIP
            self.secondaryIP = secondaryIP
        }
    }

    public struct Observed: Codable, Sendable, Equatable {
        /// CIDR of the public prefix, or the secondary addresses joined by commas where `publicIPs` is false.
        public var egressPrefix: String
        public var nodes: [Node]

        public init(egressPrefix: String, nodes: [Node]) {
            self.egressPrefix = egressPrefix
            self.nodes = nodes
        }
    }
}
