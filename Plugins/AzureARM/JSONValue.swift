#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// A JSON value. Resources are read, edited and written back in this form, so that members we do not know, and members
/// of other people, survive.
public enum JSONValue: Sendable, Equatable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// - Throws: `DecodingError` if `json` is not one JSON value.
    public init(json: Data) throws {
        self = try JSONDecoder().decode(JSONValue.self, from: json)
    }

    /// The value as JSON with sorted members, so that equal values have equal bytes.
    public func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }
}

extension JSONValue {
    /// The member at a dotted path; nil if a part is absent or not an object. Setting nil removes the member; setting a
    /// value makes the objects on the way.
    public subscript(_ path: String) -> JSONValue? {
        get {
            var value = self
            for part in path.split(separator: ".") {
                guard case .object(let members) = value, let next = members[String(part)] else { return nil }
                value = next
            }
            return value
        }
        set {
            let parts = path.split(separator: ".", maxSplits: 1)
            guard let first = parts.first.map(String.init) else { return }
            var members = self.members ?? [:]
            if parts.count == 1 {
                members[first] = newValue
            } else {
                var child = members[first] ?? .object([:])
                child[String(parts[1])] = newValue
                members[first] = child
            }
            self = .object(members)
        }
    }

    /// The members of an object; nil for every other kind.
    public var members: [String: JSONValue]? {
        if case .object(let members) = self { return members }
        return nil
    }

    /// The elements of an array; empty for every other kind.
    public var elements: [JSONValue] {
        if case .array(let elements) = self { return elements }
        return []
    }

    /// The text of a string; nil for every other kind.
    public var text: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    /// The value of an integer; nil for every other kind.
    public var int: Int? {
        if case .integer(let value) = self { return Int(exactly: value) }
        return nil
    }

    /// The value of a boolean; nil for every other kind.
    public var bool: Bool? {
        if case .boolean(let value) = self { return value }
        return nil
    }

    /// The word for this kind of value in an error message.
    public var kind: String {
        switch self {
        case .null: "null"
        case .boolean: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSONValue: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
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
        case .boolean(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements) { _, last in last })
    }
}
