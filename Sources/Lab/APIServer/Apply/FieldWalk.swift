/// What differs between two versions of an object, field by field.
struct FieldComparison: Sendable, Equatable {
    var added = FieldSet()
    var modified = FieldSet()
    var removed = FieldSet()

    static func of(_ old: APIValue, _ new: APIValue, _ shape: FieldShape) -> FieldComparison {
        var comparison = FieldComparison()
        var path: [FieldPathElement] = []
        comparison.compare(old, new, shape, &path)
        return comparison
    }

    private mutating func compare(
        _ old: APIValue?, _ new: APIValue?, _ shape: FieldShape, _ path: inout [FieldPathElement]
    ) {
        guard let parts = Self.parts(old, new, shape) else {
            if old == nil {
                added.insert(path[...])
            } else if new == nil {
                removed.insert(path[...])
            } else if old != new {
                modified.insert(path[...])
            }
            return
        }
        for part in parts {
            path.append(part.step)
            compare(part.old, part.new, part.shape, &path)
            path.removeLast()
        }
        if old == nil { added.insert(path[...]) } else if new == nil { removed.insert(path[...]) }
    }

    private struct Part {
        var step: FieldPathElement
        var old: APIValue?
        var new: APIValue?
        var shape: FieldShape
    }

    /// The parts to compare one by one; nil where the values count as a whole. What is null, or is not there, takes
    /// whatever form the other side has; where both sides are empty, that they are is all there is to compare.
    private static func parts(_ old: APIValue?, _ new: APIValue?, _ shape: FieldShape) -> [Part]? {
        let (oldValue, newValue) = (old ?? .null, new ?? .null)
        if shape.mergesMembers, oldValue.objectValue != nil || newValue.objectValue != nil {
            guard oldValue.isNull || oldValue.objectValue != nil, newValue.isNull || newValue.objectValue != nil else {
                return nil
            }
            let (before, after) = (oldValue.objectValue ?? [:], newValue.objectValue ?? [:])
            if before.isEmpty, after.isEmpty { return nil }
            return Set(before.keys).union(after.keys).map { name in
                Part(
                    step: .field(name), old: before[name], new: after[name],
                    shape: shape.member(name)?.shape ?? .any)
            }
        }
        guard oldValue.isNull || oldValue.arrayValue != nil, newValue.isNull || newValue.arrayValue != nil,
            let before = shape.elements(oldValue.arrayValue ?? []),
            let after = shape.elements(newValue.arrayValue ?? []), !(before.isEmpty && after.isEmpty)
        else { return nil }
        let earlier = Dictionary(before.map { ($0.step, $0.value) }) { first, _ in first }
        let later = Dictionary(after.map { ($0.step, $0.value) }) { first, _ in first }
        return Set(earlier.keys).union(later.keys).map {
            Part(step: $0, old: earlier[$0], new: later[$0], shape: shape.element)
        }
    }
}

extension FieldSet {
    /// The fields that a manager owns who applies this value: what it states, without the objects and lists around it.
    static func stated(by value: APIValue, _ shape: FieldShape) -> FieldSet {
        var set = FieldSet()
        if shape.mergesMembers, let members = value.objectValue {
            for (name, member) in members {
                let (memberShape, isNamed) = shape.member(name) ?? (.any, false)
                set.include(.field(name), member, memberShape, always: !isNamed)
            }
        } else if let list = value.arrayValue, let elements = shape.elements(list) {
            for (step, element) in elements { set.include(step, element, shape.element, always: true) }
        }
        return set
    }

    private mutating func include(_ step: FieldPathElement, _ value: APIValue, _ shape: FieldShape, always: Bool) {
        let parts = FieldSet.stated(by: value, shape)
        if !parts.isEmpty { children[step] = parts }
        let isWhole: Bool
        switch value {
        case .object(let members): isWhole = members.isEmpty || !shape.mergesMembers
        case .array(let list): isWhole = shape.elements(list) == nil
        default: isWhole = true
        }
        if always || isWhole { members.insert(step) }
    }

    /// The set with every named field on the way to its fields. Elements of lists and members of maps are not added.
    func withNamedParents(_ shape: FieldShape) -> FieldSet {
        var result = self
        for (step, child) in children {
            switch step {
            case .field(let name):
                let (memberShape, isNamed) = shape.member(name) ?? (.any, false)
                if isNamed { result.members.insert(step) }
                result.children[step] = child.withNamedParents(memberShape)
            case .key, .value: result.children[step] = child.withNamedParents(shape.element)
            }
        }
        return result
    }
}

/// The steps of server-side apply on the values themselves.
enum FieldMerge {
    /// The live value with all that the configuration states.
    static func merge(_ configuration: APIValue, into live: APIValue?, _ shape: FieldShape) -> APIValue {
        switch (live, configuration) {
        case (.object(var members)?, .object(let stated)) where shape.mergesMembers:
            for (name, value) in stated {
                members[name] = merge(value, into: members[name], shape.member(name)?.shape ?? .any)
            }
            return .object(members)
        case (.array(let current)?, .array(let stated)):
            guard let before = shape.elements(current), let after = shape.elements(stated) else {
                return configuration
            }
            return .array(mergeElements(after, into: before, shape.element))
        default: return configuration
        }
    }

    /// Elements that both lists have stand in the order of the configuration; the others of the live list keep their
    /// place before what follows them.
    private static func mergeElements(
        _ stated: [(step: FieldPathElement, value: APIValue)], into live: [(step: FieldPathElement, value: APIValue)],
        _ shape: FieldShape
    ) -> [APIValue] {
        let current = Dictionary(live.map { ($0.step, $0.value) }) { first, _ in first }
        let named = Set(stated.map(\.step))
        var output: [APIValue] = []
        var (before, after) = (live[...], stated[...])
        while true {
            if let first = before.first, !named.contains(first.step) {
                output.append(first.value)
                before.removeFirst()
            } else if let next = after.first {
                output.append(merge(next.value, into: current[next.step], shape))
                after.removeFirst()
                if before.first?.step == next.step { before.removeFirst() }
            } else if !before.isEmpty {
                before.removeFirst()
            } else {
                return output
            }
        }
    }

    /// The value without the fields that a manager stated before and that nobody states or owns now.
    ///
    /// - Parameters:
    ///   - last: What the manager stated before, with named parents.
    ///   - owned: What all managers own now, with named parents.
    /// - Returns: Nil if nothing is left of an object or list.
    static func prune(_ value: APIValue, _ shape: FieldShape, last: FieldSet, owned: FieldSet) -> APIValue? {
        if last.isEmpty { return value }
        func rest(_ step: FieldPathElement, _ part: APIValue, _ shape: FieldShape) -> APIValue? {
            if last.members.contains(step), !owned.members.contains(step) { return nil }
            return prune(
                part, shape, last: last.children[step] ?? FieldSet(), owned: owned.children[step] ?? FieldSet())
        }
        switch value {
        case .object(let members) where shape.mergesMembers && !members.isEmpty:
            var kept: [String: APIValue] = [:]
            for (name, member) in members { kept[name] = rest(.field(name), member, shape.member(name)?.shape ?? .any) }
            return kept.isEmpty ? nil : .object(kept)
        case .array(let list) where !list.isEmpty:
            guard let elements = shape.elements(list) else { return value }
            let kept = elements.compactMap { rest($0.step, $0.value, shape.element) }
            return kept.isEmpty ? nil : .array(kept)
        default: return value
        }
    }
}
