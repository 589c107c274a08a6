import LinuxNet
import ProviderKit

/// One item of an ensure or check request, validated.
struct TunnelSpec: Sendable {
    /// An address of the link, with the length of its network.
    struct Address: Sendable, Hashable {
        var address: IPAddress
        var length: Int
    }

    /// A pod as its gateway sees it.
    struct Peer: Sendable, Equatable {
        var key: PodKey
        var allowedIPs: Set<IPPrefix>
    }

    enum End: Sendable {
        /// `key` is the public half of the configuration's key; the private half has done its work by then.
        case gateway(port: UInt16, key: WireGuardKey, peers: [Peer])
        case pod(gateway: WireGuardKey, endpoint: IPAddress, port: UInt16)
    }

    let namespace: NetworkNamespace
    let link: String
    let addresses: [Address]
    let end: End
    let identity: GatewayIdentity
    /// Peers that were left out, and why: one unusable pod must not take the path of all others.
    let warnings: [String]

    /// The link's name while it is made.
    var creationName: String { TunnelNaming.creationName(namespacePath: namespace.path, link: link) }

    /// The configuration's public key.
    var gatewayKey: WireGuardKey {
        switch end {
        case .gateway(_, let key, _): key
        case .pod(let key, _, _): key
        }
    }

    /// - Throws: `invalid` that names the field, the value and what is allowed.
    init(_ desired: Tunnel.Desired, settings: VXLANSettings) throws {
        namespace = try Self.namespace(desired.namespace)
        link = desired.link
        do {
            try Link.validate(name: desired.link)
            addresses = try desired.addresses.map {
                let (address, length) = try IPPrefix.split($0, field: "addresses")
                return Address(address: address, length: length)
            }
            switch (desired.gateway, desired.pod) {
            case (.some(let gateway), nil):
                let (peers, warnings) = Self.usablePeers(gateway.peers, family: settings.underlayFamily)
                let key = try WireGuardPrivateKey(parsing: gateway.privateKey, field: "gateway.privateKey").publicKey
                end = .gateway(port: try Self.port(gateway.port, field: "gateway.port"), key: key, peers: peers)
                self.warnings = warnings
            case (nil, .some(let pod)):
                end = try Self.podEnd(pod, family: settings.underlayFamily)
                warnings = []
            default:
                throw ProviderError(.invalid, "gateway, pod: exactly one of the two is required")
            }
        } catch let error as LinuxNetError {
            throw ProviderError(error)
        }
        let key =
            switch end {
            case .gateway(_, let key, _): key
            case .pod(let key, _, _): key
            }
        guard let identity = GatewayIdentity(key) else {
            throw ProviderError(.terminal, "libsodium refuses to hash the gateway's public key")
        }
        self.identity = identity
    }

    /// The namespace of an item.
    ///
    /// - Throws: `invalid` unless the path is absolute.
    static func namespace(_ path: String) throws -> NetworkNamespace {
        guard path.hasPrefix("/") else {
            throw ProviderError(.invalid, "namespace: \"\(path)\" is not allowed; allowed: an absolute path")
        }
        return NetworkNamespace(path: path)
    }

    private static func port(_ value: Int, field: String) throws -> UInt16 {
        guard let port = UInt16(exactly: value), port > 0 else {
            throw LinuxNetError.invalid(field, value: "\(value)", allowed: "1...65535")
        }
        return port
    }

    private static func podEnd(_ pod: Tunnel.PodEnd, family: IPAddress.Family) throws -> End {
        let address = try IPAddress(parsing: pod.endpoint.address, field: "pod.endpoint.address")
        guard address.family == family else {
            throw LinuxNetError.invalid(
                "pod.endpoint.address", value: "\(address)", allowed: "an \(family) address; see config.underlayFamily")
        }
        return .pod(
            gateway: try WireGuardKey(parsing: pod.gatewayPublicKey, field: "pod.gatewayPublicKey"),
            endpoint: address, port: try port(pod.endpoint.port, field: "pod.endpoint.port"))
    }

    /// Peers with well-formed keys and addresses, each MAC address once and each allowed address with one peer: the
    /// later one in the list.
    private static func usablePeers(_ peers: [Tunnel.Peer], family: IPAddress.Family) -> ([Peer], [String]) {
        var warnings: [String] = []
        var seenStations = Set<MACAddress>()
        var seenPrefixes = Set<IPPrefix>()
        var usable: [Peer] = []
        for peer in peers.reversed() {
            do {
                let key = try PodKey(parsing: peer.publicKey)
                let prefixes = Set(try peer.allowedIPs.map { try IPPrefix(parsing: $0, field: "allowedIPs") })
                guard key.host.family == family else {
                    warnings.append("peer \(peer.id) is left out: its node \(key.host) is not of the family \(family)")
                    continue
                }
                guard seenStations.insert(key.hardwareAddress).inserted else {
                    warnings.append(
                        "peer \(peer.id): MAC address \(key.hardwareAddress) is that of a later peer, which keeps it")
                    continue
                }
                for prefix in prefixes.intersection(seenPrefixes).sorted() {
                    warnings.append("peer \(peer.id): allowedIPs \(prefix) is that of a later peer, which keeps it")
                }
                usable.append(Peer(key: key, allowedIPs: prefixes.subtracting(seenPrefixes)))
                seenPrefixes.formUnion(prefixes)
            } catch {
                warnings.append("peer \(peer.id) is left out: \(error)")
            }
        }
        return (usable.reversed(), warnings)
    }
}

extension ProviderError {
    /// What a failure of the network layer means to the host.
    init(_ error: LinuxNetError) {
        let code: ResultCode =
            switch error.code {
            case .invalidValue: .invalid
            case .notPermitted, .unsupported, .malformedReply: .terminal
            case .notFound, .alreadyExists, .namespaceMissing, .temporary, .timeout, .refused: .retry
            }
        self.init(code, error.description)
    }

    /// Any error of this plugin.
    static func from(_ error: any Error) -> ProviderError {
        (error as? LinuxNetError).map { ProviderError($0) } ?? ProviderError(error)
    }
}
