import FoundationEssentials

extension JSONValue {
    /// Reads a text.
    ///
    /// - Throws: `DecodingError` if `json` is not one JSON value.
    public init(json: Data) throws {
        let plain = json.withUnsafeBytes { $0.withMemoryRebound(to: UInt8.self) { JSONValue.plain($0) } }
        self = try plain ?? JSONDecoder().decode(JSONValue.self, from: json)
    }

    /// What `value` looks like as JSON, so that it can be put into a patch or compared member by member.
    ///
    /// - Throws: `EncodingError` if `value` cannot be JSON.
    public init(encoding value: some Encodable) throws {
        try self.init(json: try JSONEncoder().encode(value))
    }

    /// The value as JSON with sorted members, so that equal values have equal bytes.
    ///
    /// - Throws: `EncodingError` if a number is infinite or NaN.
    public func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }
}

extension JSONValue: Codable {
    // Text comes after booleans and numbers because a YAML decoder yields any scalar as text.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}
