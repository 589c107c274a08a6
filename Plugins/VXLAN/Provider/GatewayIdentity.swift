import CSodium
import LinuxNet

/// What all gateways of one configuration share, so that a load balancer may choose any of them: the network identifier
/// and the MAC address of their end. Both follow from the configuration's public key, which pods' ends know too.
struct GatewayIdentity: Sendable, Hashable {
    /// Separates this use of the hash from every other.
    private static let domain = "egress-gateway vxlan 1"

    let identifier: UInt32
    let hardwareAddress: MACAddress

    init?(_ key: WireGuardKey) {
        let input = Array(Self.domain.utf8) + [0] + key.bytes
        // BLAKE2b's least length is 16 bytes (crypto_generichash_BYTES_MIN); 9 are used.
        var hash = [UInt8](repeating: 0, count: 16)
        guard crypto_generichash(&hash, hash.count, input, UInt64(input.count), nil, 0) == 0 else { return nil }
        let identifier = UInt32(hash[0]) << 16 | UInt32(hash[1]) << 8 | UInt32(hash[2])
        // 0 is what a frame without an identifier reads as.
        self.identifier = max(identifier, 1)
        hash[3] = hash[3] & 0xfc | 0x02
        guard let address = MACAddress(bytes: hash[3..<9]) else { return nil }
        hardwareAddress = address
    }
}
