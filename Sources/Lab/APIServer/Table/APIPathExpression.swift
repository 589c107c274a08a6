/// The JSONPath subset of printer columns: `.a.b`, `['a.b/c']`, `[0]`, `[*]` and `[?(@.x=="y")]`.
struct APIPathExpression: Sendable, Equatable {
    enum Step: Sendable, Equatable {
        case member(String)
        case index(Int)
        case everyElement
        case filter(path: [String], equals: String)
    }

    let steps: [Step]

    /// Nil when the text is outside the subset.
    init?(_ text: String) {
        var steps: [Step] = []
        var rest = Substring(text.trimmed)
        if rest.hasPrefix("{"), rest.hasSuffix("}") { rest = rest.dropFirst().dropLast() }
        if rest.hasPrefix("$") { rest = rest.dropFirst() }
        while let first = rest.first {
            switch first {
            case ".":
                let name = rest.dropFirst().prefix { $0 != "." && $0 != "[" }
                if !name.isEmpty { steps.append(.member(String(name))) }
                rest = rest.dropFirst(1 + name.count)
            case "[":
                guard let end = rest.firstIndex(of: "]"), let step = Self.bracket(rest[..<end].dropFirst()) else {
                    return nil
                }
                steps.append(step)
                rest = rest[rest.index(after: end)...]
            default: return nil
            }
        }
        self.steps = steps
    }

    private static func bracket(_ text: Substring) -> Step? {
        if text == "*" { return .everyElement }
        if let index = Int(text) { return .index(index) }
        if let quoted = unquoted(text) { return .member(quoted) }
        guard text.hasPrefix("?("), text.hasSuffix(")") else { return nil }
        let condition = text.dropFirst(2).dropLast()
        guard let range = condition.firstRange(of: "==") else { return nil }
        let left = condition[..<range.lowerBound].trimmed
        let right = condition[range.upperBound...].trimmed
        guard left.hasPrefix("@."), let value = unquoted(right[...]) else { return nil }
        return .filter(path: left.dropFirst(2).split(separator: ".").map(String.init), equals: value)
    }

    private static func unquoted(_ text: Substring) -> String? {
        guard text.count >= 2, let quote = text.first, quote == "'" || quote == "\"", text.last == quote else {
            return nil
        }
        return String(text.dropFirst().dropLast())
    }

    /// All values the path leads to.
    func values(in value: APIValue) -> [APIValue] {
        var current = [value]
        for step in steps {
            current = current.flatMap { value -> [APIValue] in
                switch step {
                case .member(let name): return value[name].map { [$0] } ?? []
                case .index(let index):
                    let elements = value.arrayValue ?? []
                    return elements.indices.contains(index) ? [elements[index]] : []
                case .everyElement: return value.arrayValue ?? value.objectValue.map { Array($0.values) } ?? []
                case .filter(let path, let expected):
                    return (value.arrayValue ?? []).filter { $0.value(at: path[...])?.stringValue == expected }
                }
            }
        }
        return current
    }
}
