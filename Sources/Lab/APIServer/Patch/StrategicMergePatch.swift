/// Strategic merge patch for the core kinds: lists with a merge key are merged by it, other lists are replaced.
///
/// Directives served: `$patch` (replace, delete, merge), `$deleteFromPrimitiveList/<list>`, `$setElementOrder/<list>`
/// and `$retainKeys`. Source: k8s.io/apimachinery/pkg/util/strategicpatch.
enum StrategicMergePatch {
    /// Where lists merge: the dotted path of a list without indices -> the member that identifies an element;
    /// an empty key marks a list of plain values that merges as a set.
    struct Schema: Sendable {
        var mergeKeys: [String: String]
    }

    static func apply(_ patch: APIValue, to target: APIValue, schema: Schema) throws(APIStatusError) -> APIValue {
        guard case .object(let changes) = patch else {
            throw .badRequest("a strategic merge patch is an object, not \(patch.typeName)")
        }
        return try merge(changes, into: target.objectValue ?? [:], path: "", schema: schema) ?? [:]
    }

    /// Nil when the patch says that the object goes.
    private static func merge(
        _ changes: [String: APIValue], into target: [String: APIValue], path: String, schema: Schema
    ) throws(APIStatusError) -> APIValue? {
        var changes = changes
        var members = target
        switch changes.removeValue(forKey: "$patch")?.stringValue {
        case "replace": return .object(changes.filter { !$0.key.hasPrefix("$") })
        case "delete": return nil
        case nil, "merge": break
        case let directive?:
            throw .badRequest("unknown $patch directive \(directive); allowed: replace, delete, merge")
        }
        if let retained = changes.removeValue(forKey: "$retainKeys")?.arrayValue {
            let names = Set(retained.compactMap(\.stringValue))
            members = members.filter { names.contains($0.key) }
        }
        for (name, change) in changes where name.hasPrefix("$deleteFromPrimitiveList/") {
            let list = String(name.dropFirst("$deleteFromPrimitiveList/".count))
            let removed = Set(change.arrayValue ?? [])
            members[list] = .array((members[list]?.arrayValue ?? []).filter { !removed.contains($0) })
        }
        for (name, change) in changes where !name.hasPrefix("$") {
            let childPath = path.isEmpty ? name : "\(path).\(name)"
            switch change {
            case .null: members[name] = nil
            case .object(let childChanges):
                members[name] = try merge(
                    childChanges, into: members[name]?.objectValue ?? [:], path: childPath, schema: schema)
            case .array(let elements):
                let order = changes["$setElementOrder/\(name)"]?.arrayValue
                members[name] = try mergeList(
                    elements, into: members[name]?.arrayValue ?? [], path: childPath, order: order, schema: schema)
            default: members[name] = change
            }
        }
        for (name, order) in changes where name.hasPrefix("$setElementOrder/") {
            let list = String(name.dropFirst("$setElementOrder/".count))
            guard changes[list] == nil, let elements = members[list]?.arrayValue else { continue }
            let key = schema.mergeKeys[path.isEmpty ? list : "\(path).\(list)"] ?? ""
            members[list] = .array(reorder(elements, by: order.arrayValue ?? [], key: key))
        }
        return .object(members)
    }

    private static func mergeList(
        _ changes: [APIValue], into target: [APIValue], path: String, order: [APIValue]?, schema: Schema
    ) throws(APIStatusError) -> APIValue {
        guard let key = schema.mergeKeys[path] else {
            return .array(changes)
        }
        if changes.contains(where: { $0["$patch"]?.stringValue == "replace" }) {
            return .array(changes.filter { $0["$patch"] == nil })
        }
        var result = target
        for change in changes {
            if key.isEmpty {
                if !result.contains(change) { result.append(change) }
                continue
            }
            guard case .object(let members) = change, let identity = members[key] else {
                throw .badRequest("map: \(change.text) does not contain declared merge key: \(key)")
            }
            let index = result.firstIndex { $0[key] == identity }
            let existing = index.flatMap { result[$0].objectValue } ?? [:]
            let merged = try merge(members, into: existing, path: path, schema: schema)
            switch (index, merged) {
            case (let index?, let merged?): result[index] = merged
            case (let index?, nil): result.remove(at: index)
            case (nil, let merged?): result.append(merged)
            case (nil, nil): break
            }
        }
        guard let order else { return .array(result) }
        return .array(reorder(result, by: order, key: key))
    }

    /// Elements named by the order come in that order; the others keep their place relative to each other, behind.
    private static func reorder(_ elements: [APIValue], by order: [APIValue], key: String) -> [APIValue] {
        var ranks: [APIValue: Int] = [:]
        for (rank, entry) in order.enumerated() {
            let identity: APIValue = key.isEmpty ? entry : entry[key] ?? .null
            if ranks[identity] == nil { ranks[identity] = rank }
        }
        return elements.enumerated().sorted { left, right in
            let leftIdentity: APIValue = key.isEmpty ? left.element : left.element[key] ?? .null
            let rightIdentity: APIValue = key.isEmpty ? right.element : right.element[key] ?? .null
            let leftRank = ranks[leftIdentity] ?? Int.max
            let rightRank = ranks[rightIdentity] ?? Int.max
            return (leftRank, left.offset) < (rightRank, right.offset)
        }.map(\.element)
    }
}

extension StrategicMergePatch.Schema {
    private static let metadata = ["metadata.finalizers": "", "metadata.ownerReferences": "uid"]

    /// The lists that every kind has.
    static let common = Self(mergeKeys: metadata)

    static let namespace = common.adding(["status.conditions": "type"])

    static let node = common.adding([
        "spec.podCIDRs": "", "status.conditions": "type", "status.addresses": "type",
    ])

    static let pod: Self = {
        var keys = [
            "spec.volumes": "name", "spec.imagePullSecrets": "name", "spec.hostAliases": "ip",
            "spec.topologySpreadConstraints": "topologyKey", "spec.resourceClaims": "name",
            "status.conditions": "type", "status.podIPs": "ip", "status.hostIPs": "ip",
        ]
        for list in ["spec.containers", "spec.initContainers", "spec.ephemeralContainers"] {
            keys[list] = "name"
            keys["\(list).ports"] = "containerPort"
            keys["\(list).env"] = "name"
            keys["\(list).volumeMounts"] = "mountPath"
            keys["\(list).volumeDevices"] = "devicePath"
        }
        return common.adding(keys)
    }()

    private func adding(_ keys: [String: String]) -> Self {
        .init(mergeKeys: mergeKeys.merging(keys) { _, new in new })
    }
}
