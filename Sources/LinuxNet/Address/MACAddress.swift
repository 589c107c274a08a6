/// A 48-bit link-layer address.
public struct MACAddress: Hashable, Sendable, CustomStringConvertible {
    /// Six bytes in transmission order.
    public let bytes: [UInt8]

    /// Nil unless there are six bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        self.bytes = Array(bytes)
    }

    /// A random address for a link that is made up: unicast, locally administered (IEEE 802, "x2" to "xE" in the first
    /// byte's second digit).
    public static func random(using generator: inout some RandomNumberGenerator) -> MACAddress {
        var bytes = (0..<6).map { _ in UInt8.random(in: 0...255, using: &generator) }
        bytes[0] = bytes[0] & 0xfc | 0x02
        return MACAddress(bits: bytes)
    }

    private init(bits: [UInt8]) {
        bytes = bits
    }

    /// Whether it names one station: neither a group nor zero.
    public var isUnicast: Bool { bytes[0] & 1 == 0 && bytes.contains { $0 != 0 } }
    /// Whether it was made up, not given by a manufacturer.
    public var isLocallyAdministered: Bool { bytes[0] & 2 != 0 }

    /// The IPv6 link-local address that the kernel would derive from it (RFC 4291, appendix A).
    public var linkLocalAddress: IPAddress {
        let identifier = [bytes[0] ^ 2, bytes[1], bytes[2], 0xff, 0xfe, bytes[3], bytes[4], bytes[5]]
        return IPAddress(ipv6: 0xfe80_0000_0000_0000, identifier.reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// Six pairs of hexadecimal digits joined by colons, in lower case.
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
