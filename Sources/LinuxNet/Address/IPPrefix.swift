/// An IP network: an address whose bits after `length` are zero.
public struct IPPrefix: Hashable, Sendable {
    /// What `init(parsing:)` does with an address that has bits set after the prefix length.
    public enum HostBits: Sendable {
        /// "10.1.2.3/16" is an error.
        case refuse
        /// "10.1.2.3/16" means 10.1.0.0/16, as Go's net.ParseCIDR reads it.
        case clear
    }

    /// The network's first address.
    public let address: IPAddress
    /// 0...32 for IPv4, 0...128 for IPv6.
    public let length: Int

    /// The network that contains `address`. `length` is clamped to the family's range.
    public init(_ address: IPAddress, length: Int) {
        self.length = min(max(length, 0), address.family.bitCount)
        self.address = address.masked(to: self.length)
    }

    /// The network of this one address: /32 or /128.
    public init(host address: IPAddress) {
        self.init(address, length: address.family.bitCount)
    }

    /// Reads "address/length".
    ///
    /// - Parameter field: The name under which the caller knows the value; used in the error.
    public init(parsing text: String, field: String = "prefix", hostBits: HostBits = .refuse) throws {
        let (address, length) = try Self.split(text, field: field)
        let prefix = IPPrefix(address, length: length)
        guard hostBits == .clear || prefix.address == address else {
            throw LinuxNetError.invalid(
                field, value: text, allowed: "no bits set after the prefix length; did you mean \(prefix)?")
        }
        self = prefix
    }

    /// Reads "address/length" and keeps the address's own bits, as an interface address needs them.
    public static func split(_ text: String, field: String = "address") throws -> (address: IPAddress, length: Int) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let allowed = "CIDR notation such as 10.1.0.0/16 or fd00::/64"
        guard parts.count == 2, let address = IPAddress(String(parts[0])) else {
            throw LinuxNetError.invalid(field, value: text, allowed: allowed)
        }
        guard let length = IPAddress.decimal(parts[1], atMost: address.family.bitCount) else {
            throw LinuxNetError.invalid(
                field, value: text, allowed: "\(allowed); the length is 0...\(address.family.bitCount)")
        }
        return (address, length)
    }

    /// 0.0.0.0/0 or ::/0.
    public static func all(_ family: IPAddress.Family) -> IPPrefix {
        IPPrefix(.unspecified(family), length: 0)
    }

    public var family: IPAddress.Family { address.family }
    /// Whether it is 0.0.0.0/0 or ::/0, the destination of a default route.
    public var isAll: Bool { length == 0 }
    /// Whether it holds one address only.
    public var isHost: Bool { length == family.bitCount }

    public func contains(_ other: IPAddress) -> Bool {
        other.family == family && other.masked(to: length) == address
    }

    public func contains(_ other: IPPrefix) -> Bool {
        other.length >= length && contains(other.address)
    }
}

extension IPPrefix: Comparable {
    /// By address, then shorter prefixes first.
    public static func < (left: IPPrefix, right: IPPrefix) -> Bool {
        (left.address, left.length) < (right.address, right.length)
    }
}

extension IPPrefix: CustomStringConvertible {
    public var description: String { "\(address)/\(length)" }
}

extension IPPrefix: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do {
            self = try IPPrefix(parsing: text)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(error)")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
