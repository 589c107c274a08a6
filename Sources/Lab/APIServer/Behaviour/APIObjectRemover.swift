/// Deletion as a pure step on a store transaction: preconditions, grace, finalizers and what happens to dependents.
struct APIObjectRemover: Sendable {
    /// The members of `metav1.DeleteOptions` that count here.
    struct Options: Sendable, Equatable {
        var gracePeriodSeconds: Int64?
        var uid: String?
        var resourceVersion: String?
        var propagation = Propagation.background

        enum Propagation: String, Sendable, CaseIterable {
            case background = "Background"
            case foreground = "Foreground"
            case orphan = "Orphan"
        }
    }

    /// What became of the object.
    enum Outcome: Sendable {
        case removed(APIStoredObject)
        /// It stays for now, with a deletionTimestamp.
        case terminating(APIStoredObject)
    }

    static let foregroundFinalizer = "foregroundDeletion"

    let resource: ResourceDescriptor
    let options: Options
    /// RFC 3339 times: of the request, and of the request plus a number of seconds.
    let time: String
    let timeAfter: @Sendable (_ seconds: Int64) -> String
    /// The kinds that are served, for the dependents.
    let registry: APIResourceRegistry

    func remove(
        _ key: APIObjectKey, in transaction: inout APIStoreTransaction
    ) throws(APIStatusError) -> Outcome {
        guard let stored = transaction.object(key) else { throw .notFound(resource, key.name) }
        try checkPreconditions(stored)
        let old = try stored.decoded()
        if options.propagation == .orphan { try orphanDependents(of: stored, in: &transaction) }
        var object = old
        let grace = resource.behaviour.gracePeriodSeconds(old, requested: options.gracePeriodSeconds) ?? 0
        markForDeletion(&object, old: old, grace: grace)
        if options.propagation == .foreground, !transaction.dependents(of: stored.uid).isEmpty {
            let finalizers = object[path: "metadata", "finalizers"]?.arrayValue ?? []
            if !finalizers.contains(.string(Self.foregroundFinalizer)) {
                object[path: "metadata", "finalizers"] = .array(finalizers + [.string(Self.foregroundFinalizer)])
            }
        }
        if resource.groupResource == APIResourceRegistry.namespaces {
            object[path: "status", "phase"] = "Terminating"
        }
        if APIObjectWriter.isReadyToGo(object, resource) {
            return .removed(transaction.remove(object, previous: stored))
        }
        if object == old { return .terminating(stored) }
        return .terminating(
            transaction.put(object, at: key, extraFields: resource.behaviour.selectableFields(object)))
    }

    private func checkPreconditions(_ stored: APIStoredObject) throws(APIStatusError) {
        if let uid = options.uid, uid != stored.uid {
            throw .conflict(
                resource, stored.key.name,
                "Precondition failed: UID in precondition: \(uid), UID in object meta: \(stored.uid)")
        }
        if let version = options.resourceVersion, version != String(stored.revision) {
            throw .conflict(
                resource, stored.key.name,
                "Precondition failed: ResourceVersion in precondition: \(version), "
                    + "ResourceVersion in object meta: \(stored.revision)")
        }
    }

    /// A second delete may shorten the grace of the first, never lengthen it.
    private func markForDeletion(_ object: inout APIValue, old: APIValue, grace: Int64) {
        let earlier = old[path: "metadata", "deletionGracePeriodSeconds"]?.integerValue
        if old[path: "metadata", "deletionTimestamp"] != nil, grace >= earlier ?? 0 { return }
        object[path: "metadata", "deletionTimestamp"] = .string(timeAfter(grace))
        object[path: "metadata", "deletionGracePeriodSeconds"] = .integer(grace)
        if old[path: "metadata", "deletionTimestamp"] == nil, resource.behaviour.countsGenerations {
            let generation = old[path: "metadata", "generation"]?.integerValue ?? 1
            object[path: "metadata", "generation"] = .integer(generation + 1)
        }
    }

    private func orphanDependents(
        of owner: APIStoredObject, in transaction: inout APIStoreTransaction
    ) throws(APIStatusError) {
        for dependent in transaction.dependents(of: owner.uid) {
            try Self.dropOwners([owner.uid], from: dependent, registry: registry, in: &transaction)
        }
    }

    /// Takes owner references out of an object.
    static func dropOwners(
        _ uids: Set<String>, from dependent: APIStoredObject, registry: APIResourceRegistry,
        in transaction: inout APIStoreTransaction
    ) throws(APIStatusError) {
        guard let resource = registry[dependent.key.kind] else { return }
        var object = try dependent.decoded()
        let left = (object[path: "metadata", "ownerReferences"]?.arrayValue ?? []).filter {
            !uids.contains($0["uid"]?.stringValue ?? "")
        }
        object[path: "metadata", "ownerReferences"] = left.isEmpty ? nil : .array(left)
        _ = transaction.put(
            object, at: dependent.key, extraFields: resource.behaviour.selectableFields(object))
    }
}
