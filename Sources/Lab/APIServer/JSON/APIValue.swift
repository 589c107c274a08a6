/// A JSON value of an API object. Integers stay integers, so that ports and generations survive every round trip.
enum APIValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([APIValue])
    case object([String: APIValue])
}

extension APIValue {
    var objectValue: [String: APIValue]? {
        if case .object(let members) = self { return members }
        return nil
    }

    var arrayValue: [APIValue]? {
        if case .array(let elements) = self { return elements }
        return nil
    }

    var stringValue: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    var boolValue: Bool? {
        if case .bool(let flag) = self { return flag }
        return nil
    }

    /// The value as a whole number; a floating-point literal without a fraction counts, as in Go's JSON decoder.
    var integerValue: Int64? {
        switch self {
        case .integer(let number): number
        case .number(let number): Int64(exactly: number)
        default: nil
        }
    }

    /// The value as a number, whole or not.
    var doubleValue: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .number(let number): number
        default: nil
        }
    }

    var isNull: Bool { self == .null }

    /// A member of an object. Reading a member of anything else gives nil; writing one turns the value into an object;
    /// writing nil removes the member.
    subscript(key: String) -> APIValue? {
        get { objectValue?[key] }
        set {
            var members: [String: APIValue]
            if case .object(let existing) = self {
                members = existing
                self = .null
            } else {
                members = [:]
            }
            members[key] = newValue
            self = .object(members)
        }
    }

    /// A value deep inside objects, named by its member names.
    subscript(path path: String...) -> APIValue? {
        get { value(at: path[...]) }
        set { setValue(newValue, at: path[...]) }
    }

    func value(at path: ArraySlice<String>) -> APIValue? {
        guard let first = path.first else { return self }
        return self[first]?.value(at: path.dropFirst())
    }

    /// Sets or removes a deep value. Missing objects on the way are made for a set and left absent for a removal.
    mutating func setValue(_ value: APIValue?, at path: ArraySlice<String>) {
        guard let first = path.first else {
            self = value ?? .null
            return
        }
        if path.count == 1 {
            self[first] = value
            return
        }
        guard var child = self[first] ?? (value == nil ? nil : .object([:])) else { return }
        child.setValue(value, at: path.dropFirst())
        self[first] = child
    }

    /// The string members of an object, e.g. labels. Members of another type are left out.
    var stringMap: [String: String] {
        (objectValue ?? [:]).compactMapValues(\.stringValue)
    }

    /// The JSON name of the value's type, for messages.
    var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "boolean"
        case .integer: "integer"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}

extension APIValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByStringInterpolation
{
    init(stringLiteral value: String) { self = .string(value) }
    init(integerLiteral value: Int64) { self = .integer(value) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
    init(arrayLiteral elements: APIValue...) { self = .array(elements) }
    init(dictionaryLiteral elements: (String, APIValue)...) {
        self = .object(Dictionary(elements) { _, last in last })
    }

    /// An array of strings.
    init(_ strings: some Sequence<String>) { self = .array(strings.map(APIValue.string)) }
}
