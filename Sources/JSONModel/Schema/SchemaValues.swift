extension JSONValue {
    /// The value with every whole number as an integer, so that `2` and `2.0` are equal, as JSON Schema has it.
    var canonical: JSONValue {
        switch self {
        case .number(let number): Int64(exactly: number).map(JSONValue.integer) ?? self
        case .array(let elements): .array(elements.map(\.canonical))
        case .object(let members): .object(members.mapValues(\.canonical))
        default: self
        }
    }

    /// The value for a message: one line, cut; objects and arrays only by their kind.
    var quoted: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        case .number(let value): String(describing: value)
        case .string(let text): "\"\(Self.clipped(text))\""
        case .array, .object: kind
        }
    }

    /// Text of other people for a message: at most ``JSONSchema/maximumValueText`` characters, and no control
    /// characters that could end the line.
    static func clipped(_ text: String) -> String {
        let most = JSONSchema.maximumValueText
        var clipped = ""
        for (index, character) in text.unicodeScalars.prefix(most + 1).enumerated() {
            guard index < most else { return clipped + "..." }
            switch character.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned:
                clipped += "\\u{\(String(character.value, radix: 16))}"
            default: clipped.unicodeScalars.append(character)
            }
        }
        return clipped
    }

    /// Compares numbers; false if one of the two is none.
    func isLess(than other: JSONValue) -> Bool {
        switch (self, other) {
        case (.integer(let left), .integer(let right)): left < right
        case (.integer(let left), .number(let right)): Double(left) < right
        case (.number(let left), .integer(let right)): left < Double(right)
        case (.number(let left), .number(let right)): left < right
        default: false
        }
    }
}

extension SchemaFields.Format {
    var words: String {
        switch self {
        case .ipv4: "an IPv4 address, such as 192.0.2.1"
        case .ipv6: "an IPv6 address, such as 2001:db8::1"
        case .cidr: "an address with a prefix length, such as 192.0.2.0/24 or 2001:db8::/32"
        case .byte: "base64 with padding"
        }
    }

    func holds(_ text: String) -> Bool {
        switch self {
        case .ipv4: Self.isIPv4(text[...])
        case .ipv6: Self.isIPv6(text[...])
        case .cidr: Self.isCIDR(text)
        case .byte: Self.isBase64(text)
        }
    }

    /// Four decimal numbers without leading zeros (RFC 6943 section 3.1.1: the strict form).
    private static func isIPv4(_ text: Substring) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { decimal($0, most: 255) }
    }

    /// RFC 4291 section 2.2, without zone.
    private static func isIPv6(_ text: Substring) -> Bool {
        guard text.utf8.count <= 45 else { return false }
        let halves = text.split(separator: "::", maxSplits: 2, omittingEmptySubsequences: false)
        guard halves.count <= 2 else { return false }
        var groups = 0
        for (index, half) in halves.enumerated() where !half.isEmpty {
            let parts = half.split(separator: ":", omittingEmptySubsequences: false)
            for (position, part) in parts.enumerated() {
                let isLast = index == halves.count - 1 && position == parts.count - 1
                if isLast, part.utf8.contains(UInt8(ascii: ".")) {
                    guard isIPv4(part) else { return false }
                    groups += 2
                } else {
                    guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy(isHexadecimal) else { return false }
                    groups += 1
                }
            }
        }
        return halves.count == 2 ? groups < 8 : groups == 8
    }

    private static func isCIDR(_ text: String) -> Bool {
        let parts = text.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return false }
        if isIPv4(parts[0]) { return decimal(parts[1].utf8, most: 32) }
        return isIPv6(parts[0]) && decimal(parts[1].utf8, most: 128)
    }

    private static func isBase64(_ text: String) -> Bool {
        var length = 0
        var padding = 0
        for byte in text.utf8 {
            length += 1
            if byte == UInt8(ascii: "=") {
                padding += 1
            } else {
                guard padding == 0, isBase64Digit(byte) else { return false }
            }
        }
        return length % 4 == 0 && padding <= 2
    }

    private static func isBase64Digit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
            true
        default: false
        }
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }

    private static func decimal(_ digits: Substring.UTF8View, most: Int) -> Bool {
        guard (1...3).contains(digits.count), digits.count == 1 || digits.first != UInt8(ascii: "0") else {
            return false
        }
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return false }
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return value <= most
    }
}
