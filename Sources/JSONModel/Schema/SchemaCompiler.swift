/// Turns a schema document into nodes.
struct SchemaCompiler {
    private static let drafts: Set = [
        "https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2020-12/schema#",
    ]
    private static let annotations: Set = [
        "$schema", "$id", "$comment", "$defs", "title", "description", "default", "examples", "deprecated", "readOnly",
        "writeOnly", "contentEncoding", "contentMediaType",
    ]

    private let document: JSONValue
    private var nodes: [SchemaFields] = []
    private var definitions: [String: Int] = [:]
    private(set) var secretNames: Set<String> = []

    init(document: JSONValue) {
        self.document = document
    }

    /// Compiles the schema at `pointer`, and all of `$defs`, so that a mistake in one that nobody uses is found, too.
    mutating func compile(at pointer: String) throws(JSONSchemaError) -> Int {
        guard document.members != nil || pointer.isEmpty else {
            throw JSONSchemaError(pointer: "", message: "is \(document.kind); allowed: an object")
        }
        if let draft = document[member: "$schema"], !(draft.text.map(Self.drafts.contains) ?? false) {
            throw JSONSchemaError(
                pointer: "/$schema",
                message: "\(draft.quoted) is not allowed; allowed: https://json-schema.org/draft/2020-12/schema")
        }
        // Indices first: definitions may refer to each other in any order.
        let all = try members(of: "$defs", document[member: "$defs"] ?? [:], "")
        for name in all.keys.sorted() { definitions[name] = reserve() }
        for (name, value) in all.sorted(by: { $0.key < $1.key }) {
            if let index = definitions[name] {
                nodes[index] = try fields(value, "/$defs/\(JSONPointer.escape(name))", depth: 0)
            }
        }
        var value = document
        guard let parts = JSONPointer.parts(pointer) else {
            throw JSONSchemaError(pointer: pointer, message: "is no JSON Pointer")
        }
        for part in parts {
            guard let next = value[member: part] else {
                throw JSONSchemaError(pointer: pointer, message: "the document has no such member")
            }
            value = next
        }
        return try node(value, pointer, depth: 0)
    }

    /// - Throws: if a subschema refers to itself for the same value, so that checking would not end.
    func finish() throws(JSONSchemaError) -> [SchemaNode] {
        var finished = [Bool](repeating: false, count: nodes.count)
        var isOnPath = finished
        // An explicit stack: a chain of references may be as long as the document.
        for start in nodes.indices where !finished[start] {
            var stack = [(node: start, next: 0)]
            isOnPath[start] = true
            while let top = stack.last {
                let others = nodes[top.node].inPlace
                guard top.next < others.count else {
                    finished[top.node] = true
                    isOnPath[top.node] = false
                    stack.removeLast()
                    continue
                }
                stack[stack.count - 1].next += 1
                let other = others[top.next]
                if isOnPath[other] {
                    let name = definitions.first { $0.value == other }?.key ?? ""
                    throw JSONSchemaError(
                        pointer: "/$defs/\(JSONPointer.escape(name))",
                        message: "refers to itself for the same value; allowed: a reference below properties or items")
                }
                if !finished[other] {
                    isOnPath[other] = true
                    stack.append((other, 0))
                }
            }
        }
        return nodes.map(SchemaNode.init)
    }

    // MARK: - Nodes

    private mutating func reserve() -> Int {
        nodes.append(SchemaFields())
        return nodes.count - 1
    }

    private mutating func node(_ value: JSONValue, _ pointer: String, depth: Int) throws(JSONSchemaError) -> Int {
        let index = reserve()
        nodes[index] = try fields(value, pointer, depth: depth)
        return index
    }

    private mutating func fields(
        _ value: JSONValue, _ pointer: String, depth: Int
    ) throws(JSONSchemaError) -> SchemaFields {
        var fields = SchemaFields()
        guard depth <= JSONSchema.maximumDepth else {
            throw JSONSchemaError(
                pointer: pointer, message: "is nested too deeply; allowed: \(JSONSchema.maximumDepth) levels")
        }
        if case .bool(let accepts) = value {
            fields.isNever = !accepts
            return fields
        }
        guard let members = value.members else {
            throw JSONSchemaError(
                pointer: pointer, message: "\(value.quoted) is not allowed; allowed: an object, true or false")
        }
        for (keyword, argument) in members.sorted(by: { $0.key < $1.key }) {
            let place = "\(pointer)/\(JSONPointer.escape(keyword))"
            if try compileValueKeyword(keyword, argument, place, &fields) { continue }
            if try compileApplicator(keyword, argument, place, depth: depth + 1, &fields) { continue }
            guard Self.annotations.contains(keyword) || keyword.hasPrefix("x-") else {
                throw JSONSchemaError(pointer: place, message: "is not a keyword that is checked here")
            }
        }
        if members["$defs"] != nil, !pointer.isEmpty {
            throw JSONSchemaError(pointer: "\(pointer)/$defs", message: "is only allowed at the top of the document")
        }
        fields.title = members["title"]?.text
        fields.isSecret = members["writeOnly"] == true
        try compileRequired(members["required"], "\(pointer)/required", &fields)
        return fields
    }

    /// Keywords without subschemas; false if `keyword` is none of them.
    private func compileValueKeyword(
        _ keyword: String, _ argument: JSONValue, _ place: String, _ fields: inout SchemaFields
    ) throws(JSONSchemaError) -> Bool {
        switch keyword {
        case "type": fields.types = try types(argument, place)
        case "const": fields.allowed = [argument.canonical]
        case "enum":
            guard case .array(let values) = argument, !values.isEmpty else {
                throw refusal(argument, place, "an array with at least one value")
            }
            fields.allowed = values.map(\.canonical)
        case "required": break
        case "minProperties": fields.propertyCount.minimum = try count(argument, place)
        case "maxProperties": fields.propertyCount.maximum = try count(argument, place)
        case "minItems": fields.itemCount.minimum = try count(argument, place)
        case "maxItems": fields.itemCount.maximum = try count(argument, place)
        case "minLength": fields.length.minimum = try count(argument, place)
        case "maxLength": fields.length.maximum = try count(argument, place)
        case "uniqueItems":
            guard let flag = argument.bool else { throw refusal(argument, place, "true or false") }
            fields.hasUniqueItems = flag
        case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
            try compileRange(keyword, argument, place, &fields)
        case "pattern":
            guard let text = argument.text else { throw refusal(argument, place, "a string") }
            do throws(SchemaPatternError) {
                fields.pattern = try SchemaPattern(text)
            } catch {
                throw JSONSchemaError(pointer: place, message: error.description)
            }
        case "format":
            guard let text = argument.text else { throw refusal(argument, place, "a string") }
            fields.format = SchemaFields.Format(rawValue: text)
        default: return false
        }
        return true
    }

    private func compileRange(
        _ keyword: String, _ argument: JSONValue, _ place: String, _ fields: inout SchemaFields
    ) throws(JSONSchemaError) {
        switch argument {
        case .integer, .number: break
        default: throw refusal(argument, place, "a number")
        }
        var range = fields.range ?? SchemaFields.Range()
        switch keyword {
        case "minimum": range.minimum = argument
        case "maximum": range.maximum = argument
        case "exclusiveMinimum": range.exclusiveMinimum = argument
        default: range.exclusiveMaximum = argument
        }
        fields.range = range
    }

    /// Keywords with subschemas; false if `keyword` is none of them.
    private mutating func compileApplicator(
        _ keyword: String, _ argument: JSONValue, _ place: String, depth: Int, _ fields: inout SchemaFields
    ) throws(JSONSchemaError) -> Bool {
        switch keyword {
        case "properties":
            for (name, value) in try members(of: keyword, argument, place).sorted(by: { $0.key < $1.key }) {
                let index = try node(value, "\(place)/\(JSONPointer.escape(name))", depth: depth)
                if nodes[index].isSecret { secretNames.insert(name) }
                fields.properties.append(.init(name: name, node: index, isRequired: false))
            }
        case "additionalProperties":
            switch argument {
            case .bool(true): fields.additional = .anything
            case .bool(false): fields.additional = .nothing
            default: fields.additional = .matching(try node(argument, place, depth: depth))
            }
        case "items": fields.items = try node(argument, place, depth: depth)
        case "allOf": fields.allOf = try nodeList(argument, place, depth: depth)
        case "anyOf": fields.anyOf = try nodeList(argument, place, depth: depth)
        case "oneOf": fields.oneOf = try nodeList(argument, place, depth: depth)
        case "not": fields.not = try node(argument, place, depth: depth)
        case "$ref":
            let prefix = "/$defs/"
            guard let text = argument.text, text.hasPrefix("#" + prefix),
                let parts = JSONPointer.parts(String(text.dropFirst())), parts.count == 2,
                let index = definitions[parts[1]]
            else {
                throw refusal(argument, place, "#/$defs/NAME with NAME a member of the document's $defs")
            }
            fields.reference = index
        default: return false
        }
        return true
    }

    private func compileRequired(
        _ argument: JSONValue?, _ place: String, _ fields: inout SchemaFields
    ) throws(JSONSchemaError) {
        guard let argument else { return }
        guard case .array(let elements) = argument else { throw refusal(argument, place, "an array of strings") }
        var positions: [String: Int] = [:]
        for (index, property) in fields.properties.enumerated() { positions[property.name] = index }
        for element in elements {
            guard let name = element.text else { throw refusal(element, place, "strings") }
            if let position = positions[name] {
                fields.properties[position].isRequired = true
            } else {
                positions[name] = fields.properties.count
                fields.properties.append(.init(name: name, node: nil, isRequired: true))
            }
        }
        fields.properties.sort { $0.name < $1.name }
    }

    private mutating func nodeList(
        _ argument: JSONValue, _ place: String, depth: Int
    ) throws(JSONSchemaError) -> [Int] {
        guard case .array(let elements) = argument, !elements.isEmpty else {
            throw refusal(argument, place, "an array with at least one schema")
        }
        var list: [Int] = []
        for (index, element) in elements.enumerated() {
            list.append(try node(element, "\(place)/\(index)", depth: depth))
        }
        return list
    }

    // MARK: - Arguments

    private func types(_ argument: JSONValue, _ place: String) throws(JSONSchemaError) -> SchemaTypes {
        let names: [JSONValue]
        if case .array(let list) = argument { names = list } else { names = [argument] }
        var types: SchemaTypes = []
        for name in names {
            guard let type = name.text.flatMap(SchemaTypes.init(name:)) else {
                throw refusal(name, place, "null, boolean, integer, number, string, array, object")
            }
            types.insert(type)
        }
        guard !types.isEmpty else { throw refusal(argument, place, "at least one type") }
        return types
    }

    private func count(_ argument: JSONValue, _ place: String) throws(JSONSchemaError) -> Int {
        guard let value = argument.canonical.int, value >= 0 else {
            throw refusal(argument, place, "an integer that is not negative")
        }
        return value
    }

    private func members(
        of keyword: String, _ argument: JSONValue, _ place: String
    ) throws(JSONSchemaError) -> [String: JSONValue] {
        guard let members = argument.members else {
            throw refusal(argument, place.isEmpty ? "/\(keyword)" : place, "an object of schemas")
        }
        return members
    }

    private func refusal(_ value: JSONValue, _ place: String, _ allowed: String) -> JSONSchemaError {
        JSONSchemaError(pointer: place, message: "\(value.quoted) is not allowed; allowed: \(allowed)")
    }
}
