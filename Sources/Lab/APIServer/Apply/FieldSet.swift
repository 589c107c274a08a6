/// A set of fields of one object, as a tree of steps. Pure.
struct FieldSet: Hashable, Sendable {
    /// The steps that lead to a field of the set.
    var members: Set<FieldPathElement> = []
    /// What lies deeper. A step may be in both: then the thing itself is a field of the set, and so are parts of it.
    var children: [FieldPathElement: FieldSet] = [:]

    var isEmpty: Bool { members.isEmpty && children.isEmpty }

    /// How deep a set from outside may be.
    private static let maximumDepth = 64

    mutating func insert(_ path: ArraySlice<FieldPathElement>) {
        guard let first = path.first else { return }
        if path.count == 1 {
            members.insert(first)
        } else {
            children[first, default: FieldSet()].insert(path.dropFirst())
        }
    }

    func union(_ other: FieldSet) -> FieldSet {
        FieldSet(
            members: members.union(other.members), children: children.merging(other.children) { $0.union($1) })
    }

    /// The fields that are not fields of the other set. Parts of its fields stay.
    func subtracting(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(members: members.subtracting(other.members))
        for (step, child) in children {
            let rest = other.children[step].map(child.subtracting) ?? child
            if !rest.isEmpty { result.children[step] = rest }
        }
        return result
    }

    func intersection(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(members: members.intersection(other.members))
        for (step, child) in children {
            guard let counterpart = other.children[step] else { continue }
            let common = child.intersection(counterpart)
            if !common.isEmpty { result.children[step] = common }
        }
        return result
    }

    /// The set without a step and all behind it.
    func removing(_ step: FieldPathElement) -> FieldSet {
        var copy = self
        copy.members.remove(step)
        copy.children[step] = nil
        return copy
    }

    /// The set reduced to a step and what is behind it.
    func keeping(_ step: FieldPathElement) -> FieldSet {
        FieldSet(
            members: members.intersection([step]), children: children.filter { $0.key == step })
    }

    /// All fields as conflicts name them, sorted.
    var paths: [String] {
        var output = members.map(\.text)
        for (step, child) in children { output += child.paths.map { step.text + $0 } }
        return output.sorted()
    }

    // MARK: - FieldsV1

    /// Nil if the value is no FieldsV1.
    init?(fieldsV1 value: APIValue, depth: Int = 0) {
        guard let entries = value.objectValue, depth < Self.maximumDepth else { return nil }
        for (text, content) in entries where text != "." {
            guard let step = FieldPathElement(fieldsV1: text), let parts = content.objectValue,
                let child = FieldSet(fieldsV1: content, depth: depth + 1)
            else { return nil }
            if parts.isEmpty || parts["."] != nil { members.insert(step) }
            if !child.isEmpty { children[step] = child }
        }
    }

    init(members: Set<FieldPathElement> = [], children: [FieldPathElement: FieldSet] = [:]) {
        self.members = members
        self.children = children
    }

    var fieldsV1: APIValue {
        var entries: [String: APIValue] = [:]
        for (step, child) in children { entries[step.fieldsV1] = child.fieldsV1 }
        for step in members {
            let text = step.fieldsV1
            entries[text] = entries[text].map { $0.setting(".", to: [:]) } ?? [:]
        }
        return .object(entries)
    }
}

extension APIValue {
    fileprivate func setting(_ name: String, to value: APIValue) -> APIValue {
        var copy = self
        copy[name] = value
        return copy
    }
}
