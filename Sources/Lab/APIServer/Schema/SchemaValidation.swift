extension StructuralSchema {
    /// All the ways in which the object breaks the schema; empty when it holds. Messages are those of the real server.
    ///
    /// CEL rules are asked only where the rest holds, and not of a value that stays as it was: an object that was there
    /// before its CRD had the rule can still be changed elsewhere, and deleted.
    ///
    /// - Parameter old: the object that this one replaces.
    func validate(_ value: APIValue, old: APIValue? = nil) -> [APIStatusError.Cause] {
        var causes: [APIStatusError.Cause] = []
        Self.validate(value, root, path: "", causes: &causes)
        if causes.isEmpty { Self.checkRules(value, old, root, path: "", causes: &causes) }
        return causes
    }

    private static func checkRules(
        _ value: APIValue, _ old: APIValue?, _ node: Node, path: String, causes: inout [Cause]
    ) {
        guard value != old, !value.isNull else { return }
        causes += node.rules.compactMap { $0.violation(value, path: path) }
        switch value {
        case .object(let members):
            for (name, member) in members.sorted(by: { $0.key < $1.key }) {
                guard let child = node.properties[name] ?? node.additionalProperties else { continue }
                checkRules(member, old?[name], child, path: path.isEmpty ? name : "\(path).\(name)", causes: &causes)
            }
        case .array(let elements):
            guard let items = node.items else { return }
            // Elements of a list have no identity to find their old value by.
            for (index, element) in elements.enumerated() {
                checkRules(element, nil, items, path: "\(path)[\(index)]", causes: &causes)
            }
        default: break
        }
    }

    private typealias Cause = APIStatusError.Cause

    private static func validate(_ value: APIValue, _ node: Node, path: String, causes: inout [Cause]) {
        if value.isNull, node.isNullable { return }
        guard hasRightType(value, node) else {
            let expected = node.isIntOrString ? "integer or string" : node.type ?? "any"
            causes.append(.typeInvalid(path, value, expected: expected))
            return
        }
        if let allowed = node.allowedValues, !allowed.contains(value) {
            causes.append(.notSupported(path, value, supported: allowed))
        }
        switch value {
        case .object(let members): validate(members, value, node, path: path, causes: &causes)
        case .array(let elements):
            checkCount(
                elements.count, node.bounds.minimumItems, node.bounds.maximumItems, "items", value, path, &causes)
            guard let items = node.items else { return }
            for (index, element) in elements.enumerated() {
                validate(element, items, path: "\(path)[\(index)]", causes: &causes)
            }
        case .string(let text): validate(text, value, node, path: path, causes: &causes)
        case .integer, .number: validateNumber(value, node.bounds, path: path, causes: &causes)
        case .bool, .null: break
        }
    }

    private static func hasRightType(_ value: APIValue, _ node: Node) -> Bool {
        if node.isIntOrString { return value.integerValue != nil || value.stringValue != nil }
        switch node.type {
        case "object": return value.objectValue != nil
        case "array": return value.arrayValue != nil
        case "string": return value.stringValue != nil
        case "boolean": return value.boolValue != nil
        case "integer": return value.integerValue != nil
        case "number": return value.doubleValue != nil
        default: return true
        }
    }

    private static func validate(
        _ members: [String: APIValue], _ value: APIValue, _ node: Node, path: String, causes: inout [Cause]
    ) {
        for name in node.required where members[name] == nil {
            causes.append(.required(path.isEmpty ? name : "\(path).\(name)"))
        }
        checkCount(
            members.count, node.bounds.minimumProperties, node.bounds.maximumProperties, "properties", value, path,
            &causes)
        for (name, member) in members.sorted(by: { $0.key < $1.key }) {
            guard let child = node.properties[name] ?? node.additionalProperties else { continue }
            validate(member, child, path: path.isEmpty ? name : "\(path).\(name)", causes: &causes)
        }
    }

    private static func validate(
        _ text: String, _ value: APIValue, _ node: Node, path: String, causes: inout [Cause]
    ) {
        checkCount(
            text.unicodeScalars.count, node.bounds.minimumLength, node.bounds.maximumLength, "chars long", value, path,
            &causes)
        // A pattern that is no regular expression never got past the CRD's own check.
        if let pattern = node.pattern, let expression = try? Regex(pattern), text.firstMatch(of: expression) == nil {
            causes.append(.invalid(path, value, "\(path) in body should match '\(pattern)'"))
        }
        if node.bounds.format == "date-time", APITime.parse(text) == nil {
            causes.append(.invalid(path, value, "\(path) in body must be of type date-time: \(value.text)"))
        }
    }

    private static func validateNumber(_ value: APIValue, _ bounds: Bounds, path: String, causes: inout [Cause]) {
        guard let number = value.doubleValue else { return }
        if bounds.format == "int32", Int32(exactly: number) == nil {
            causes.append(.invalid(path, value, "\(path) in body must be of type int32: \(value.text)"))
        }
        if let minimum = bounds.minimum, bounds.exclusiveMinimum ? number <= minimum : number < minimum {
            let relation = bounds.exclusiveMinimum ? "greater than" : "greater than or equal to"
            causes.append(.invalid(path, value, "\(path) in body should be \(relation) \(text(minimum))"))
        }
        if let maximum = bounds.maximum, bounds.exclusiveMaximum ? number >= maximum : number > maximum {
            let relation = bounds.exclusiveMaximum ? "less than" : "less than or equal to"
            causes.append(.invalid(path, value, "\(path) in body should be \(relation) \(text(maximum))"))
        }
    }

    private static func text(_ bound: Double) -> String {
        Int64(exactly: bound).map(String.init) ?? String(bound)
    }

    private static func checkCount(
        _ count: Int, _ minimum: Int?, _ maximum: Int?, _ unit: String, _ value: APIValue, _ path: String,
        _ causes: inout [Cause]
    ) {
        if let minimum, count < minimum {
            causes.append(.invalid(path, value, "\(path) in body should have at least \(minimum) \(unit)"))
        }
        if let maximum, count > maximum {
            causes.append(.invalid(path, value, "\(path) in body should have at most \(maximum) \(unit)"))
        }
    }
}
