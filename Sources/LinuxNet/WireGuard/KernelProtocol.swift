import CMnl
import Glibc

/// WireGuard's generic netlink messages (linux/wireguard.h), as pure functions from values to attributes and back.
enum KernelProtocol {
    /// Name of the generic netlink family (WG_GENL_NAME).
    static let familyName = "wireguard"
    /// The payload of one message is kept below this: nested attributes have 16-bit lengths, and the kernel refuses
    /// messages larger than the socket's send buffer.
    static let maximumMessageBytes = 32 * 1024

    /// Cuts a change into changes that fit a message each; doing them in order does the whole. A peer whose allowed
    /// IPs do not fit goes on in the next one, as linux/wireguard.h describes.
    static func fragments(
        of configuration: WireGuardConfiguration, maximumBytes: Int = maximumMessageBytes
    ) -> [WireGuardConfiguration] {
        var fragments: [WireGuardConfiguration] = []
        var current = configuration
        current.peers = []
        var room = maximumBytes
        func startNext() {
            fragments.append(current)
            current = WireGuardConfiguration()
            room = maximumBytes
        }
        for peer in configuration.peers {
            if room < peerBytes + prefixBytes && !current.peers.isEmpty { startNext() }
            var part = peer
            part.allowedIPs = []
            room -= peerBytes
            for prefix in peer.allowedIPs {
                if room < prefixBytes && !part.allowedIPs.isEmpty {
                    current.peers.append(part)
                    startNext()
                    part = WireGuardPeerChange(publicKey: peer.publicKey)
                    room -= peerBytes
                }
                part.allowedIPs.append(prefix)
                room -= prefixBytes
            }
            current.peers.append(part)
        }
        fragments.append(current)
        return fragments
    }

    /// Most bytes a peer takes without its allowed IPs: nest, key, flags, sockaddr_in6, keepalive, list nest.
    private static let peerBytes = 4 + 36 + 8 + 32 + 8 + 4
    /// Most bytes an allowed IP takes: nest, family, IPv6 address, length.
    private static let prefixBytes = 4 + 8 + 20 + 8

    /// Appends the attributes of WG_CMD_SET_DEVICE.
    static func append(_ configuration: WireGuardConfiguration, link: String, to message: inout NetlinkMessage) {
        message.append(WGDEVICE_A_IFNAME.rawValue, string: link)
        if configuration.replacePeers {
            message.append(WGDEVICE_A_FLAGS.rawValue, value: WGDEVICE_F_REPLACE_PEERS.rawValue)
        }
        if let key = configuration.privateKey {
            key.withUnsafeBytes { message.append(WGDEVICE_A_PRIVATE_KEY.rawValue, bytes: $0) }
        }
        if let port = configuration.listenPort {
            message.append(WGDEVICE_A_LISTEN_PORT.rawValue, value: port)
        }
        guard !configuration.peers.isEmpty else { return }
        message.nest(WGDEVICE_A_PEERS.rawValue) { list in
            for peer in configuration.peers {
                list.nest(0) { append(peer, to: &$0) }
            }
        }
    }

    private static func append(_ peer: WireGuardPeerChange, to message: inout NetlinkMessage) {
        message.append(WGPEER_A_PUBLIC_KEY.rawValue, bytes: peer.publicKey.bytes)
        var flags: UInt32 = 0
        if peer.remove { flags |= WGPEER_F_REMOVE_ME.rawValue }
        if peer.updateOnly { flags |= WGPEER_F_UPDATE_ONLY.rawValue }
        if peer.replaceAllowedIPs { flags |= WGPEER_F_REPLACE_ALLOWEDIPS.rawValue }
        if flags != 0 { message.append(WGPEER_A_FLAGS.rawValue, value: flags) }
        guard !peer.remove else { return }
        if let endpoint = peer.endpoint {
            message.append(WGPEER_A_ENDPOINT.rawValue, bytes: socketAddress(endpoint))
        }
        if let seconds = peer.persistentKeepalive {
            message.append(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL.rawValue, value: seconds)
        }
        guard !peer.allowedIPs.isEmpty else { return }
        message.nest(WGPEER_A_ALLOWEDIPS.rawValue) { list in
            for prefix in peer.allowedIPs {
                list.nest(0) { item in
                    item.append(WGALLOWEDIP_A_FAMILY.rawValue, value: UInt16(prefix.family.rawValue))
                    item.append(WGALLOWEDIP_A_IPADDR.rawValue, address: prefix.address)
                    item.append(WGALLOWEDIP_A_CIDR_MASK.rawValue, value: UInt8(prefix.length))
                }
            }
        }
    }

    /// struct sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes): family in host order, port in network order, then the
    /// address where the family has it.
    static func socketAddress(_ endpoint: WireGuardEndpoint) -> [UInt8] {
        let family = withUnsafeBytes(of: UInt16(endpoint.address.family.rawValue)) { Array($0) }
        let port = [UInt8(endpoint.port >> 8), UInt8(endpoint.port & 255)]
        let bytes = endpoint.address.bytes
        let zeros = { (count: Int) in [UInt8](repeating: 0, count: count) }
        return endpoint.address.family == .ipv4
            ? family + port + bytes + zeros(8) : family + port + zeros(4) + bytes + zeros(4)
    }

    private static func endpoint(_ bytes: ArraySlice<UInt8>) -> WireGuardEndpoint? {
        let bytes = Array(bytes)
        guard bytes.count >= 16 else { return nil }
        let family = bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt16.self) }
        let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        switch IPAddress.Family(rawValue: UInt8(truncatingIfNeeded: family)) {
        case .ipv4: return IPAddress(bytes: bytes[4..<8]).map { WireGuardEndpoint(address: $0, port: port) }
        case .ipv6 where bytes.count >= 24:
            return IPAddress(bytes: bytes[8..<24]).map { WireGuardEndpoint(address: $0, port: port) }
        default: return nil
        }
    }

    /// Reads the messages of a WG_CMD_GET_DEVICE dump. A peer that goes on in the next message is put together.
    static func status(_ messages: [NetlinkAttributes]) throws -> WireGuardStatus {
        var status = WireGuardStatus()
        for attributes in messages {
            if let bytes = attributes[WGDEVICE_A_PUBLIC_KEY.rawValue]?.payload {
                status.publicKey = WireGuardKey(bytes: bytes)
            }
            if let port = attributes[WGDEVICE_A_LISTEN_PORT.rawValue]?.uint16 { status.listenPort = port }
            guard let list = try attributes[WGDEVICE_A_PEERS.rawValue]?.nested() else { continue }
            for item in list { try take(item.nested(), &status.peers) }
        }
        return status
    }

    private static func take(_ attributes: NetlinkAttributes, _ peers: inout [WireGuardPeerStatus]) throws {
        guard let key = attributes[WGPEER_A_PUBLIC_KEY.rawValue].flatMap({ WireGuardKey(bytes: $0.payload) }) else {
            throw LinuxNetError.malformedReply("a WireGuard peer without a public key")
        }
        var peer = WireGuardPeerStatus(publicKey: key)
        if peers.last?.publicKey == key, let last = peers.popLast() { peer = last }
        if let bytes = attributes[WGPEER_A_ENDPOINT.rawValue]?.payload { peer.endpoint = endpoint(bytes) }
        if let seconds = attributes[WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL.rawValue]?.uint16 {
            peer.persistentKeepalive = seconds
        }
        if let time = attributes[WGPEER_A_LAST_HANDSHAKE_TIME.rawValue]?.value(as: KernelTime.self) {
            peer.addHandshake(.seconds(time.seconds))
            peer.addHandshake(.nanoseconds(time.nanoseconds))
        }
        if let bytes = attributes[WGPEER_A_RX_BYTES.rawValue]?.uint64 { peer.receivedBytes = bytes }
        if let bytes = attributes[WGPEER_A_TX_BYTES.rawValue]?.uint64 { peer.sentBytes = bytes }
        if let list = try attributes[WGPEER_A_ALLOWEDIPS.rawValue]?.nested() {
            for item in list {
                let prefix = try item.nested()
                guard let address = prefix[WGALLOWEDIP_A_IPADDR.rawValue]?.address,
                    let length = prefix[WGALLOWEDIP_A_CIDR_MASK.rawValue]?.uint8
                else { throw LinuxNetError.malformedReply("a WireGuard allowed IP without address or length") }
                peer.allowedIPs.insert(IPPrefix(address, length: Int(length)))
            }
        }
        peers.append(peer)
    }

    /// struct __kernel_timespec.
    private struct KernelTime: BitwiseCopyable {
        var seconds: Int64
        var nanoseconds: Int64
    }
}
