// Go writes absent fields where Swift has empty values. These helpers keep the Swift types free of optionals without
// putting empty fields on the wire.

extension KeyedDecodingContainer {
    /// The field, or the default where it is absent or null.
    func value<Value: Decodable>(_ key: Key, default fallback: Value) throws -> Value {
        try decodeIfPresent(Value.self, forKey: key) ?? fallback
    }
}

extension KeyedEncodingContainer {
    /// Writes a string, list or map unless it is empty.
    mutating func encodeUnlessEmpty<Value: Encodable & Collection>(_ value: Value, _ key: Key) throws {
        if !value.isEmpty { try encode(value, forKey: key) }
    }

    /// Writes a number unless it is zero.
    mutating func encodeUnlessZero<Value: Encodable & BinaryInteger>(_ value: Value, _ key: Key) throws {
        if value != 0 { try encode(value, forKey: key) }
    }
}
