import LinuxNet
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The plugin's entry in `host.yaml`, validated. Every field may be absent.
struct VXLANSettings: Sendable, Equatable {
    /// Least MTU of a tunnel link: IPv6, which the pods' next hop fe80::1 needs, refuses smaller ones (RFC 8200).
    static let mtuRange = 1280...65_465
    /// Local ports pods' ends may have: no privileged ones, and not the last, because the kernel names a link's source
    /// port as a range whose end is not in it.
    static let allowedPorts: ClosedRange<UInt16> = 1024...65_534

    /// UDP ports of the node, one for each pod's end. The default lies below the ports that Kubernetes gives to
    /// Services (30000-32767) and that Linux gives to clients (32768-60999).
    var portRange: ClosedRange<UInt16> = 24_576...28_671
    /// Bytes; nil derives it from the uplink.
    var mtu: Int?
    /// The node's address that gateways send to; nil takes the one the kernel would send from.
    var underlayAddress: IPAddress?
    /// Of the addresses outside the tunnel; nodes and gateways must agree on it.
    var underlayFamily = IPAddress.Family.ipv4

    /// What a frame outside is longer than the packet in it: 14 bytes inner Ethernet, 8 VXLAN, 8 UDP, and 20 bytes IPv4
    /// or 40 bytes IPv6 (RFC 7348, section 5).
    var overhead: Int { underlayFamily == .ipv4 ? 50 : 70 }

    /// The tunnel's MTU for an uplink's, in bytes.
    func derivedMTU(fromUplink mtu: Int) -> Int {
        min(max(mtu - overhead, Self.mtuRange.lowerBound), Self.mtuRange.upperBound)
    }

    init() {}

    /// - Throws: `invalid` that names the field, the value and what is allowed.
    init(json: Data) throws {
        let fields: Fields
        do {
            fields = try JSONDecoder().decode(Fields.self, from: json)
        } catch let error as DecodingError {
            throw ProviderError(.invalid, "config: \(error.oneLine)")
        }
        if let name = fields.unknown {
            let allowed = Fields.Name.allCases.map(\.rawValue).joined(separator: ", ")
            throw ProviderError(.invalid, "config.\(name): no such field; allowed: \(allowed)")
        }
        if let text = fields.portRange { portRange = try Self.ports(text) }
        if let value = fields.mtu {
            guard Self.mtuRange.contains(value) else {
                throw Self.refusal(
                    "mtu", "\(value)", "\(Self.mtuRange.lowerBound)...\(Self.mtuRange.upperBound) bytes")
            }
            mtu = value
        }
        if let text = fields.underlayFamily {
            switch text {
            case "ipv4": underlayFamily = .ipv4
            case "ipv6": underlayFamily = .ipv6
            default: throw Self.refusal("underlayFamily", "\"\(text)\"", "ipv4, ipv6")
            }
        }
        if let text = fields.underlayAddress {
            guard let address = IPAddress(text), address.family == underlayFamily, address.isHostAddress else {
                throw Self.refusal(
                    "underlayAddress", "\"\(text)\"", "an address of the node of the family \(underlayFamily)")
            }
            underlayAddress = address
        }
    }

    private static func ports(_ text: String) throws -> ClosedRange<UInt16> {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard parts.count == 2, let first = parts[0], let last = parts[1], first <= last,
            allowedPorts.contains(first), allowedPorts.contains(last)
        else {
            throw refusal(
                "portRange", "\"\(text)\"",
                "FIRST-LAST within \(allowedPorts.lowerBound)...\(allowedPorts.upperBound), such as 24576-28671")
        }
        return first...last
    }

    private static func refusal(_ field: String, _ value: String, _ allowed: String) -> ProviderError {
        ProviderError(.invalid, "config.\(field): \(value) is not allowed; allowed: \(allowed)")
    }

    /// The JSON as it came.
    private struct Fields: Decodable {
        enum Name: String, CaseIterable {
            case portRange, mtu, underlayAddress, underlayFamily
        }

        /// A key that may be one we do not know.
        struct Key: CodingKey {
            let stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init(_ name: Name) { stringValue = name.rawValue }
            init?(intValue: Int) { nil }
        }

        var unknown: String?
        var portRange: String?
        var mtu: Int?
        var underlayAddress: String?
        var underlayFamily: String?

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            unknown = container.allKeys.map(\.stringValue).sorted().first { Name(rawValue: $0) == nil }
            portRange = try container.decodeIfPresent(String.self, forKey: Key(.portRange))
            mtu = try container.decodeIfPresent(Int.self, forKey: Key(.mtu))
            underlayAddress = try container.decodeIfPresent(String.self, forKey: Key(.underlayAddress))
            underlayFamily = try container.decodeIfPresent(String.self, forKey: Key(.underlayFamily))
        }
    }
}

extension IPAddress {
    /// Whether a packet can be sent to it from another machine: no unspecified, loopback, link-local, multicast or
    /// reserved address.
    var isHostAddress: Bool {
        guard !isLinkLocal else { return false }
        if let bits = ipv4Bits { return bits >> 24 != 0 && bits >> 24 != 127 && bits >> 28 < 0xe }
        return bytes[0] != 0xff && bytes.dropLast().contains { $0 != 0 }
    }
}
