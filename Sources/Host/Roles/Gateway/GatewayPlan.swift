import FoundationEssentials
import Kubernetes
import LinuxNet

/// What this node shall serve, computed from the objects of the API alone. Pure: no time, no kernel, no network.
struct GatewayPlan: Sendable, Equatable {
    /// One pod behind a gateway.
    struct Peer: Sendable, Equatable {
        /// `namespace/name` of the PodEndpoint.
        var endpoint: String
        var publicKey: String
        var address: IPAddress
    }

    /// One configuration on this node: a tunnel server and the address its traffic leaves with.
    struct Server: Sendable, Equatable {
        /// UID of the StaticGatewayConfiguration; the probe's path and the tunnel's item id.
        var uid: String
        /// `namespace/name` of the StaticGatewayConfiguration.
        var configuration: String
        /// UDP port, also the connection mark (upstream behaviour section 2.4).
        var port: UInt16
        var loadBalancerAddress: IPAddress
        var primaryAddress: IPAddress
        var secondaryAddress: IPAddress
        var publicKey: String
        var secret: ObjectReference
        /// In order of the endpoints' names.
        var peers: [Peer]

        /// Name of the tunnel's link in the gateway namespace.
        var link: String { "wg-\(port)" }
    }

    /// An object that asks for something that cannot be; the rest of the plan does not suffer from it.
    struct Rejection: Sendable, Hashable {
        /// `Kind namespace/name`.
        var object: String
        var reason: String
    }

    /// In order of ports.
    var servers: [Server] = []
    var rejections: [Rejection] = []
}

extension GatewayPlan {
    /// A configuration applies to this node exactly if its GatewayVMConfiguration lists the node with both addresses,
    /// it is ready and it is not being deleted. A standalone machine is listed by its network interface's name (upstream
    /// behaviour section 1.3), and known by its primary address.
    ///
    /// - Parameter nodeAddresses: the node's own addresses, as its Node object has them.
    init(
        nodeName: String, nodeAddresses: Set<String> = [], configurations: [StaticGatewayConfiguration],
        machines: [GatewayVMConfiguration],
        endpoints: [PodEndpoint]
    ) {
        var profiles: [String: GatewayVMProfile] = [:]
        for machine in machines where machine.metadata.deletionTimestamp == nil {
            let listed = (machine.status?.gatewayVMProfiles ?? []).filter {
                !$0.primaryIP.isEmpty && !$0.secondaryIP.isEmpty
            }
            profiles[machine.qualifiedName] =
                listed.first { $0.nodeName.lowercased() == nodeName.lowercased() }
                ?? listed.first { nodeAddresses.contains($0.primaryIP) }
        }
        var builder = Builder()
        for configuration in configurations.sorted(by: Self.isOlder) where configuration.isReadyToServe {
            guard let profile = profiles[configuration.qualifiedName] else { continue }
            builder.add(configuration, profile)
        }
        builder.add(endpoints)
        servers = builder.servers.values.sorted { $0.port < $1.port }
        rejections = builder.rejections
    }

    /// The older object wins where two want the same thing; a stable order in any case.
    private static func isOlder(_ left: some KubernetesResource, _ right: some KubernetesResource) -> Bool {
        let early = Date(timeIntervalSince1970: 0)
        let (first, second) = (
            left.metadata.creationTimestamp?.date ?? early, right.metadata.creationTimestamp?.date ?? early
        )
        return first == second ? left.qualifiedName < right.qualifiedName : first < second
    }

    /// Collects servers and refuses what collides with an earlier one.
    private struct Builder {
        var servers: [String: Server] = [:]
        var rejections: [Rejection] = []
        private var ports: [UInt16: String] = [:]
        private var secondaries: [IPAddress: String] = [:]
        private var primary: IPAddress?

        mutating func add(_ configuration: StaticGatewayConfiguration, _ profile: GatewayVMProfile) {
            let name = configuration.qualifiedName
            let object = "StaticGatewayConfiguration \(name)"
            func reject(_ reason: String) { rejections.append(Rejection(object: object, reason: reason)) }
            guard let status = configuration.status, let secret = status.gatewayServerProfile.privateKeySecretRef,
                let port = UInt16(exactly: status.gatewayServerProfile.port), port > 0
            else { return reject("status.gatewayServerProfile.port is not allowed; allowed: 1 to 65535") }
            guard let frontend = Self.ipv4(status.gatewayServerProfile.ip) else {
                return reject("status.gatewayServerProfile.ip \"\(status.gatewayServerProfile.ip)\" is no IPv4 address")
            }
            guard let primary = Self.ipv4(profile.primaryIP), let secondary = Self.ipv4(profile.secondaryIP),
                primary != secondary
            else {
                return reject(
                    "GatewayVMConfiguration \(name): primaryIP \"\(profile.primaryIP)\" and secondaryIP "
                        + "\"\(profile.secondaryIP)\" must be two IPv4 addresses")
            }
            if let other = ports[port] { return reject("port \(port) belongs to \(other)") }
            if let other = secondaries[secondary] { return reject("secondaryIP \(secondary) belongs to \(other)") }
            if let known = self.primary, known != primary {
                return reject("primaryIP \(primary) contradicts \(known) of another configuration of this node")
            }
            self.primary = primary
            ports[port] = name
            secondaries[secondary] = name
            servers[name] = Server(
                uid: configuration.metadata.uid, configuration: name, port: port, loadBalancerAddress: frontend,
                primaryAddress: primary, secondaryAddress: secondary,
                publicKey: status.gatewayServerProfile.publicKey, secret: secret, peers: [])
        }

        /// Peers: an address or a key belongs to the oldest endpoint that claims it.
        mutating func add(_ endpoints: [PodEndpoint]) {
            var addresses: [IPAddress: String] = [:]
            var keys: [String: String] = [:]
            for endpoint in endpoints.sorted(by: GatewayPlan.isOlder)
            where endpoint.metadata.deletionTimestamp == nil {
                let configuration = "\(endpoint.metadata.namespace)/\(endpoint.spec.staticGatewayConfiguration)"
                guard servers[configuration] != nil else { continue }
                let name = endpoint.qualifiedName
                func reject(_ reason: String) {
                    rejections.append(Rejection(object: "PodEndpoint \(name)", reason: reason))
                }
                guard let prefix = try? IPPrefix(parsing: endpoint.spec.podIpAddress), prefix.isHost,
                    prefix.family == .ipv4
                else {
                    reject("spec.podIpAddress \"\(endpoint.spec.podIpAddress)\" is not an IPv4 address with /32")
                    continue
                }
                guard Data(base64Encoded: endpoint.spec.podPublicKey)?.count == 32 else {
                    reject("spec.podPublicKey is not base64 of 32 bytes")
                    continue
                }
                if let other = addresses[prefix.address] {
                    reject("spec.podIpAddress \(prefix) belongs to \(other)")
                    continue
                }
                if let other = keys[endpoint.spec.podPublicKey] {
                    reject("spec.podPublicKey belongs to \(other)")
                    continue
                }
                addresses[prefix.address] = name
                keys[endpoint.spec.podPublicKey] = name
                servers[configuration]?.peers.append(
                    Peer(endpoint: name, publicKey: endpoint.spec.podPublicKey, address: prefix.address))
            }
            for name in servers.keys { servers[name]?.peers.sort { $0.endpoint < $1.endpoint } }
        }

        private static func ipv4(_ text: String) -> IPAddress? {
            IPAddress(text).flatMap { $0.family == .ipv4 ? $0 : nil }
        }
    }
}

extension StaticGatewayConfiguration {
    /// Everything a gateway node needs is known (upstream behaviour section 4).
    fileprivate var isReadyToServe: Bool {
        guard metadata.deletionTimestamp == nil, let status else { return false }
        let profile = status.gatewayServerProfile
        return !status.egressIpPrefix.isEmpty && !profile.ip.isEmpty && profile.port != 0 && !profile.publicKey.isEmpty
            && profile.privateKeySecretRef != nil
    }
}
