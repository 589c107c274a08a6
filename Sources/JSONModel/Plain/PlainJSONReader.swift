/// Reads JSON text (RFC 8259) in its plain form: no escapes in strings, whole numbers of at most 18 digits. Everything
/// else answers nil or false, and then the rest must not be read.
///
/// Valid only inside the closure that lent the bytes.
package struct PlainJSONReader {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    /// The name of a member as it stands in the text.
    package struct Name {
        package let bytes: UnsafeBufferPointer<UInt8>

        package static func == (name: Name, text: StaticString) -> Bool {
            name.bytes.elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        }
    }

    package init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    /// Whether nothing but white space is left.
    package var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return position == bytes.count
        }
    }

    /// Reads all members; `read` takes the value of each, and answers false if it is none that it knows.
    package mutating func object(_ read: (inout Self, Name) -> Bool) -> Bool {
        guard accept(UInt8(ascii: "{")) else { return false }
        if accept(UInt8(ascii: "}")) { return true }
        repeat {
            guard let name = stringBytes(), accept(UInt8(ascii: ":")), read(&self, Name(bytes: name)) else {
                return false
            }
        } while accept(UInt8(ascii: ","))
        return accept(UInt8(ascii: "}"))
    }

    package mutating func array<Element>(_ read: (inout Self) -> Element?) -> [Element]? {
        guard accept(UInt8(ascii: "[")) else { return nil }
        var elements: [Element] = []
        if accept(UInt8(ascii: "]")) { return elements }
        repeat {
            guard let element = read(&self) else { return nil }
            elements.append(element)
        } while accept(UInt8(ascii: ","))
        return accept(UInt8(ascii: "]")) ? elements : nil
    }

    package mutating func string() -> String? {
        stringBytes().flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// The byte that comes next after white space; it is not read. Nil at the end.
    mutating func peek() -> UInt8? {
        skipSpace()
        return position < bytes.count ? bytes[position] : nil
    }

    /// Reads all members, whose names may have escapes; `read` takes the value of each, and answers false to give up.
    mutating func members(_ read: (inout Self, String) -> Bool) -> Bool {
        guard accept(UInt8(ascii: "{")) else { return false }
        if accept(UInt8(ascii: "}")) { return true }
        repeat {
            guard let name = unescapedString(), accept(UInt8(ascii: ":")), read(&self, name) else { return false }
        } while accept(UInt8(ascii: ","))
        return accept(UInt8(ascii: "}"))
    }

    /// A string that may have escapes.
    mutating func unescapedString() -> String? {
        skipSpace()
        let start = position
        if let plain = string() { return plain }
        position = start
        guard skipString() else { return nil }
        return Self.unescaped(UnsafeBufferPointer(rebasing: bytes[(start + 1)..<(position - 1)]))
    }

    /// Nil for an escape that JSON does not have, a half of a surrogate pair, and what is not UTF-8.
    private static func unescaped(_ text: UnsafeBufferPointer<UInt8>) -> String? {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var position = 0
        while position < text.count {
            guard text[position] == UInt8(ascii: "\\") else {
                result.append(text[position])
                position += 1
                continue
            }
            guard position + 1 < text.count else { return nil }
            let kind = text[position + 1]
            position += 2
            if kind == UInt8(ascii: "u") {
                guard let scalar = escapedScalar(text, &position) else { return nil }
                result.append(contentsOf: Array(String(Character(scalar)).utf8))
            } else {
                guard let byte = escapedByte(kind) else { return nil }
                result.append(byte)
            }
        }
        return String(validating: result, as: UTF8.self)
    }

    private static func escapedByte(_ kind: UInt8) -> UInt8? {
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): kind
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: nil
        }
    }

    /// What follows `\u`: four hexadecimal digits, or a surrogate pair of two such escapes (RFC 8259 section 7).
    private static func escapedScalar(_ text: UnsafeBufferPointer<UInt8>, _ position: inout Int) -> Unicode.Scalar? {
        guard let first = hexadecimal(text, &position) else { return nil }
        guard (0xD800..<0xDC00).contains(first) else { return Unicode.Scalar(first) }
        guard position + 1 < text.count, text[position] == UInt8(ascii: "\\"), text[position + 1] == UInt8(ascii: "u")
        else { return nil }
        position += 2
        guard let second = hexadecimal(text, &position), (0xDC00..<0xE000).contains(second) else { return nil }
        return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    }

    private static func hexadecimal(_ text: UnsafeBufferPointer<UInt8>, _ position: inout Int) -> UInt32? {
        guard position + 4 <= text.count else { return nil }
        var value: UInt32 = 0
        for byte in text[position..<(position + 4)] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else { return nil }
            value = value << 4 | UInt32(digit)
        }
        position += 4
        return value
    }

    package mutating func integer() -> Int? {
        let isNegative = accept(UInt8(ascii: "-"))
        let start = position
        var value = 0
        while position < bytes.count, position - start < 18, let digit = Self.digit(bytes[position]) {
            value = value * 10 + digit
            position += 1
        }
        let count = position - start
        guard count > 0, count == 1 || bytes[start] != UInt8(ascii: "0") else { return nil }
        return isNegative ? -value : value
    }

    /// A string's bytes as they stand in the text.
    package mutating func text() -> UnsafeBufferPointer<UInt8>? { stringBytes() }

    /// A string that is one of a few words.
    package mutating func word() -> Name? { stringBytes().map { Name(bytes: $0) } }

    package mutating func boolean() -> Bool? {
        if accept("true") { return true }
        return accept("false") ? false : nil
    }

    /// Whether null comes next; it is then read.
    package mutating func null() -> Bool { accept("null") }

    /// The next value as it stands in the text, whatever it is; nil if it is no JSON, or nested deeper than 64 levels.
    package mutating func value() -> UnsafeBufferPointer<UInt8>? {
        skipSpace()
        let start = position
        guard skip(depth: 0) else { return nil }
        return UnsafeBufferPointer(rebasing: bytes[start..<position])
    }

    private mutating func skip(depth: Int) -> Bool {
        skipSpace()
        guard depth < 64, position < bytes.count else { return false }
        switch bytes[position] {
        case UInt8(ascii: "{"):
            position += 1
            if accept(UInt8(ascii: "}")) { return true }
            repeat {
                guard skipString(), accept(UInt8(ascii: ":")), skip(depth: depth + 1) else { return false }
            } while accept(UInt8(ascii: ","))
            return accept(UInt8(ascii: "}"))
        case UInt8(ascii: "["):
            position += 1
            if accept(UInt8(ascii: "]")) { return true }
            repeat {
                guard skip(depth: depth + 1) else { return false }
            } while accept(UInt8(ascii: ","))
            return accept(UInt8(ascii: "]"))
        case UInt8(ascii: "\""): return skipString()
        case UInt8(ascii: "t"): return accept("true")
        case UInt8(ascii: "f"): return accept("false")
        case UInt8(ascii: "n"): return accept("null")
        default: return skipNumber()
        }
    }

    /// Skips a string in which escapes may be; they are looked at no closer than to find its end.
    private mutating func skipString() -> Bool {
        guard accept(UInt8(ascii: "\"")) else { return false }
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return true
            case UInt8(ascii: "\\"): position += 1
            case 0..<0x20: return false
            default: continue
            }
        }
        return false
    }

    /// Skips a number of any form (RFC 8259 section 6).
    private mutating func skipNumber() -> Bool {
        _ = accept(UInt8(ascii: "-"))
        let start = position
        guard skipDigits(), position == start + 1 || bytes[start] != UInt8(ascii: "0") else { return false }
        if next(isOneOf: UInt8(ascii: "."), UInt8(ascii: ".")), !skipDigits() { return false }
        guard next(isOneOf: UInt8(ascii: "e"), UInt8(ascii: "E")) else { return true }
        _ = next(isOneOf: UInt8(ascii: "+"), UInt8(ascii: "-"))
        return skipDigits()
    }

    private mutating func skipDigits() -> Bool {
        let start = position
        while position < bytes.count, Self.digit(bytes[position]) != nil { position += 1 }
        return position > start
    }

    /// Skips the byte that comes next if it is one of two.
    private mutating func next(isOneOf first: UInt8, _ second: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == first || bytes[position] == second else { return false }
        position += 1
        return true
    }

    private static func digit(_ byte: UInt8) -> Int? {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? Int(byte - UInt8(ascii: "0")) : nil
    }

    /// What is between the quotation marks, if it stands for itself.
    private mutating func stringBytes() -> UnsafeBufferPointer<UInt8>? {
        guard accept(UInt8(ascii: "\"")) else { return nil }
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                return UnsafeBufferPointer(rebasing: bytes[start..<(position - 1)])
            }
            guard byte >= 0x20, byte != UInt8(ascii: "\\") else { return nil }
            position += 1
        }
        return nil
    }

    /// Skips white space, and the byte if it comes next.
    private mutating func accept(_ byte: UInt8) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    /// Skips white space, and the word if it comes next.
    private mutating func accept(_ word: StaticString) -> Bool {
        skipSpace()
        let count = word.utf8CodeUnitCount
        guard bytes.count - position >= count,
            bytes[position..<(position + count)].elementsEqual(UnsafeBufferPointer(start: word.utf8Start, count: count))
        else { return false }
        position += count
        return true
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
            default: return
            }
        }
    }
}
