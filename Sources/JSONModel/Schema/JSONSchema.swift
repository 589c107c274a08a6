/// A compiled JSON Schema (draft 2020-12), of a subset that can be checked in bounded time.
///
/// Supported: `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `minProperties`,
/// `maxProperties`, `items`, `minItems`, `maxItems`, `uniqueItems`, `minimum`, `maximum`, `exclusiveMinimum`,
/// `exclusiveMaximum`, `minLength`, `maxLength`, `pattern` (see ``SchemaPattern``), `allOf`, `anyOf`, `oneOf`, `not`,
/// `$ref` to `#/$defs/NAME`, and `true` and `false` as schemas. `format` is checked for `ipv4`, `ipv6`, `cidr` (an
/// address, a slash and a length) and `byte` (base64 with padding); every other format is an annotation, as the draft
/// has it. Annotations (`title`, `description`, `default`, `examples`, `deprecated`, `readOnly`, `writeOnly`,
/// `$comment`, `contentEncoding`, `contentMediaType`, and names that begin with `x-`) are read over. Every other
/// keyword is an error when the schema is compiled, so that nobody believes in a check that is not made.
///
/// A property marked `"writeOnly": true` is a secret: no message holds its value.
public struct JSONSchema: Sendable {
    /// One way in which a value does not fit.
    public struct Mistake: Codable, Sendable, Hashable, CustomStringConvertible {
        /// JSON Pointer (RFC 6901) to the value, or to where the missing value should be; empty: the whole document.
        public var path: String
        /// One line: the value (cut to ``JSONSchema/maximumValueText`` characters) and what is allowed.
        public var message: String

        public init(path: String, message: String) {
            self.path = path
            self.message = message
        }

        public var description: String { path.isEmpty ? message : "\(path): \(message)" }
    }

    /// Levels of nesting of a value, or of a schema; deeper ones are refused.
    public static let maximumDepth = 128
    /// Subschemas visited, and pattern steps taken, for one value; reached only by schemas that make alternatives of
    /// alternatives. About a second of work.
    public static let maximumSteps = 10_000_000
    /// Characters of a value that a message quotes.
    public static let maximumValueText = 64

    let nodes: [SchemaNode]
    let root: Int
    /// Names of properties that are marked `writeOnly` anywhere in the document: a value below one of them is not
    /// quoted, whichever subschema finds the mistake.
    let secretNames: Set<String>

    /// Compiles a schema.
    ///
    /// - Parameters:
    ///   - document: the document; `$ref` and `$defs` are looked up from its top.
    ///   - pointer: JSON Pointer to the schema within the document; empty: the document is the schema.
    /// - Throws: ``JSONSchemaError`` that names the place and the keyword.
    public init(compiling document: JSONValue, at pointer: String = "") throws(JSONSchemaError) {
        var compiler = SchemaCompiler(document: document)
        root = try compiler.compile(at: pointer)
        nodes = try compiler.finish()
        secretNames = compiler.secretNames
    }

    /// What is wrong with `value`, in the order of the schema's property names and of the value's elements.
    ///
    /// - Parameter limit: the search ends after so many mistakes, at least 1.
    public func mistakes(in value: JSONValue, limit: Int = 20) -> [Mistake] {
        var validation = SchemaValidation(schema: self, limit: max(1, limit))
        validation.visit(root, value, secret: false)
        return validation.mistakes
    }
}

/// Why a schema cannot be compiled.
public struct JSONSchemaError: Error, Sendable, Equatable, CustomStringConvertible {
    /// JSON Pointer to the keyword or subschema.
    public var pointer: String
    /// The value and what is allowed.
    public var message: String

    public init(pointer: String, message: String) {
        self.pointer = pointer
        self.message = message
    }

    public var description: String { pointer.isEmpty ? "schema: \(message)" : "schema \(pointer): \(message)" }
}

/// JSON Pointers (RFC 6901) and their parts.
public enum JSONPointer {
    static func escape(_ name: String) -> String {
        guard name.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else { return name }
        var escaped = ""
        for character in name.unicodeScalars {
            switch character {
            case "~": escaped += "~0"
            case "/": escaped += "~1"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }

    /// The names and indices that a pointer goes through, unescaped; nil if it is no pointer. The empty one has none.
    public static func parts(_ pointer: String) -> [String]? {
        guard !pointer.isEmpty else { return [] }
        guard pointer.hasPrefix("/") else { return nil }
        return pointer.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { part in
            var name = ""
            var isEscaped = false
            for character in part.unicodeScalars {
                switch (isEscaped, character) {
                case (false, "~"): isEscaped = true
                case (true, "0"): (name, isEscaped) = (name + "~", false)
                case (true, "1"): (name, isEscaped) = (name + "/", false)
                default:
                    name.unicodeScalars.append(character)
                    isEscaped = false
                }
            }
            return name
        }
    }
}
