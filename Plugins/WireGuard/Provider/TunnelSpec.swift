import LinuxNet
import ProviderKit

/// One item of an ensure request, validated.
struct TunnelSpec: Sendable {
    /// An address of the link, with the length of its network.
    struct Address: Sendable, Hashable {
        var address: IPAddress
        var length: Int
    }

    enum End: Sendable {
        case gateway(port: UInt16, key: WireGuardPrivateKey, peers: [WireGuardPeer])
        case pod(gateway: WireGuardPeer)
    }

    let namespace: NetworkNamespace
    let link: String
    let addresses: [Address]
    let end: End
    /// Peers that were left out, and why: one unusable pod must not take the path of all others.
    let warnings: [String]

    /// The link's name while it is made, and its alias for good.
    var creationName: String { TunnelNaming.creationName(namespacePath: namespace.path, link: link) }

    /// Peers the device shall have.
    var peers: [WireGuardPeer] {
        switch end {
        case .gateway(_, _, let peers): peers
        case .pod(let gateway): [gateway]
        }
    }

    /// Destinations that lead into the link. A pod's routes are not this provider's business.
    var routes: Set<IPPrefix> {
        switch end {
        case .gateway(_, _, let peers): Set(peers.flatMap(\.allowedIPs))
        case .pod: []
        }
    }

    /// - Throws: `invalid` that names the field, the value and what is allowed.
    init(_ desired: Tunnel.Desired, settings: WireGuardSettings) throws {
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
                let (peers, warnings) = Self.usablePeers(gateway.peers)
                end = .gateway(
                    port: try Self.port(gateway.port, field: "gateway.port"),
                    key: try WireGuardPrivateKey(parsing: gateway.privateKey, field: "gateway.privateKey"),
                    peers: peers)
                self.warnings = warnings
            case (nil, .some(let pod)):
                end = .pod(gateway: try Self.gatewayPeer(pod, keepalive: settings.persistentKeepaliveSeconds))
                warnings = []
            default:
                throw ProviderError(.invalid, "gateway, pod: exactly one of the two is required")
            }
        } catch let error as LinuxNetError {
            throw ProviderError(error)
        }
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

    private static func gatewayPeer(_ pod: Tunnel.PodEnd, keepalive: Int) throws -> WireGuardPeer {
        WireGuardPeer(
            publicKey: try WireGuardKey(parsing: pod.gatewayPublicKey, field: "pod.gatewayPublicKey"),
            endpoint: WireGuardEndpoint(
                address: try IPAddress(parsing: pod.endpoint.address, field: "pod.endpoint.address"),
                port: try port(pod.endpoint.port, field: "pod.endpoint.port")),
            allowedIPs: [.all(.ipv4), .all(.ipv6)], persistentKeepalive: UInt16(keepalive))
    }

    /// Peers with well-formed keys and addresses, each key once and each address with one peer: the later one in the
    /// list. The kernel would let the later one win as well, but each ensure would then move the address to and fro.
    private static func usablePeers(_ peers: [Tunnel.Peer]) -> ([WireGuardPeer], [String]) {
        var warnings: [String] = []
        var seenKeys = Set<WireGuardKey>()
        var seenPrefixes = Set<IPPrefix>()
        var usable: [WireGuardPeer] = []
        for peer in peers.reversed() {
            do {
                let key = try WireGuardKey(parsing: peer.publicKey, field: "publicKey")
                let prefixes = Set(try peer.allowedIPs.map { try IPPrefix(parsing: $0, field: "allowedIPs") })
                guard seenKeys.insert(key).inserted else {
                    warnings.append("peer \(peer.id): publicKey \(key) is that of a later peer, which keeps it")
                    continue
                }
                for prefix in prefixes.intersection(seenPrefixes).sorted() {
                    warnings.append("peer \(peer.id): allowedIPs \(prefix) is that of a later peer, which keeps it")
                }
                usable.append(WireGuardPeer(publicKey: key, allowedIPs: prefixes.subtracting(seenPrefixes)))
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
