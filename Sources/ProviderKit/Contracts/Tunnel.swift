/// `tunnel/1`: the link between a pod and its gateways. See `egress_tunnel.h`.
public enum Tunnel: CapabilityContract {
    public static let identifier = "tunnel/1"

    /// A pod as a gateway end sees it.
    public struct Peer: Codable, Sendable, Equatable {
        /// Namespace and name of the PodEndpoint, for logs.
        public var id: String
        /// Base64 of 32 bytes.
        public var publicKey: String
        /// CIDRs the peer may send from; traffic to them goes to this peer.
        public var allowedIPs: [String]

        public init(id: String, publicKey: String, allowedIPs: [String]) {
            self.id = id
            self.publicKey = publicKey
            self.allowedIPs = allowedIPs
        }
    }

    /// The gateway's end.
    public struct GatewayEnd: Codable, Sendable, Equatable {
        /// UDP port on the node, 1..65535.
        public var port: Int
        /// Base64 of 32 bytes; never logged.
        public var privateKey: String
        /// The full set: peers not listed are removed.
        public var peers: [Peer]

        public init(port: Int, privateKey: String, peers: [Peer]) {
            self.port = port
            self.privateKey = privateKey
            self.peers = peers
        }
    }

    /// Where a pod's end sends to.
    public struct Endpoint: Codable, Sendable, Equatable {
        /// IP address of the load balancer's frontend.
        public var address: String
        /// UDP port, 1..65535.
        public var port: Int

        public init(address: String, port: Int) {
            self.address = address
            self.port = port
        }
    }

    /// The pod's end. It makes its own key pair.
    public struct PodEnd: Codable, Sendable, Equatable {
        public var endpoint: Endpoint
        /// Base64 of 32 bytes.
        public var gatewayPublicKey: String

        public init(endpoint: Endpoint, gatewayPublicKey: String) {
            self.endpoint = endpoint
            self.gatewayPublicKey = gatewayPublicKey
        }
    }

    /// Exactly one of `gateway` and `pod` is set.
    public struct Desired: Codable, Sendable, Equatable, Identified {
        public var id: String
        /// Path of the network namespace that the link ends up in; the UDP socket stays in the caller's.
        public var namespace: String
        /// Link name inside that namespace, 1..15 bytes.
        public var link: String
        /// CIDRs of the link itself.
        public var addresses: [String]
        public var gateway: GatewayEnd?
        public var pod: PodEnd?

        public init(id: String, namespace: String, link: String, addresses: [String], gateway: GatewayEnd) {
            self.id = id
            self.namespace = namespace
            self.link = link
            self.addresses = addresses
            self.gateway = gateway
        }

        public init(id: String, namespace: String, link: String, addresses: [String], pod: PodEnd) {
            self.id = id
            self.namespace = namespace
            self.link = link
            self.addresses = addresses
            self.pod = pod
        }
    }

    public struct Reference: Codable, Sendable, Equatable, Identified {
        public var id: String
        /// Path of the link's network namespace. A namespace that is gone means that the link is, too.
        public var namespace: String
        public var link: String

        public init(id: String, namespace: String, link: String) {
            self.id = id
            self.namespace = namespace
            self.link = link
        }
    }

    /// Traffic of one peer, as `status` reports it.
    public struct PeerStatus: Codable, Sendable, Equatable {
        public var publicKey: String
        /// Seconds since the last handshake; absent if there was none.
        public var lastHandshakeSeconds: Int?
        public var receivedBytes: UInt64
        public var sentBytes: UInt64

        public init(publicKey: String, lastHandshakeSeconds: Int?, receivedBytes: UInt64, sentBytes: UInt64) {
            self.publicKey = publicKey
            self.lastHandshakeSeconds = lastHandshakeSeconds
            self.receivedBytes = receivedBytes
            self.sentBytes = sentBytes
        }
    }

    public struct Observed: Codable, Sendable, Equatable {
        public var link: String
        /// Base64 of 32 bytes: this end's public key.
        public var publicKey: String
        /// Bytes.
        public var mtu: Int
        /// What carries the packets: `kernel` or `userspace`.
        public var form: String
        /// Whether packets are encrypted and their sender proven; nil: the provider does not say.
        public var encrypted: Bool?
        /// Only in answers to `status`, and only of providers that count by peer.
        public var peers: [PeerStatus]?

        public init(
            link: String, publicKey: String, mtu: Int, form: String, encrypted: Bool? = nil,
            peers: [PeerStatus]? = nil
        ) {
            self.link = link
            self.publicKey = publicKey
            self.mtu = mtu
            self.form = form
            self.encrypted = encrypted
            self.peers = peers
        }
    }
}
