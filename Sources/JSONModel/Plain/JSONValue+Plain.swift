extension JSONValue {
    /// Reads a text of JSON (RFC 8259) in UTF-8 without `JSONDecoder`, which tries each type of each value in turn and
    /// makes an error of every wrong one.
    ///
    /// - Returns: nil for what is no such text, and for what is rare in it: numbers with a fraction, an exponent or more
    ///   than 18 digits, and nesting deeper than 64 levels.
    static func plain(_ text: UnsafeBufferPointer<UInt8>) -> JSONValue? {
        var reader = PlainJSONReader(text)
        guard let value = plain(&reader, depth: 0), reader.isAtEnd else { return nil }
        return value
    }

    private static func plain(_ reader: inout PlainJSONReader, depth: Int) -> JSONValue? {
        guard depth < 64, let first = reader.peek() else { return nil }
        switch first {
        case UInt8(ascii: "{"):
            var members: [String: JSONValue] = [:]
            let isRead = reader.members { reader, name in
                guard let value = plain(&reader, depth: depth + 1) else { return false }
                members[name] = value
                return true
            }
            return isRead ? .object(members) : nil
        case UInt8(ascii: "["):
            return reader.array { plain(&$0, depth: depth + 1) }.map(JSONValue.array)
        case UInt8(ascii: "\""): return reader.unescapedString().map(JSONValue.string)
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return reader.boolean().map(JSONValue.bool)
        case UInt8(ascii: "n"): return reader.null() ? .null : nil
        default: return reader.integer().map { .integer(Int64($0)) }
        }
    }
}
