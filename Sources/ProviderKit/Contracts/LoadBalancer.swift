/// `load-balancer/1`: one UDP frontend address and port per gateway configuration. See `egress_load_balancer.h`.
public enum LoadBalancer: CapabilityContract {
    public static let identifier = "load-balancer/1"

    /// The health probe of one gateway configuration.
    public struct Probe: Codable, Sendable, Equatable {
        /// HTTP path, for example `/gw/<uid>`.
        public var path: String
        /// TCP port on the nodes, 1..65535.
        public var port: Int

        public init(path: String, port: Int) {
            self.path = path
            self.port = port
        }
    }

    public struct Desired: Codable, Sendable, Equatable, Identified {
        /// UID of the GatewayLBConfiguration; names the rule and the probe (upstream behaviour section 2.2).
        public var id: String
        public var pool: PoolSelector
        public var probe: Probe

        public init(id: String, pool: PoolSelector, probe: Probe) {
            self.id = id
            self.pool = pool
            self.probe = probe
        }
    }

    public typealias Reference = PoolReference

    public struct Observed: Codable, Sendable, Equatable {
        /// Private IPv4 address of the frontend.
        public var frontendIP: String
        /// UDP port, 6000..6999, the same on both sides.
        public var port: Int

        public init(frontendIP: String, port: Int) {
            self.frontendIP = frontendIP
            self.port = port
        }
    }
}
