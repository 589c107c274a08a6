import FoundationEssentials

/// JSON as API servers write it.
public enum KubernetesJSON {
    /// The object with `apiVersion` and `kind`, keys sorted; what a manifest or a request body holds.
    public static func encode<Resource: KubernetesResource>(_ object: Resource) throws -> Data {
        try encoder().encode(TypedObject(object: object))
    }

    /// Any other value, such as a patch.
    public static func encode(patch: some Encodable) throws -> Data {
        try encoder().encode(patch)
    }

    /// Reads one value.
    public static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
        try JSONDecoder().decode(type, from: data)
    }

    private static func encoder() -> JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }
}

/// Adds `apiVersion` and `kind` to the fields of an object.
private struct TypedObject<Resource: KubernetesResource>: Encodable {
    let object: Resource

    private enum CodingKeys: String, CodingKey {
        case apiVersion, kind
    }

    func encode(to encoder: any Encoder) throws {
        try object.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Resource.resourceType.apiVersion, forKey: .apiVersion)
        try container.encode(Resource.resourceType.kind, forKey: .kind)
    }
}

/// Any JSON value; for patches, where absent and null differ.
public enum JSONValue: Codable, Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// Turns any encodable value into JSON, so that it can be put into a patch.
    public init(_ value: some Encodable) throws {
        self = try KubernetesJSON.decode(JSONValue.self, from: KubernetesJSON.encode(patch: value))
    }

    /// The member of an object; nil for other values and absent members.
    public subscript(member: String) -> JSONValue? {
        if case .object(let members) = self { return members[member] }
        return nil
    }

    /// The text, if it is a string.
    public var stringValue: String? {
        if case .string(let text) = self { return text }
        return nil
    }

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

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(nilLiteral: ()) { self = .null }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { _, last in last }))
    }
}
