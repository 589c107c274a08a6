/// One walk over a value.
struct SchemaValidation {
    private enum Step {
        case member(String)
        case element(Int)
    }

    private let schema: JSONSchema
    private var limit: Int
    private(set) var mistakes: [JSONSchema.Mistake] = []
    /// Where the walk is.
    private var path: [Step] = []
    private var depth = 0
    private var steps = 0
    /// An alternative is being tried: only whether there is a mistake counts, and no text is made for it.
    private var isTrial = false
    private var trialFailed = false

    init(schema: JSONSchema, limit: Int) {
        self.schema = schema
        self.limit = limit
    }

    private var isOver: Bool {
        isTrial ? trialFailed : mistakes.count >= limit
    }

    /// - Parameter secret: the value is below something that no message may quote.
    mutating func visit(_ index: Int, _ value: JSONValue, secret: Bool) {
        guard !isOver else { return }
        steps += 1
        guard steps <= JSONSchema.maximumSteps else { return giveUp("takes too many steps to be checked") }
        guard depth < JSONSchema.maximumDepth else {
            return giveUp("is nested too deeply; allowed: \(JSONSchema.maximumDepth) levels")
        }
        depth += 1
        defer { depth -= 1 }
        let node = schema.nodes[index]
        let secret = secret || node.fields.isSecret
        if let reference = node.fields.reference { visit(reference, value, secret: secret) }
        if node.fields.isNever { return report(value, secret, "no value") }
        if let types = node.fields.types, !types.holds(value) { return report(value, secret, types.words) }
        if let allowed = node.fields.allowed, !allowed.contains(value.canonical) {
            report(value, secret, Self.list(allowed))
        }
        switch value {
        case .null, .bool: break
        case .integer, .number: if let range = node.fields.range { check(value, range, secret) }
        case .string(let text): check(text, node, secret)
        case .array(let elements): check(elements, node, secret)
        case .object(let members): check(members, node, secret)
        }
        for other in node.fields.allOf { visit(other, value, secret: secret) }
        if !node.fields.anyOf.isEmpty { checkAlternatives(node.fields.anyOf, value, secret, exactlyOne: false) }
        if !node.fields.oneOf.isEmpty { checkAlternatives(node.fields.oneOf, value, secret, exactlyOne: true) }
        if let not = node.fields.not, fits(not, value) {
            let title = schema.nodes[not].fields.title
            report(value, secret, "anything but \(title ?? "what the schema excludes")")
        }
    }

    // MARK: - Kinds

    private mutating func check(_ value: JSONValue, _ range: SchemaFields.Range, _ secret: Bool) {
        if let bound = range.minimum, value.isLess(than: bound) { report(value, secret, "at least \(bound.quoted)") }
        if let bound = range.maximum, bound.isLess(than: value) { report(value, secret, "at most \(bound.quoted)") }
        if let bound = range.exclusiveMinimum, !bound.isLess(than: value) {
            report(value, secret, "more than \(bound.quoted)")
        }
        if let bound = range.exclusiveMaximum, !value.isLess(than: bound) {
            report(value, secret, "less than \(bound.quoted)")
        }
    }

    private mutating func check(_ text: String, _ node: SchemaNode, _ secret: Bool) {
        if node.fields.length.isBounded {
            let length = text.unicodeScalars.count
            if length > node.fields.length.maximum {
                report(.string(text), secret, "at most \(node.fields.length.maximum) characters, not \(length)")
                return
            }
            if length < node.fields.length.minimum {
                report(.string(text), secret, "at least \(node.fields.length.minimum) characters, not \(length)")
            }
        }
        if let pattern = node.fields.pattern {
            switch pattern.matches(text, steps: &steps, maximum: JSONSchema.maximumSteps) {
            case true?: break
            case false?: report(.string(text), secret, "text that matches \(pattern.text)")
            case nil: giveUp("takes too many steps to be matched with \(pattern.text)")
            }
        }
        if let format = node.fields.format, !format.holds(text) { report(.string(text), secret, format.words) }
    }

    private mutating func check(_ elements: [JSONValue], _ node: SchemaNode, _ secret: Bool) {
        if node.fields.itemCount.isBounded {
            let count = node.fields.itemCount
            if elements.count > count.maximum {
                // Not looked into: the bound is there to save the work.
                return report("has \(elements.count) elements; allowed: at most \(count.maximum)")
            }
            if elements.count < count.minimum {
                report("has \(elements.count) elements; allowed: at least \(count.minimum)")
            }
        }
        if let items = node.fields.items {
            for (index, element) in elements.enumerated() {
                guard !isOver else { return }
                path.append(.element(index))
                visit(items, element, secret: secret)
                path.removeLast()
            }
        }
        if node.fields.hasUniqueItems {
            var positions: [JSONValue: Int] = [:]
            for (index, element) in elements.enumerated() {
                if let first = positions.updateValue(index, forKey: element.canonical) {
                    return report("has the same element at \(first) and \(index); allowed: different elements")
                }
            }
        }
    }

    private mutating func check(_ members: [String: JSONValue], _ node: SchemaNode, _ secret: Bool) {
        if node.fields.propertyCount.isBounded {
            let count = node.fields.propertyCount
            if members.count > count.maximum {
                return report("has \(members.count) members; allowed: at most \(count.maximum)")
            }
            if members.count < count.minimum {
                report("has \(members.count) members; allowed: at least \(count.minimum)")
            }
        }
        var known = 0
        for property in node.fields.properties {
            guard let value = members[property.name] else {
                if property.isRequired {
                    path.append(.member(property.name))
                    report("is missing; must be there")
                    path.removeLast()
                }
                continue
            }
            guard let index = property.node else { continue }
            known += 1
            path.append(.member(property.name))
            visit(index, value, secret: secret)
            path.removeLast()
        }
        guard members.count > known else { return }
        switch node.fields.additional {
        case .anything: break
        case .nothing:
            for name in Self.others(members, node) {
                path.append(.member(name))
                let names = node.fields.properties.filter { $0.node != nil }.map(\.name)
                report("is not a member that is known here; allowed: \(Self.list(names))")
                path.removeLast()
            }
        case .matching(let index):
            for name in Self.others(members, node) {
                guard !isOver, let value = members[name] else { return }
                path.append(.member(name))
                visit(index, value, secret: secret)
                path.removeLast()
            }
        }
    }

    /// Members without a subschema of their own, in order.
    private static func others(_ members: [String: JSONValue], _ node: SchemaNode) -> [String] {
        let own = Set(node.fields.properties.filter { $0.node != nil }.map(\.name))
        return members.keys.filter { !own.contains($0) }.sorted()
    }

    // MARK: - Alternatives

    private mutating func checkAlternatives(_ nodes: [Int], _ value: JSONValue, _ secret: Bool, exactlyOne: Bool) {
        guard !isOver else { return }
        var fitting: [Int] = []
        for node in nodes where exactlyOne || fitting.isEmpty {
            if fits(node, value) { fitting.append(node) }
        }
        if fitting.count == 1 || !exactlyOne && !fitting.isEmpty { return }
        guard !isTrial else { return trialFailed = true }
        if fitting.isEmpty {
            let alternatives = nodes.prefix(8).map { alternative($0, value, secret) }
            report(value, secret, alternatives.joined(separator: "; or "))
        } else {
            let titles = fitting.prefix(8).map { schema.nodes[$0].fields.title ?? "alternative \($0)" }
            report("fits \(titles.joined(separator: " and ")); allowed: exactly one of them")
        }
    }

    /// An alternative that does not fit, in words: its title, else the first thing that is wrong.
    private mutating func alternative(_ node: Int, _ value: JSONValue, _ secret: Bool) -> String {
        if let title = schema.nodes[node].fields.title { return title }
        let found = mistakes
        let limit = self.limit
        mistakes = []
        self.limit = 1
        visit(node, value, secret: secret)
        let reason = mistakes.first?.description ?? "another value"
        mistakes = found
        self.limit = limit
        return "one without: \(reason)"
    }

    private mutating func fits(_ node: Int, _ value: JSONValue) -> Bool {
        guard !isOver else { return false }
        let outer = isTrial
        isTrial = true
        visit(node, value, secret: true)
        let fits = !trialFailed
        trialFailed = false
        isTrial = outer
        // A trial that ran out of steps has no answer: nobody may take it for a misfit, or for a fit of `not`.
        if steps > JSONSchema.maximumSteps { giveUp("takes too many steps to be checked") }
        return fits
    }

    // MARK: - Messages

    private mutating func giveUp(_ message: String) {
        report(message)
        if !isTrial { limit = mistakes.count }
    }

    private mutating func report(_ value: JSONValue, _ secret: Bool, _ allowed: @autoclosure () -> String) {
        guard !isTrial else { return trialFailed = true }
        let text = secret || isBelowSecret ? "the value (a secret) is not allowed" : "is \(value.quoted)"
        report("\(text); allowed: \(allowed())")
    }

    private mutating func report(_ message: @autoclosure () -> String) {
        guard !isTrial else { return trialFailed = true }
        guard mistakes.count < limit else { return }
        mistakes.append(.init(path: pointer, message: message()))
    }

    private var isBelowSecret: Bool {
        path.contains { step in
            if case .member(let name) = step { return schema.secretNames.contains(name) }
            return false
        }
    }

    private var pointer: String {
        path.map { step in
            switch step {
            case .member(let name): "/\(JSONPointer.escape(JSONValue.clipped(name)))"
            case .element(let index): "/\(index)"
            }
        }.joined()
    }

    private static func list(_ values: [JSONValue]) -> String { list(values.map(\.quoted)) }

    private static func list(_ texts: [String]) -> String {
        guard !texts.isEmpty else { return "none" }
        let most = 16
        return texts.prefix(most).joined(separator: ", ") + (texts.count > most ? ", ..." : "")
    }
}
