/// The structural schema of a custom resource, read once from the CRD and then applied to each write.
///
/// Served: type, properties, items, additionalProperties, required, enum, bounds of numbers, strings, lists and maps,
/// pattern, default, nullable, and the extensions preserve-unknown-fields, int-or-string and embedded-resource.
/// CEL rules are evaluated as far as ``CELExpression`` goes; a CRD with a rule beyond that is refused.
struct StructuralSchema: Sendable {
    /// The keywords of one place in the object. A class because schemas nest; it never changes after parsing.
    final class Node: Sendable {
        let type: String?
        let properties: [String: Node]
        let additionalProperties: Node?
        let items: Node?
        let required: [String]
        let allowedValues: [APIValue]?
        let bounds: Bounds
        let pattern: String?
        let defaultValue: APIValue?
        let isNullable: Bool
        let preservesUnknownFields: Bool
        let isIntOrString: Bool
        let isEmbeddedResource: Bool
        /// How a list merges: `map`, `set` or `atomic`; nil: atomic.
        let listType: String?
        let listMapKeys: [String]
        /// How an object merges: `granular` or `atomic`; nil: granular.
        let mapType: String?
        let rules: [Rule]

        init(parsing value: APIValue, path: String, issues: inout Issues) {
            type = value["type"]?.stringValue
            var properties: [String: Node] = [:]
            for (name, schema) in value["properties"]?.objectValue ?? [:] {
                properties[name] = Node(parsing: schema, path: "\(path).properties[\(name)]", issues: &issues)
            }
            self.properties = properties
            items = value["items"].map { Node(parsing: $0, path: "\(path).items", issues: &issues) }
            if let schema = value["additionalProperties"], schema.objectValue != nil {
                additionalProperties = Node(parsing: schema, path: "\(path).additionalProperties", issues: &issues)
                if !properties.isEmpty {
                    issues.causes.append(
                        .forbidden(
                            "\(path).additionalProperties", "additionalProperties and properties exclude each other"))
                }
            } else {
                additionalProperties = nil
            }
            required = (value["required"]?.arrayValue ?? []).compactMap(\.stringValue)
            allowedValues = value["enum"]?.arrayValue
            bounds = Bounds(value)
            pattern = value["pattern"]?.stringValue
            defaultValue = value["default"]
            isNullable = value["nullable"]?.boolValue ?? false
            preservesUnknownFields = value["x-kubernetes-preserve-unknown-fields"]?.boolValue ?? false
            isIntOrString = value["x-kubernetes-int-or-string"]?.boolValue ?? false
            isEmbeddedResource = value["x-kubernetes-embedded-resource"]?.boolValue ?? false
            listType = value["x-kubernetes-list-type"]?.stringValue
            listMapKeys = (value["x-kubernetes-list-map-keys"]?.arrayValue ?? []).compactMap(\.stringValue)
            mapType = value["x-kubernetes-map-type"]?.stringValue
            rules = Rule.read(value, path: path, issues: &issues)
            checkItself(path: path, issues: &issues)
        }

        private func checkItself(path: String, issues: inout Issues) {
            if let type {
                if !Self.types.contains(type) {
                    issues.causes.append(
                        .notSupported("\(path).type", .string(type), supported: Self.types.map(APIValue.string)))
                }
            } else if !isIntOrString && !preservesUnknownFields {
                issues.causes.append(.required("\(path).type", "must not be empty for specified object fields"))
            }
            if let pattern, (try? Regex(pattern)) == nil {
                issues.causes.append(
                    .invalid("\(path).pattern", .string(pattern), "must be a valid regular expression"))
            }
        }

        private static let types = ["array", "boolean", "integer", "number", "object", "string"]
    }

    /// One entry of `x-kubernetes-validations`.
    struct Rule: Sendable {
        var expression: CELExpression
        var message: String

        static func read(_ value: APIValue, path: String, issues: inout Issues) -> [Rule] {
            var rules: [Rule] = []
            for (index, entry) in (value["x-kubernetes-validations"]?.arrayValue ?? []).enumerated() {
                let text = entry["rule"]?.stringValue ?? ""
                do {
                    let message = entry["message"]?.stringValue ?? "failed rule: \(text)"
                    rules.append(Rule(expression: try CELParser.parse(text), message: message))
                } catch {
                    issues.causes.append(
                        .invalid(
                            "\(path).x-kubernetes-validations[\(index)].rule", .string(text),
                            "is not of the part of CEL that this server evaluates: \(error)"))
                }
            }
            return rules
        }

        /// Nil if the value keeps the rule.
        func violation(_ value: APIValue, path: String) -> APIStatusError.Cause? {
            do {
                return try expression.evaluate(value) == true ? nil : .invalid(path, value, message)
            } catch {
                return .invalid(path, value, "\(message): \(error)")
            }
        }
    }

    /// The numeric keywords; nil where the schema sets none.
    struct Bounds: Sendable {
        var minimum: Double?
        var maximum: Double?
        var exclusiveMinimum: Bool
        var exclusiveMaximum: Bool
        var minimumLength: Int?
        var maximumLength: Int?
        var minimumItems: Int?
        var maximumItems: Int?
        var minimumProperties: Int?
        var maximumProperties: Int?
        var format: String?

        init(_ value: APIValue) {
            func count(_ name: String) -> Int? { value[name]?.integerValue.map(Int.init(truncatingIfNeeded:)) }
            minimum = value["minimum"]?.doubleValue
            maximum = value["maximum"]?.doubleValue
            exclusiveMinimum = value["exclusiveMinimum"]?.boolValue ?? false
            exclusiveMaximum = value["exclusiveMaximum"]?.boolValue ?? false
            minimumLength = count("minLength")
            maximumLength = count("maxLength")
            minimumItems = count("minItems")
            maximumItems = count("maxItems")
            minimumProperties = count("minProperties")
            maximumProperties = count("maxProperties")
            format = value["format"]?.stringValue
        }
    }

    /// What reading a schema brought to light.
    struct Issues: Sendable {
        var causes: [APIStatusError.Cause] = []
    }

    let root: Node

    /// Reads a schema; `issues` says what in it cannot be accepted.
    static func parse(_ value: APIValue, path: String) -> (schema: Self, issues: Issues) {
        var issues = Issues()
        let root = Node(parsing: value, path: path, issues: &issues)
        if root.type != "object" {
            issues.causes.append(.invalid("\(path).type", value["type"] ?? .null, "must be object at the root"))
        }
        return (Self(root: root), issues)
    }
}
