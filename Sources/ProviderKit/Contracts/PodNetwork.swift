/// `pod-network/1`: sends a pod's traffic into its tunnel link. See `egress_pod_network.h`.
public enum PodNetwork: CapabilityContract {
    public static let identifier = "pod-network/1"

    /// Where the pod's 0.0.0.0/0 goes (StaticGatewayConfiguration `spec.defaultRoute`).
    public enum DefaultRoute: String, Codable, Sendable, CaseIterable {
        case staticEgressGateway
        case azureNetworking
    }

    public struct Desired: Codable, Sendable, Equatable, Identified {
        public var id: String
        /// Path of the pod's network namespace.
        public var namespace: String
        /// The pod's ordinary interface, `eth0`.
        public var interface: String
        public var tunnelLink: String
        public var defaultRoute: DefaultRoute
        /// Destinations that take the other path than `defaultRoute`.
        public var excludedCIDRs: [String]
        /// Destinations that never take the tunnel; ignored with `azureNetworking`.
        public var exceptionCIDRs: [String]

        public init(
            id: String, namespace: String, interface: String, tunnelLink: String, defaultRoute: DefaultRoute,
            excludedCIDRs: [String], exceptionCIDRs: [String]
        ) {
            self.id = id
            self.namespace = namespace
            self.interface = interface
            self.tunnelLink = tunnelLink
            self.defaultRoute = defaultRoute
            self.excludedCIDRs = excludedCIDRs
            self.exceptionCIDRs = exceptionCIDRs
        }
    }

    public struct Reference: Codable, Sendable, Equatable, Identified {
        public var id: String
        /// Path of the pod's network namespace. A namespace that is gone means that nothing is left to remove.
        public var namespace: String
        public var interface: String
        public var tunnelLink: String

        public init(id: String, namespace: String, interface: String, tunnelLink: String) {
            self.id = id
            self.namespace = namespace
            self.interface = interface
            self.tunnelLink = tunnelLink
        }
    }

    /// A route of the pod, in the form of a CNI result's route.
    public struct Route: Codable, Sendable, Equatable {
        /// CIDR.
        public var destination: String
        /// Next hop; absent for a directly connected destination.
        public var gateway: String?

        public init(destination: String, gateway: String?) {
            self.destination = destination
            self.gateway = gateway
        }
    }

    public struct Observed: Codable, Sendable, Equatable {
        public var routes: [Route]

        public init(routes: [Route]) {
            self.routes = routes
        }
    }
}
