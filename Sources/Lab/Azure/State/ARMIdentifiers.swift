/// Makes up identifiers from a seed, so that a run can be repeated.
struct ARMIdentifiers: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A random GUID (RFC 9562 version 4) in lower case.
    mutating func guid() -> String {
        let high = next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        let digits = Self.hexadecimal(high) + Self.hexadecimal(low)
        var groups: [String] = []
        var rest = Substring(digits)
        for length in [8, 4, 4, 4, 12] {
            groups.append(String(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return groups.joined(separator: "-")
    }

    /// A weak etag as Microsoft.Network makes them.
    mutating func networkETag() -> String { "W/\"\(guid())\"" }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// A resource id: `/subscriptions/S/resourceGroups/G/providers/P/TYPE/NAME[/TYPE/NAME]...`, compared without case.
struct ARMResourceID: Sendable {
    let subscription: String
    let resourceGroup: String
    let provider: String
    /// Types and names, outermost first.
    let segments: [(type: String, name: String)]

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 9, parts.count % 2 == 1, parts[0].isEmpty, !parts.dropFirst().contains(""),
            parts[1].lowercased() == "subscriptions", parts[3].lowercased() == "resourcegroups",
            parts[5].lowercased() == "providers"
        else { return nil }
        subscription = parts[2]
        resourceGroup = parts[4]
        provider = parts[6]
        segments = stride(from: 7, to: parts.count, by: 2).map { (parts[$0], parts[$0 + 1]) }
    }

    /// The names, if the types are these.
    func names(_ types: String...) -> [String]? {
        guard types.map({ $0.lowercased() }) == segments.map({ $0.type.lowercased() }) else { return nil }
        return segments.map(\.name)
    }
}
