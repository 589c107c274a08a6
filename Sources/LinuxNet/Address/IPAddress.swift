/// An IPv4 or IPv6 address. A plain value: nothing here asks a resolver or knows interface scopes.
public struct IPAddress: Hashable, Sendable {
    /// Address family; the raw value is the kernel's AF_INET or AF_INET6.
    public enum Family: UInt8, Sendable, CaseIterable {
        case ipv4 = 2
        case ipv6 = 10

        /// Address length in bits.
        public var bitCount: Int { self == .ipv4 ? 32 : 128 }
        /// Address length in bytes.
        public var byteCount: Int { bitCount / 8 }
    }

    public let family: Family
    /// The address as a number; an IPv4 address lies in the low 32 bits of `low`.
    private let high: UInt64
    private let low: UInt64

    /// An IPv4 address from its 32 bits in host order: 0x0a000001 is 10.0.0.1.
    public init(ipv4 bits: UInt32) {
        family = .ipv4
        high = 0
        low = UInt64(bits)
    }

    /// An IPv6 address from its first and last 64 bits in host order.
    public init(ipv6 high: UInt64, _ low: UInt64) {
        family = .ipv6
        self.high = high
        self.low = low
    }

    /// An address from 4 or 16 bytes in network order; nil for any other count.
    public init?(bytes: some Collection<UInt8>) {
        func number(_ part: some Sequence<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        switch bytes.count {
        case 4: self.init(ipv4: UInt32(number(bytes)))
        case 16: self.init(ipv6: number(bytes.prefix(8)), number(bytes.dropFirst(8)))
        default: return nil
        }
    }

    /// 0.0.0.0 or ::.
    public static func unspecified(_ family: Family) -> IPAddress {
        family == .ipv4 ? IPAddress(ipv4: 0) : IPAddress(ipv6: 0, 0)
    }

    /// The address in network order: 4 or 16 bytes.
    public var bytes: [UInt8] {
        func split(_ value: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
        }
        return family == .ipv4 ? split(low, 4) : split(high, 8) + split(low, 8)
    }

    /// The 32 bits of an IPv4 address in host order; nil for IPv6.
    public var ipv4Bits: UInt32? { family == .ipv4 ? UInt32(truncatingIfNeeded: low) : nil }

    /// Whether it is in 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291).
    public var isLinkLocal: Bool {
        family == .ipv4 ? low >> 16 == 0xa9fe : high >> 54 == 0x3fa
    }

    /// The address with all but the first `length` bits cleared. `length` is clamped to the family's range.
    public func masked(to length: Int) -> IPAddress {
        switch family {
        case .ipv4:
            return IPAddress(ipv4: UInt32(truncatingIfNeeded: low & Self.mask(length + 32)))
        case .ipv6:
            return IPAddress(ipv6: high & Self.mask(length), low & Self.mask(length - 64))
        }
    }

    private static func mask(_ length: Int) -> UInt64 {
        length <= 0 ? 0 : (length >= 64 ? .max : ~(.max >> UInt64(length)))
    }
}

extension IPAddress: Comparable {
    /// IPv4 before IPv6, then by number.
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        (left.family.rawValue, left.high, left.low) < (right.family.rawValue, right.high, right.low)
    }
}

extension IPAddress: LosslessStringConvertible {
    /// Reads an address; nil if it is none. `init(parsing:field:)` says what is wrong.
    public init?(_ description: String) {
        guard let address = Self.parseIPv4(description) ?? Self.parseIPv6(description) else { return nil }
        self = address
    }

    /// Reads an address in its usual notation: four decimal numbers without leading zeros, or RFC 4291 text. Zone
    /// suffixes ("%eth0"), ports and surrounding space are refused.
    ///
    /// - Parameter field: The name under which the caller knows the value; used in the error.
    public init(parsing text: String, field: String = "address") throws {
        guard let address = IPAddress(text) else {
            throw LinuxNetError.invalid(
                field, value: text, allowed: "an IPv4 address such as 10.0.0.4 or an IPv6 address such as fe80::1")
        }
        self = address
    }

    public var description: String { family == .ipv4 ? Self.dotted(low) : ipv6Text }

    private static func dotted(_ bits: UInt64) -> String {
        "\(bits >> 24 & 255).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
    }

    /// RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as "::".
    private var ipv6Text: String {
        if high == 0 && low >> 32 == 0xffff { return "::ffff:" + Self.dotted(low & 0xffff_ffff) }
        let groups = [high, low].flatMap { half in [48, 32, 16, 0].map { half >> UInt64($0) & 0xffff } }
        let text = groups.map { String($0, radix: 16) }
        guard let run = Self.longestZeroRun(groups) else { return text.joined(separator: ":") }
        return text[..<run.lowerBound].joined(separator: ":") + "::" + text[run.upperBound...].joined(separator: ":")
    }

    private static func longestZeroRun(_ groups: [UInt64]) -> Range<Int>? {
        var best: Range<Int>?
        var start = 0
        while start < groups.count {
            var end = start
            while end < groups.count && groups[end] == 0 { end += 1 }
            if end - start >= 2 && end - start > (best?.count ?? 0) { best = start..<end }
            start = end + 1
        }
        return best
    }

    private static func parseIPv4(_ text: some StringProtocol) -> IPAddress? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard let number = decimal(part, atMost: 255) else { return nil }
            bits = bits << 8 | UInt32(number)
        }
        return IPAddress(ipv4: bits)
    }

    /// A decimal number without sign, space or leading zeros.
    static func decimal(_ text: some StringProtocol, atMost limit: Int) -> Int? {
        guard (1...3).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
            text.utf8.count == 1 || text.utf8.first != 48, let number = Int(text), number <= limit
        else { return nil }
        return number
    }

    private static func parseIPv6(_ text: String) -> IPAddress? {
        guard text.utf8.count <= 45 else { return nil }
        guard let gap = text.utf8Range(of: "::") else {
            guard let groups = parseGroups(text[...]), groups.count == 8 else { return nil }
            return address(groups)
        }
        guard let head = parseGroups(text[..<gap.lowerBound], isHead: true),
            let tail = parseGroups(text[gap.upperBound...]), head.count + tail.count <= 7
        else { return nil }
        return address(head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail)
    }

    /// 16-bit groups of one side of "::". Only the right side may end in dotted IPv4 notation.
    private static func parseGroups(_ text: Substring, isHead: Bool = false) -> [UInt64]? {
        if text.isEmpty { return [] }
        var groups: [UInt64] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if part.utf8.contains(46) {
                guard index == parts.count - 1, !isHead, let embedded = parseIPv4(part) else { return nil }
                groups += [embedded.low >> 16, embedded.low & 0xffff]
            } else {
                guard (1...4).contains(part.utf8.count), part.allSatisfy({ $0.isASCII && $0.isHexDigit }),
                    let group = UInt64(part, radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups
    }

    private static func address(_ groups: [UInt64]) -> IPAddress {
        func join(_ part: ArraySlice<UInt64>) -> UInt64 { part.reduce(0) { $0 << 16 | $1 } }
        return IPAddress(ipv6: join(groups[..<4]), join(groups[4...]))
    }
}

extension String {
    /// First occurrence of an ASCII text; the standard library without Foundation has no such search.
    fileprivate func utf8Range(of needle: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(needle) { return start..<index(start, offsetBy: needle.count) }
            start = index(after: start)
        }
        return nil
    }
}

extension IPAddress: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let address = IPAddress(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\"\(text)\" is not an IPv4 or IPv6 address")
        }
        self = address
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
