/// Reads JSON text (RFC 8259) in its plain form: no escapes in strings, whole numbers of at most 18 digits. Everything
/// else answers nil or false, and then the rest must not be read.
///
/// Valid only inside the closure that lent the bytes.
struct PlainJSONReader {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    /// The name of a member as it stands in the text.
    struct Name {
        fileprivate let bytes: UnsafeBufferPointer<UInt8>

        static func == (name: Name, text: StaticString) -> Bool {
            name.bytes.elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        }
    }

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    /// Whether nothing but white space is left.
    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return position == bytes.count
        }
    }

    /// Reads all members; `read` takes the value of each, and answers false if it is none that it knows.
    mutating func object(_ read: (inout Self, Name) -> Bool) -> Bool {
        guard accept(UInt8(ascii: "{")) else { return false }
        if accept(UInt8(ascii: "}")) { return true }
        repeat {
            guard let name = stringBytes(), accept(UInt8(ascii: ":")), read(&self, Name(bytes: name)) else {
                return false
            }
        } while accept(UInt8(ascii: ","))
        return accept(UInt8(ascii: "}"))
    }

    mutating func array<Element>(_ read: (inout Self) -> Element?) -> [Element]? {
        guard accept(UInt8(ascii: "[")) else { return nil }
        var elements: [Element] = []
        if accept(UInt8(ascii: "]")) { return elements }
        repeat {
            guard let element = read(&self) else { return nil }
            elements.append(element)
        } while accept(UInt8(ascii: ","))
        return accept(UInt8(ascii: "]")) ? elements : nil
    }

    mutating func string() -> String? {
        stringBytes().flatMap { String(validating: $0, as: UTF8.self) }
    }

    mutating func integer() -> Int? {
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

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
            default: return
            }
        }
    }
}
