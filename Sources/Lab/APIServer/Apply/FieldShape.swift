/// How a place in an object merges: whole, by its members, or by its elements.
///
/// Source: sigs.k8s.io/structured-merge-diff, schema; of a definition the markers `x-kubernetes-list-type`,
/// `x-kubernetes-list-map-keys` and `x-kubernetes-map-type`.
indirect enum FieldShape: Sendable {
    /// A value that is replaced whole; its JSON type, empty for any.
    case scalar(String)
    /// A list that is replaced whole.
    case atomicList
    /// An object that is replaced whole.
    case atomicMap
    /// An object: its named fields, and how members beyond them merge; nil: there are none.
    case object([String: FieldShape], others: FieldShape?)
    /// A list of objects that some of their members identify.
    case list(keys: [String], element: FieldShape)
    /// A list of plain values, each at most once.
    case set
    /// Unknown: objects merge by member, lists are replaced whole.
    case any
    /// A built-in kind without a schema: objects merge by member, and the lists at these dotted paths by their keys.
    case known(lists: [String: [String]], path: String)

    /// What a member of an object is, and whether it is a named field; nil where there can be no such member.
    func member(_ name: String) -> (shape: FieldShape, isNamed: Bool)? {
        switch self {
        case .object(let fields, let others):
            if let field = fields[name] { return (field, true) }
            return others.map { ($0, false) }
        case .known(let lists, let path):
            return (.known(lists: lists, path: path.isEmpty ? name : "\(path).\(name)"), true)
        default: return (.any, false)
        }
    }

    /// Whether objects at this place merge by member.
    var mergesMembers: Bool {
        switch self {
        case .object, .any, .known: true
        case .scalar, .atomicList, .atomicMap, .list, .set: false
        }
    }

    /// The keys of a list that merges by element, empty for a set; nil for other places.
    var listKeys: [String]? {
        switch self {
        case .list(let keys, _): keys
        case .set: []
        case .known(let lists, let path): lists[path]
        default: nil
        }
    }

    /// What an element of a list that merges is.
    var element: FieldShape {
        switch self {
        case .list(_, let element): element
        case .known: self
        default: .scalar("")
        }
    }

    /// The elements of a list by what identifies them; nil unless the list merges, and every element has an identity of
    /// its own.
    func elements(_ list: [APIValue]) -> [(step: FieldPathElement, value: APIValue)]? {
        guard let keys = listKeys else { return nil }
        var seen: Set<FieldPathElement> = []
        var elements: [(FieldPathElement, APIValue)] = []
        for value in list {
            guard let step = Self.identity(of: value, keys), seen.insert(step).inserted else { return nil }
            elements.append((step, value))
        }
        return elements
    }

    private static func identity(of value: APIValue, _ keys: [String]) -> FieldPathElement? {
        if keys.isEmpty { return value.objectValue == nil && value.arrayValue == nil ? .value(value) : nil }
        guard let members = value.objectValue else { return nil }
        var identity: [String: APIValue] = [:]
        for key in keys {
            // The one key with a default: ContainerPort's protocol.
            guard let value = members[key] ?? (key == "protocol" ? "TCP" : nil) else { return nil }
            identity[key] = value
        }
        return .key(identity)
    }
}

extension FieldShape {
    /// `metadata` of every kind.
    static let metadata: FieldShape = {
        let texts = [
            "name", "namespace", "generateName", "uid", "resourceVersion", "selfLink", "creationTimestamp",
            "deletionTimestamp",
        ]
        var fields = Dictionary(texts.map { ($0, FieldShape.scalar("string")) }) { first, _ in first }
        for name in ["generation", "deletionGracePeriodSeconds"] { fields[name] = .scalar("integer") }
        for name in ["labels", "annotations"] { fields[name] = .object([:], others: .scalar("string")) }
        fields["finalizers"] = .set
        fields["ownerReferences"] = .list(keys: ["uid"], element: .atomicMap)
        fields["managedFields"] = .atomicList
        return .object(fields, others: nil)
    }()

    /// A built-in kind, by the merge keys of its strategic merge patches.
    static func builtIn(_ schema: StrategicMergePatch.Schema) -> FieldShape {
        var lists: [String: [String]] = [:]
        for (path, key) in schema.mergeKeys {
            lists[path] = key.isEmpty ? [] : path.hasSuffix("ontainers.ports") ? [key, "protocol"] : [key]
        }
        var fields = ["apiVersion", "kind", "type"].reduce(into: [:]) { $0[$1] = FieldShape.scalar("string") }
        for name in ["data", "binaryData", "stringData"] { fields[name] = .object([:], others: .scalar("")) }
        fields["metadata"] = .metadata
        for name in ["spec", "status"] { fields[name] = .known(lists: lists, path: name) }
        return .object(fields, others: .any)
    }

    /// A custom resource, by the schema of its definition.
    init(_ schema: StructuralSchema) {
        guard case .object(var fields, let others) = FieldShape(schema.root) else {
            self = .any
            return
        }
        fields["apiVersion"] = .scalar("string")
        fields["kind"] = .scalar("string")
        fields["metadata"] = .metadata
        self = .object(fields, others: others)
    }

    private init(_ node: StructuralSchema.Node) {
        if node.isIntOrString {
            self = .scalar("")
            return
        }
        switch node.type {
        case "object" where node.mapType == "atomic": self = .atomicMap
        case "object":
            let others = node.additionalProperties.map { FieldShape($0) } ?? (node.preservesUnknownFields ? .any : nil)
            self = .object(node.properties.mapValues { FieldShape($0) }, others: others)
        case "array":
            switch (node.listType, node.items) {
            case ("map", let items?): self = .list(keys: node.listMapKeys, element: FieldShape(items))
            case ("set", _): self = .set
            default: self = .atomicList
            }
        case nil: self = .any
        case let type?: self = .scalar(type)
        }
    }
}
