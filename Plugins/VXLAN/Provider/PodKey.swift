import LinuxNet
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// What a pod's end tells the gateways about itself. It travels as the contract's public key: 32 bytes that are opaque
/// to everybody else.
///
/// Layout: format version, family (4 or 6), address (16 bytes, IPv4 in the first four), UDP port in network order, MAC
/// address, zeros.
struct PodKey: Sendable, Hashable {
    private static let version: UInt8 = 1
    private static let byteCount = 32
    private static let used = 26

    /// Where gateways send frames for the pod: the node's address, and the UDP port of the pod's end.
    let host: IPAddress
    let port: UInt16
    /// Of the pod's end inside the tunnel.
    let hardwareAddress: MACAddress

    /// Next hop of the pod's addresses inside the tunnel. It is nobody's: only its neighbour entry counts.
    var nextHop: IPAddress { hardwareAddress.linkLocalAddress }

    init(host: IPAddress, port: UInt16, hardwareAddress: MACAddress) {
        self.host = host
        self.port = port
        self.hardwareAddress = hardwareAddress
    }

    /// - Parameters:
    ///   - field: The name under which the caller knows the value; used in the error.
    /// - Throws: `invalid` that says what is wrong.
    init(parsing text: String, field: String = "publicKey") throws {
        func refusal(_ reason: String) -> ProviderError {
            ProviderError(
                .invalid, "\(field): \"\(text)\" is not allowed: \(reason); allowed: what a pod's end of VXLAN made")
        }
        guard let data = Data(base64Encoded: text), data.count == Self.byteCount else {
            throw refusal("it is not base64 of \(Self.byteCount) bytes")
        }
        let bytes = [UInt8](data)
        guard bytes[0] == Self.version else {
            throw refusal("its format version is \(bytes[0]), known is \(Self.version)")
        }
        guard bytes[Self.used...].allSatisfy({ $0 == 0 }) else { throw refusal("its last bytes are not zero") }
        let address: IPAddress?
        switch bytes[1] {
        case 4 where bytes[6..<18].allSatisfy({ $0 == 0 }): address = IPAddress(bytes: bytes[2..<6])
        case 6: address = IPAddress(bytes: bytes[2..<18])
        default: throw refusal("its address family is neither IPv4 nor IPv6")
        }
        guard let address, address.isHostAddress else { throw refusal("its address is none of a host") }
        let port = UInt16(bytes[18]) << 8 | UInt16(bytes[19])
        guard port > 0 else { throw refusal("its port is 0") }
        guard let hardwareAddress = MACAddress(bytes: bytes[20..<Self.used]), hardwareAddress.isUnicast,
            hardwareAddress.isLocallyAdministered
        else { throw refusal("its MAC address is not a made-up unicast one") }
        self.init(host: address, port: port, hardwareAddress: hardwareAddress)
    }

    /// Base64, 44 characters.
    var text: String {
        var bytes: [UInt8] = [Self.version, host.family == .ipv4 ? 4 : 6]
        bytes += host.bytes + [UInt8](repeating: 0, count: 16 - host.bytes.count)
        bytes += [UInt8(port >> 8), UInt8(port & 255)] + hardwareAddress.bytes
        bytes += [UInt8](repeating: 0, count: Self.byteCount - bytes.count)
        return Data(bytes).base64EncodedString()
    }
}
