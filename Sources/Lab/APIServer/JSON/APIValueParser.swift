/// Reads JSON (RFC 8259) into an ``APIValue``. Strict: one value, valid UTF-8, bounded depth, no trailing text.
struct APIValueParser {
    /// What was wrong with the text and where.
    struct Failure: Error, Equatable {
        var message: String
        /// Byte offset into the text.
        var offset: Int
    }

    /// Objects nested deeper than any manifest needs are refused, so that recursion stays within the stack of a task.
    static let maximumDepth = 128

    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var depth = 0
    private var path: [String] = []
    private var duplicates: [String] = []

    private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// Parses one JSON value.
    static func parse(_ text: [UInt8]) throws(Failure) -> APIValue {
        try parseReportingDuplicates(text).value
    }

    /// Parses one JSON value and lists the dotted paths of object members that occur twice (the last one wins).
    static func parseReportingDuplicates(
        _ text: [UInt8]
    ) throws(Failure) -> (value: APIValue, duplicates: [String]) {
        let outcome = text.withUnsafeBufferPointer { buffer -> Result<(APIValue, [String]), Failure> in
            var parser = APIValueParser(buffer)
            do throws(Failure) {
                let value = try parser.parseValue()
                parser.skipSpace()
                guard parser.position == buffer.count else { throw parser.failure("text after the JSON value") }
                return .success((value, parser.duplicates))
            } catch {
                return .failure(error)
            }
        }
        let (value, duplicates) = try outcome.get()
        return (value, duplicates)
    }

    private func failure(_ message: String) -> Failure { Failure(message: message, offset: position) }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func parseValue() throws(Failure) -> APIValue {
        skipSpace()
        guard position < bytes.count else { throw failure("unexpected end of JSON input") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try parseObject()
        case UInt8(ascii: "["): return try parseArray()
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parseLiteral("true", .bool(true))
        case UInt8(ascii: "f"): return try parseLiteral("false", .bool(false))
        case UInt8(ascii: "n"): return try parseLiteral("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        default: throw failure("unexpected character")
        }
    }

    private mutating func parseLiteral(_ literal: StaticString, _ value: APIValue) throws(Failure) -> APIValue {
        let count = literal.utf8CodeUnitCount
        guard position + count <= bytes.count,
            bytes[position..<position + count].elementsEqual(
                UnsafeBufferPointer(start: literal.utf8Start, count: count))
        else { throw failure("expected \(literal)") }
        position += count
        return value
    }

    private mutating func enter() throws(Failure) {
        depth += 1
        guard depth <= Self.maximumDepth else { throw failure("nested deeper than \(Self.maximumDepth) levels") }
        position += 1
        skipSpace()
    }

    private mutating func parseObject() throws(Failure) -> APIValue {
        try enter()
        defer { depth -= 1 }
        var members: [String: APIValue] = [:]
        if position < bytes.count, bytes[position] == UInt8(ascii: "}") {
            position += 1
            return .object(members)
        }
        while true {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw failure("expected a member name")
            }
            let name = try parseString()
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: ":") else { throw failure("expected ':'") }
            position += 1
            path.append(name)
            let value = try parseValue()
            if members.updateValue(value, forKey: name) != nil {
                duplicates.append(path.joined(separator: "."))
            }
            path.removeLast()
            if try parseSeparator(closing: UInt8(ascii: "}")) { return .object(members) }
        }
    }

    private mutating func parseArray() throws(Failure) -> APIValue {
        try enter()
        defer { depth -= 1 }
        var elements: [APIValue] = []
        if position < bytes.count, bytes[position] == UInt8(ascii: "]") {
            position += 1
            return .array(elements)
        }
        while true {
            elements.append(try parseValue())
            if try parseSeparator(closing: UInt8(ascii: "]")) { return .array(elements) }
        }
    }

    /// Consumes a comma or the closing bracket; true for the latter.
    private mutating func parseSeparator(closing: UInt8) throws(Failure) -> Bool {
        skipSpace()
        guard position < bytes.count else { throw failure("unexpected end of JSON input") }
        let byte = bytes[position]
        guard byte == closing || byte == UInt8(ascii: ",") else {
            throw failure("expected ',' or '\(Character(UnicodeScalar(closing)))'")
        }
        position += 1
        return byte == closing
    }

    private mutating func parseNumber() throws(Failure) -> APIValue {
        let start = position
        var isInteger = true
        scan: while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"): break
            case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"): isInteger = false
            default: break scan
            }
            position += 1
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let number = Int64(text) { return .integer(number) }
        guard let last = text.last, last.isNumber, let number = Double(text), number.isFinite else {
            throw failure("'\(text)' is no number")
        }
        return .number(number)
    }

    private mutating func parseString() throws(Failure) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                let text = try validated(bytes[start..<position])
                position += 1
                return text
            case UInt8(ascii: "\\"): return try parseEscapedString(prefix: start..<position)
            case 0..<0x20: throw failure("control character in a string")
            default: position += 1
            }
        }
        throw failure("unterminated string")
    }

    private func validated(_ slice: some Collection<UInt8>) throws(Failure) -> String {
        guard let text = String(validating: slice, as: UTF8.self) else { throw failure("invalid UTF-8 in a string") }
        return text
    }

    private mutating func parseEscapedString(prefix: Range<Int>) throws(Failure) -> String {
        var collected = Array(bytes[prefix])
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return try validated(collected)
            case UInt8(ascii: "\\"): try parseEscape(into: &collected)
            case 0..<0x20: throw failure("control character in a string")
            default: collected.append(byte)
            }
        }
        throw failure("unterminated string")
    }

    private mutating func parseEscape(into collected: inout [UInt8]) throws(Failure) {
        guard position < bytes.count else { throw failure("unterminated escape") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): collected.append(byte)
        case UInt8(ascii: "b"): collected.append(0x08)
        case UInt8(ascii: "f"): collected.append(0x0C)
        case UInt8(ascii: "n"): collected.append(0x0A)
        case UInt8(ascii: "r"): collected.append(0x0D)
        case UInt8(ascii: "t"): collected.append(0x09)
        case UInt8(ascii: "u"):
            let scalar = try parseUnicodeEscape()
            collected.append(contentsOf: Array(String(Character(scalar)).utf8))
        default: throw failure("unknown escape")
        }
    }

    private mutating func parseUnicodeEscape() throws(Failure) -> UnicodeScalar {
        let first = try parseFourHexDigits()
        if (0xD800..<0xDC00).contains(first), position + 1 < bytes.count,
            bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
        {
            position += 2
            let second = try parseFourHexDigits()
            guard (0xDC00..<0xE000).contains(second) else { throw failure("unpaired surrogate") }
            return UnicodeScalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)) ?? "\u{FFFD}"
        }
        guard let scalar = UnicodeScalar(first) else { throw failure("unpaired surrogate") }
        return scalar
    }

    private mutating func parseFourHexDigits() throws(Failure) -> UInt32 {
        guard position + 4 <= bytes.count,
            let value = UInt32(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
        else { throw failure("expected four hexadecimal digits") }
        position += 4
        return value
    }
}
