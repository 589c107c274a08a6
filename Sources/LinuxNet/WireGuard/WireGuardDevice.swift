/// Where a peer's packets are sent to: the outer address and UDP port.
public struct WireGuardEndpoint: Sendable, Hashable, CustomStringConvertible {
    public var address: IPAddress
    /// 1...65535.
    public var port: UInt16

    public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// "10.0.0.6:6000" or "[fd00::6]:6000".
    public var description: String {
        address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

/// A peer as it shall be.
public struct WireGuardPeer: Sendable, Hashable {
    public var publicKey: WireGuardKey
    /// Nil: learned from the peer's own packets, and left as it is when the peer exists.
    public var endpoint: WireGuardEndpoint?
    /// Inner addresses the peer may send from; packets to them go to this peer. An address belongs to one peer of a
    /// device at a time: giving it to one takes it from another.
    public var allowedIPs: Set<IPPrefix>
    /// Seconds between packets that keep middleboxes' state alive; 0 sends none.
    public var persistentKeepalive: UInt16

    public init(
        publicKey: WireGuardKey, endpoint: WireGuardEndpoint? = nil, allowedIPs: Set<IPPrefix>,
        persistentKeepalive: UInt16 = 0
    ) {
        self.publicKey = publicKey
        self.endpoint = endpoint
        self.allowedIPs = allowedIPs
        self.persistentKeepalive = persistentKeepalive
    }
}

/// One change to one peer. What is nil stays as it is.
public struct WireGuardPeerChange: Sendable, Hashable {
    public var publicKey: WireGuardKey
    /// Takes the peer away; everything else is ignored then.
    public var remove = false
    /// Does nothing if the device does not have the peer.
    public var updateOnly = false
    public var endpoint: WireGuardEndpoint?
    public var persistentKeepalive: UInt16?
    /// Takes all present allowed IPs away before `allowedIPs` are added.
    public var replaceAllowedIPs = false
    public var allowedIPs: [IPPrefix] = []

    public init(publicKey: WireGuardKey) {
        self.publicKey = publicKey
    }

    /// Adds the peer, or makes it exactly so.
    public static func set(_ peer: WireGuardPeer) -> WireGuardPeerChange {
        var change = WireGuardPeerChange(publicKey: peer.publicKey)
        change.endpoint = peer.endpoint
        change.persistentKeepalive = peer.persistentKeepalive
        change.replaceAllowedIPs = true
        change.allowedIPs = peer.allowedIPs.sorted()
        return change
    }

    public static func remove(_ publicKey: WireGuardKey) -> WireGuardPeerChange {
        var change = WireGuardPeerChange(publicKey: publicKey)
        change.remove = true
        return change
    }
}

/// A change to a device. What is nil stays as it is; peers not named stay unless `replacePeers` is set.
public struct WireGuardConfiguration: Sendable {
    public var privateKey: WireGuardPrivateKey?
    /// 0 lets the system choose.
    public var listenPort: UInt16?
    /// Takes all present peers away before `peers` are added.
    public var replacePeers: Bool
    /// Done in this order.
    public var peers: [WireGuardPeerChange]

    public init(
        privateKey: WireGuardPrivateKey? = nil, listenPort: UInt16? = nil, replacePeers: Bool = false,
        peers: [WireGuardPeerChange] = []
    ) {
        self.privateKey = privateKey
        self.listenPort = listenPort
        self.replacePeers = replacePeers
        self.peers = peers
    }

    /// Whether it changes nothing.
    public var isEmpty: Bool { privateKey == nil && listenPort == nil && !replacePeers && peers.isEmpty }
}

/// A peer as the device reports it.
public struct WireGuardPeerStatus: Sendable, Hashable {
    public var publicKey: WireGuardKey
    public var endpoint: WireGuardEndpoint?
    public var allowedIPs: Set<IPPrefix> = []
    /// Seconds; 0 is off.
    public var persistentKeepalive: UInt16 = 0
    /// Time since 1970 of the last handshake on this machine's wall clock; nil if there was none.
    public var lastHandshake: Duration?
    /// Outer bytes received since the peer was added.
    public var receivedBytes: UInt64 = 0
    /// Outer bytes sent since the peer was added.
    public var sentBytes: UInt64 = 0

    public init(publicKey: WireGuardKey) {
        self.publicKey = publicKey
    }
}

/// A device as it is. Its private key stays where it is; only the public half is told.
public struct WireGuardStatus: Sendable, Hashable {
    /// Nil: the device has no key yet.
    public var publicKey: WireGuardKey?
    /// The UDP port; 0 while the device has no socket.
    public var listenPort: UInt16 = 0
    public var peers: [WireGuardPeerStatus] = []

    public init() {}

    /// The least change that makes the device's peers be `desired`: nothing is sent for a peer that is as it shall be.
    ///
    /// Removals come first. Allowed IPs that move from one peer to another are taken by the one that is set, so the
    /// order of `desired` matters only if two of them claim one address: then the later one gets it.
    public func changes(toPeers desired: [WireGuardPeer]) -> [WireGuardPeerChange] {
        let wanted = Set(desired.map(\.publicKey))
        let present = Dictionary(peers.map { ($0.publicKey, $0) }, uniquingKeysWith: { first, _ in first })
        let removals = peers.map(\.publicKey).filter { !wanted.contains($0) }.map(WireGuardPeerChange.remove)
        return removals
            + desired.compactMap { peer in
                guard let status = present[peer.publicKey] else { return .set(peer) }
                var change = WireGuardPeerChange(publicKey: peer.publicKey)
                if let endpoint = peer.endpoint, endpoint != status.endpoint { change.endpoint = endpoint }
                if peer.persistentKeepalive != status.persistentKeepalive {
                    change.persistentKeepalive = peer.persistentKeepalive
                }
                if peer.allowedIPs != status.allowedIPs {
                    change.replaceAllowedIPs = true
                    change.allowedIPs = peer.allowedIPs.sorted()
                }
                return change == WireGuardPeerChange(publicKey: peer.publicKey) ? nil : change
            }
    }
}

/// One WireGuard device, however its packets are carried. Calls block for as long as the other side takes, at most a
/// few seconds: not for the cooperative thread pool.
public protocol WireGuardBackend: Sendable {
    /// Does a change as a whole, or fails; after a failure part of it may have been done.
    func configure(_ configuration: WireGuardConfiguration) throws
    func status() throws -> WireGuardStatus
}

/// What carries a device's packets.
public enum WireGuardForm: String, Sendable, CaseIterable {
    /// The kernel's own module.
    case kernel
    /// A wireguard-go process with a TUN link.
    case userspace
}
