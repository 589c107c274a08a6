extension APIObjectWriter {
    /// Applies a configuration: creates the object, or makes the fields that the manager states what it states, and
    /// removes those that it has ceased to state.
    ///
    /// - Parameters:
    ///   - force: take fields over from their owners.
    ///   - uid: of a new object.
    /// - Returns: Also whether the object is new.
    func apply(
        _ configuration: APIValue, to name: String, subresource: String?, force: Bool, uid: String,
        in transaction: inout APIStoreTransaction
    ) throws(APIStatusError) -> (outcome: Outcome, isNew: Bool) {
        try checkConfiguration(configuration)
        let stored = transaction.object(key(name))
        if stored == nil, subresource != nil { throw .notFound(resource, name) }
        var live = try stored?.decoded() ?? [:]
        let managed = ManagedFields(live[path: "metadata", "managedFields"]) ?? ManagedFields()
        if stored != nil { live[path: "metadata", "managedFields"] = nil }
        let applied: (object: APIValue, managed: ManagedFields)
        do {
            applied = try ownership(subresource).apply(configuration, to: live, managed, force: force)
        } catch {
            throw .applyConflict(error)
        }
        guard let stored else { return (try create(applied, named: name, uid: uid, in: &transaction), true) }
        var object = applied.object
        try checkEnvelope(&object)
        guard object[path: "metadata", "name"]?.stringValue == name else {
            throw .invalid(
                resource, name,
                [.invalid("metadata.name", object[path: "metadata", "name"] ?? "", "field is immutable")])
        }
        let outcome = try replace(
            stored, with: object, subresource: subresource, managed: applied.managed, in: &transaction)
        return (outcome, false)
    }

    private func create(
        _ applied: (object: APIValue, managed: ManagedFields), named name: String, uid: String,
        in transaction: inout APIStoreTransaction
    ) throws(APIStatusError) -> Outcome {
        var object = applied.object
        guard let stated = object[path: "metadata", "name"]?.stringValue, !stated.isEmpty else {
            throw .badRequest("the name of the object (\(name) based on URL) was undeterminable: name must be provided")
        }
        guard stated == name else {
            throw .badRequest("the name of the object (\(stated)) does not match the name on the URL (\(name))")
        }
        // As the real server: a version is no condition where there is no object.
        object[path: "metadata", "resourceVersion"] = nil
        return try create(object, uid: uid, nameSuffix: "", managed: applied.managed, in: &transaction)
    }

    private func checkConfiguration(_ configuration: APIValue) throws(APIStatusError) {
        guard configuration.objectValue != nil else {
            throw .badRequest("error decoding YAML: the configuration is no object, but \(configuration.typeName)")
        }
        let apiVersion = configuration["apiVersion"]?.stringValue ?? ""
        let kind = configuration["kind"]?.stringValue ?? ""
        guard !apiVersion.isEmpty, !kind.isEmpty else {
            throw .badRequest("invalid object type: \(apiVersion), Kind=\(kind)")
        }
        guard configuration[path: "metadata", "managedFields"] == nil else {
            throw .badRequest("metadata.managedFields must be nil")
        }
        if let mismatch = resource.fieldShape.mismatch(configuration, path: "") {
            let group = resource.group.isEmpty ? "/\(resource.version)" : resource.apiVersion
            let object = "/\(configuration[path: "metadata", "name"]?.stringValue ?? "")"
            // The real server's code, though the fault is the client's.
            throw .init(
                code: 500, reason: "",
                message: "failed to create typed patch object (\(object); \(group), Kind=\(kind)): \(mismatch)")
        }
    }
}

extension FieldShape {
    /// The first place where a value is not of this shape, and how; nil if it is all through.
    func mismatch(_ value: APIValue, path: String) -> String? {
        if value.isNull { return nil }
        switch self {
        case .scalar(let type):
            let isRight: Bool =
                switch type {
                case "string": value.stringValue != nil
                case "boolean": value.boolValue != nil
                case "integer": value.integerValue != nil
                case "number": value.doubleValue != nil
                default: value.objectValue == nil && value.arrayValue == nil
                }
            return isRight || type.isEmpty ? nil : "\(path): expected \(type), got &{\(value.plainText)}"
        case .object, .atomicMap:
            guard let members = value.objectValue else {
                return "\(path): expected map, got &{\(value.plainText)}"
            }
            if case .atomicMap = self { return nil }
            for (name, member) in members.sorted(by: { $0.key < $1.key }) {
                let memberPath = "\(path).\(name)"
                guard let shape = self.member(name)?.shape else { return "\(memberPath): field not declared in schema" }
                if let found = shape.mismatch(member, path: memberPath) { return found }
            }
            return nil
        case .list, .set, .atomicList:
            guard let list = value.arrayValue else {
                return "\(path): expected list, got &{\(value.plainText)}"
            }
            guard listKeys != nil else { return nil }
            if elements(list) == nil { return "\(path): elements without a key of their own" }
            for (step, part) in elements(list) ?? [] {
                if let found = element.mismatch(part, path: path + step.text) { return found }
            }
            return nil
        case .any, .known: return nil
        }
    }
}

extension APIValue {
    fileprivate var plainText: String { stringValue ?? text }
}
