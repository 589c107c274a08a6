extension StructuralSchema {
    /// Members of every object that the schema need not name.
    private static let envelope: Set<String> = ["apiVersion", "kind", "metadata"]

    /// Removes the members the schema does not know and gives their dotted paths in order.
    func prune(_ value: inout APIValue) -> [String] {
        var removed: [String] = []
        Self.prune(&value, root, path: "", isObjectRoot: true, removed: &removed)
        return removed.sorted()
    }

    private static func prune(
        _ value: inout APIValue, _ node: Node, path: String, isObjectRoot: Bool, removed: inout [String]
    ) {
        switch value {
        case .object(var members):
            for (name, member) in members {
                if isObjectRoot, envelope.contains(name) { continue }
                let memberPath = path.isEmpty ? name : "\(path).\(name)"
                if let child = node.properties[name] ?? node.additionalProperties {
                    var pruned = member
                    prune(
                        &pruned, child, path: memberPath, isObjectRoot: child.isEmbeddedResource, removed: &removed)
                    members[name] = pruned
                } else if !node.preservesUnknownFields {
                    members[name] = nil
                    removed.append(memberPath)
                }
            }
            value = .object(members)
        case .array(var elements):
            guard let items = node.items else { return }
            for index in elements.indices {
                prune(
                    &elements[index], items, path: "\(path)[\(index)]", isObjectRoot: items.isEmbeddedResource,
                    removed: &removed)
            }
            value = .array(elements)
        default: break
        }
    }

    /// Fills in the defaults of absent members, and of nulls that may not be null.
    func applyDefaults(_ value: inout APIValue) {
        Self.applyDefaults(&value, root)
    }

    private static func applyDefaults(_ value: inout APIValue, _ node: Node) {
        switch value {
        case .object(var members):
            for (name, child) in node.properties {
                if let fallback = child.defaultValue {
                    let current = members[name]
                    if current == nil || (current == .null && !child.isNullable) { members[name] = fallback }
                }
                if var member = members[name] {
                    applyDefaults(&member, child)
                    members[name] = member
                }
            }
            if let additional = node.additionalProperties {
                members = members.mapValues { member in
                    var filled = member
                    applyDefaults(&filled, additional)
                    return filled
                }
            }
            value = .object(members)
        case .array(var elements):
            guard let items = node.items else { return }
            for index in elements.indices { applyDefaults(&elements[index], items) }
            value = .array(elements)
        default: break
        }
    }
}
