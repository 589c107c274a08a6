/// A JSON value.
///
/// Resources of other people are read, edited and written back in this form, so that members we do not know survive;
/// merge patches are built in it, because there null and absent differ. Members have no order and a name occurs once:
/// of duplicates in a text one wins. Who must see duplicates, or numbers as they were written, needs a parser of his
/// own.
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    /// A number that is whole and fits; `2.0` in a text may become 2 here, as JSON makes no difference between them.
    case integer(Int64)
    /// Every other number. JSON knows no infinity and no NaN; to encode one throws.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])
}

extension JSONValue {
    /// The member at a dotted path, such as `properties.sku.name`; nil if a part is absent or not an object. A null
    /// that is there is `.null`, not nil.
    ///
    /// Setting nil removes the member; setting a value makes the objects on the way, in the place of what is no object.
    /// Empty parts are skipped. For a name that holds a dot use ``subscript(member:)`` or ``members``.
    public subscript(_ path: String) -> JSONValue? {
        get {
            var value = self
            // By bytes: to look for characters takes longer than all the rest.
            for part in path.utf8.split(separator: UInt8(ascii: ".")) {
                guard case .object(let members) = value, let next = members[String(Substring(part))] else { return nil }
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

    /// The member of exactly this name, dots and all; nil if absent or if this is no object.
    public subscript(member name: String) -> JSONValue? { members?[name] }

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
        if case .bool(let value) = self { return value }
        return nil
    }

    /// The words for this kind of value in an error message.
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

// There is no nil literal on purpose: nil given to a subscript removes a member, `.null` writes null, and one must not
// be mistaken for the other.
extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements) { _, last in last })
    }
}
