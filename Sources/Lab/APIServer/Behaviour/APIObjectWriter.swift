/// Create, update and patch as pure steps on a store transaction; the callers hold the store.
struct APIObjectWriter: Sendable {
    let resource: ResourceDescriptor
    /// Empty for cluster-scoped kinds.
    let namespace: String
    /// RFC 3339 time of the request.
    let time: String
    let fieldValidation: FieldValidation
    /// Who owns the fields that are written.
    var fieldManager = "kube-controller-manager"

    /// What to do about members the kind does not have.
    enum FieldValidation: String, Sendable, CaseIterable {
        case ignore = "Ignore"
        case warn = "Warn"
        case strict = "Strict"
    }

    /// The written object and remarks for the `Warning` header.
    struct Outcome: Sendable {
        var object: APIStoredObject
        var warnings: [String] = []
        /// False when the write removed the object, because its last finalizer went.
        var exists = true
    }

    func key(_ name: String) -> APIObjectKey {
        APIObjectKey(kind: resource.groupResource, namespace: namespace, name: name)
    }

    /// Stores a new object. `uid` and `nameSuffix` are used if needed.
    ///
    /// - Parameter managed: who owns its fields; nil: the writer does.
    func create(
        _ body: APIValue, uid: String, nameSuffix: String, managed: ManagedFields? = nil,
        in transaction: inout APIStoreTransaction
    ) throws(APIStatusError) -> Outcome {
        var object = body
        try checkEnvelope(&object)
        if let version = object[path: "metadata", "resourceVersion"]?.stringValue, !version.isEmpty, version != "0" {
            throw .badRequest("metadata.resourceVersion should not be set on objects to be created")
        }
        object[path: "metadata", "resourceVersion"] = nil
        let warnings = try removeUnknownFields(&object)
        if (object[path: "metadata", "name"]?.stringValue ?? "").isEmpty,
            let prefix = object[path: "metadata", "generateName"]?.stringValue, !prefix.isEmpty
        {
            object[path: "metadata", "name"] = .string(String(prefix.prefix(58)) + nameSuffix)
        }
        let name = object[path: "metadata", "name"]?.stringValue ?? ""
        APIObjectMetadata.prepareForCreate(
            &object, uid: uid, at: time, countsGenerations: resource.behaviour.countsGenerations)
        resource.behaviour.prepareForCreate(&object, at: time)
        try validate(object, old: nil, name: name)
        try checkNamespace(for: name, in: transaction)
        guard transaction.object(key(name)) == nil else { throw .alreadyExists(resource, name) }
        let stated = ManagedFields(body[path: "metadata", "managedFields"]) ?? ManagedFields()
        let owners = managed ?? ownership(nil).update(from: resource.unborn, to: object, stated)
        object[path: "metadata", "managedFields"] = owners.value
        return Outcome(object: put(object, name, in: &transaction), warnings: warnings)
    }

    /// Replaces an object, or its status.
    func update(
        _ name: String, with body: APIValue, subresource: String?, in transaction: inout APIStoreTransaction
    ) throws(APIStatusError) -> Outcome {
        var object = body
        try checkEnvelope(&object)
        let bodyName = object[path: "metadata", "name"]?.stringValue ?? ""
        guard bodyName == name else {
            throw .badRequest("the name of the object (\(bodyName)) does not match the name on the URL (\(name))")
        }
        guard let stored = transaction.object(key(name)) else { throw .notFound(resource, name) }
        let version = object[path: "metadata", "resourceVersion"]?.stringValue ?? ""
        if version.isEmpty, !resource.behaviour.allowsUnconditionalUpdate {
            throw .invalid(
                resource, name, [.invalid("metadata.resourceVersion", 0, "must be specified for an update")])
        }
        return try replace(stored, with: object, subresource: subresource, in: &transaction)
    }

    /// Applies a patch to the stored object.
    func patch(
        _ name: String, subresource: String?, in transaction: inout APIStoreTransaction,
        apply: (APIValue) throws(APIStatusError) -> APIValue
    ) throws(APIStatusError) -> Outcome {
        guard let stored = transaction.object(key(name)) else { throw .notFound(resource, name) }
        var object = try apply(try stored.decoded())
        try checkEnvelope(&object)
        let newName = object[path: "metadata", "name"]?.stringValue
        guard newName == name else {
            throw .invalid(
                resource, name, [.invalid("metadata.name", .string(newName ?? ""), "field is immutable")])
        }
        return try replace(stored, with: object, subresource: subresource, in: &transaction)
    }

    /// - Parameter managed: who owns the fields from now on; nil: the writer owns what it changes.
    func replace(
        _ stored: APIStoredObject, with body: APIValue, subresource: String?, managed: ManagedFields? = nil,
        in transaction: inout APIStoreTransaction
    ) throws(APIStatusError) -> Outcome {
        let name = stored.key.name
        let old = try stored.decoded()
        if let uid = body[path: "metadata", "uid"]?.stringValue, !uid.isEmpty, uid != stored.uid {
            throw .conflict(
                resource, name, "Precondition failed: UID in precondition: \(uid), UID in object meta: \(stored.uid)")
        }
        let version = body[path: "metadata", "resourceVersion"]?.stringValue ?? ""
        if !version.isEmpty, version != "0", version != String(stored.revision) {
            throw .modified(resource, name)
        }
        var object = body
        let warnings = try removeUnknownFields(&object)
        settleStatus(&object, old: old, subresource: subresource)
        APIObjectMetadata.prepareForUpdate(&object, old: old)
        if subresource == nil { resource.behaviour.prepareForUpdate(&object, old: old) }
        try validate(object, old: old, name: name)
        if resource.behaviour.countsGenerations {
            APIObjectMetadata.bumpGeneration(&object, old: old, hasStatusSubresource: resource.hasStatusSubresource)
        }
        let owners = managed ?? updatedOwners(body, object, old: old, subresource)
        object[path: "metadata", "managedFields"] = owners.value
        if object == old { return Outcome(object: stored, warnings: warnings) }
        if Self.isReadyToGo(object, resource) {
            return Outcome(object: transaction.remove(object, previous: stored), warnings: warnings, exists: false)
        }
        return Outcome(object: put(object, name, in: &transaction), warnings: warnings)
    }

    func ownership(_ subresource: String?) -> FieldManager {
        FieldManager(
            shape: resource.fieldShape, apiVersion: resource.apiVersion,
            hasStatusSubresource: resource.hasStatusSubresource, subresource: subresource ?? "", name: fieldManager,
            time: time)
    }

    /// Owners can be stated with the object itself; a list of one empty entry takes all of them away.
    private func updatedOwners(
        _ body: APIValue, _ object: APIValue, old: APIValue, _ subresource: String?
    ) -> ManagedFields {
        let requested = body[path: "metadata", "managedFields"]
        var managed = ManagedFields(old[path: "metadata", "managedFields"]) ?? ManagedFields()
        if subresource == nil, requested == [[:]] {
            managed = ManagedFields()
        } else if subresource == nil, let stated = ManagedFields(requested), !stated.entries.isEmpty {
            managed = stated
        }
        return ownership(subresource).update(from: old, to: object, managed)
    }

    /// Each of spec and status is written through its own path only.
    private func settleStatus(_ object: inout APIValue, old: APIValue, subresource: String?) {
        switch subresource {
        case "status":
            let status = object["status"]
            object = old
            object["status"] = status
        case "finalize":
            let finalizers = object[path: "spec", "finalizers"]
            object = old
            object[path: "spec", "finalizers"] = finalizers
        default:
            if resource.hasStatusSubresource { object["status"] = old["status"] }
        }
    }

    /// An object on its way out goes with its last finalizer; a pod on a node waits for its kubelet besides.
    static func isReadyToGo(_ object: APIValue, _ resource: ResourceDescriptor) -> Bool {
        let metadata = object["metadata"] ?? [:]
        guard metadata["deletionTimestamp"] != nil, (metadata["finalizers"]?.arrayValue ?? []).isEmpty else {
            return false
        }
        if resource.groupResource == APIResourceRegistry.namespaces {
            return (object[path: "spec", "finalizers"]?.arrayValue ?? []).isEmpty
        }
        return (metadata["deletionGracePeriodSeconds"]?.integerValue ?? 0) == 0
    }

    private func put(
        _ object: APIValue, _ name: String, in transaction: inout APIStoreTransaction
    ) -> APIStoredObject {
        transaction.put(object, at: key(name), extraFields: resource.behaviour.selectableFields(object))
    }

    /// The body must be an object of this kind and, if it says so, of this namespace.
    func checkEnvelope(_ object: inout APIValue) throws(APIStatusError) {
        guard object.objectValue != nil else { throw .badRequest("the body is not a JSON object") }
        let apiVersion = object["apiVersion"]?.stringValue ?? ""
        let kind = object["kind"]?.stringValue ?? ""
        if !apiVersion.isEmpty || !kind.isEmpty, apiVersion != resource.apiVersion || kind != resource.kind {
            throw .badRequest(
                "the object provided is \(apiVersion) \(kind), expected \(resource.apiVersion) \(resource.kind)")
        }
        object["apiVersion"] = .string(resource.apiVersion)
        object["kind"] = .string(resource.kind)
        if let metadata = object["metadata"], metadata.objectValue == nil {
            throw .badRequest("metadata must be an object, not \(metadata.typeName)")
        }
        if let failure = resource.behaviour.decodingFailure(object) {
            throw .badRequest(
                "\(resource.kind) in version \"\(resource.version)\" cannot be handled as a \(resource.kind): \(failure)"
            )
        }
        let stated = object[path: "metadata", "namespace"]?.stringValue ?? ""
        guard stated.isEmpty || stated == namespace else {
            throw .badRequest(
                "the namespace of the provided object does not match the namespace sent on the request")
        }
        if namespace.isEmpty {
            object[path: "metadata", "namespace"] = nil
        } else {
            object[path: "metadata", "namespace"] = .string(namespace)
        }
    }

    private func removeUnknownFields(_ object: inout APIValue) throws(APIStatusError) -> [String] {
        let unknown = resource.behaviour.pruneUnknownFields(&object)
        let texts = unknown.map { "unknown field \"\($0)\"" }
        switch fieldValidation {
        case .ignore: return []
        case .warn: return texts
        case .strict:
            if texts.isEmpty { return [] }
            throw .badRequest(
                "\(resource.kind) in version \"\(resource.version)\" cannot be handled as a \(resource.kind): "
                    + "strict decoding error: \(texts.joined(separator: ", "))")
        }
    }

    private func validate(_ object: APIValue, old: APIValue?, name: String) throws(APIStatusError) {
        let policy: APIObjectMetadata.NamePolicy = resource.behaviour is NamespaceBehaviour ? .label : .subdomain
        let causes =
            APIObjectMetadata.validate(object, old: old, namePolicy: policy)
            + resource.behaviour.validate(object, old: old)
        guard causes.isEmpty else { throw .invalid(resource, name, causes) }
    }

    private func checkNamespace(for name: String, in transaction: APIStoreTransaction) throws(APIStatusError) {
        guard resource.isNamespaced else { return }
        let key = APIObjectKey(kind: APIResourceRegistry.namespaces, namespace: "", name: namespace)
        guard let holder = transaction.object(key) else {
            throw .init(
                code: 404, reason: "NotFound", message: "namespaces \"\(namespace)\" not found", name: namespace,
                kind: "namespaces")
        }
        guard holder.isTerminating else { return }
        var error = APIStatusError.forbidden(
            resource, name, "unable to create new content in namespace \(namespace) because it is being terminated")
        error.causes = [
            .init(
                reason: "NamespaceTerminating", message: "namespace \(namespace) is being terminated",
                field: "metadata.namespace")
        ]
        throw error
    }
}
