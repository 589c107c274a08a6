/// The kinds of JSON values, as a schema names them.
struct SchemaTypes: OptionSet, Sendable {
    let rawValue: UInt8

    static let null = SchemaTypes(rawValue: 1)
    static let boolean = SchemaTypes(rawValue: 2)
    static let integer = SchemaTypes(rawValue: 4)
    static let number = SchemaTypes(rawValue: 8)
    static let string = SchemaTypes(rawValue: 16)
    static let array = SchemaTypes(rawValue: 32)
    static let object = SchemaTypes(rawValue: 64)

    private static let names: [(String, SchemaTypes, String)] = [
        ("null", .null, "null"), ("boolean", .boolean, "true or false"), ("integer", .integer, "an integer"),
        ("number", .number, "a number"), ("string", .string, "a string"), ("array", .array, "an array"),
        ("object", .object, "an object"),
    ]

    init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// Nil: no type has this name.
    init?(name: String) {
        guard let row = Self.names.first(where: { $0.0 == name }) else { return nil }
        self = row.1
    }

    func holds(_ value: JSONValue) -> Bool {
        switch value {
        case .null: contains(.null)
        case .bool: contains(.boolean)
        case .integer: !isDisjoint(with: [.integer, .number])
        // A whole number is an integer however it was written (JSON Schema 2020-12 core, section 4.2.3).
        case .number(let number): contains(.number) || contains(.integer) && number == number.rounded(.towardZero)
        case .string: contains(.string)
        case .array: contains(.array)
        case .object: contains(.object)
        }
    }

    /// For a message: what is allowed.
    var words: String {
        Self.names.filter { contains($0.1) }.map(\.2).joined(separator: " or ")
    }
}

/// A subschema, compiled. Other subschemas are named by their index in ``JSONSchema/nodes``, so that schemas may refer
/// to each other in circles.
struct SchemaFields: Sendable {
    struct Property: Sendable {
        var name: String
        /// Nil: the property is only required.
        var node: Int?
        var isRequired: Bool
    }

    enum Additional: Sendable {
        case anything
        case nothing
        case matching(Int)
    }

    enum Format: String, Sendable, CaseIterable {
        case ipv4, ipv6, cidr, byte
    }

    struct Range: Sendable {
        var minimum: JSONValue?
        var maximum: JSONValue?
        var exclusiveMinimum: JSONValue?
        var exclusiveMaximum: JSONValue?
    }

    /// Bounds of a size.
    struct Count: Sendable {
        var minimum = 0
        var maximum = Int.max

        var isBounded: Bool { minimum > 0 || maximum < Int.max }
    }

    /// The schema `false`.
    var isNever = false
    var title: String?
    var isSecret = false
    var types: SchemaTypes?
    /// `enum`, or `const` as a list of one.
    var allowed: [JSONValue]?
    /// By name.
    var properties: [Property] = []
    var additional = Additional.anything
    var propertyCount = Count()
    var items: Int?
    var itemCount = Count()
    var hasUniqueItems = false
    var range: Range?
    /// In Unicode scalars.
    var length = Count()
    var pattern: SchemaPattern?
    var format: Format?
    var reference: Int?
    var allOf: [Int] = []
    var anyOf: [Int] = []
    var oneOf: [Int] = []
    var not: Int?

    /// Subschemas that look at the same value.
    var inPlace: [Int] {
        [reference, not].compactMap(\.self) + allOf + anyOf + oneOf
    }
}

/// Behind a reference because a validation looks at a node for every value, and copying the fields would cost more than
/// the check.
final class SchemaNode: Sendable {
    let fields: SchemaFields

    init(_ fields: SchemaFields) {
        self.fields = fields
    }
}
