/// Who owns what after a write, and what an applied configuration makes of an object. Pure.
///
/// Source of the rules: kubernetes.io/docs/reference/using-api/server-side-apply; of their details:
/// sigs.k8s.io/structured-merge-diff, merge.Updater.
struct FieldManager: Sendable {
    let shape: FieldShape
    let apiVersion: String
    /// Whether `.status` is written through its subresource only.
    let hasStatusSubresource: Bool
    /// The subresource written to; empty for the object itself.
    let subresource: String
    /// Name of the writing manager.
    let name: String
    /// RFC 3339 time of the write.
    let time: String

    /// Who owns what was there before anybody applied.
    private static let beforeFirstApply = "before-first-apply"
    /// What the server keeps, and nobody owns.
    private static let serverMetadata = [
        "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion",
    ]

    /// Fields of a configuration that others own with other values.
    struct Conflict: Error, Sendable, Equatable {
        var fields: [(manager: ManagedFields.Manager, path: String)]

        static func == (left: Self, right: Self) -> Bool {
            left.fields.elementsEqual(right.fields) { $0.manager == $1.manager && $0.path == $1.path }
        }
    }

    private func manager(_ operation: ManagedFields.Manager.Operation, _ name: String) -> ManagedFields.Manager {
        .init(name: name, operation: operation, apiVersion: apiVersion, subresource: subresource)
    }

    /// After a create, replace or patch of any kind but apply: what changed is the writer's.
    func update(from old: APIValue, to new: APIValue, _ managed: ManagedFields) -> ManagedFields {
        update(from: old, to: new, managed, name)
    }

    private func update(
        from old: APIValue, to new: APIValue, _ managed: ManagedFields, _ name: String
    ) -> ManagedFields {
        var managed = managed
        let comparison = FieldComparison.of(old, new, shape)
        let taken = ownable(comparison.added.union(comparison.modified))
        withdraw(taken.union(ownable(comparison.removed)), from: &managed) { _ in true }
        if !taken.isEmpty {
            let own = manager(.update, name)
            managed.entries[own] = .init(
                fields: taken.union(managed.entries[own]?.fields ?? FieldSet()), time: time)
            managed.gatherOldUpdaters()
        }
        return managed
    }

    /// What an applied configuration makes of a live object (empty for a new one), and who owns what then.
    ///
    /// - Throws: ``Conflict`` unless `force`.
    func apply(
        _ configuration: APIValue, to live: APIValue, _ managed: ManagedFields, force: Bool
    ) throws(Conflict) -> (object: APIValue, managed: ManagedFields) {
        var managed = managed
        if managed.entries.isEmpty, live.objectValue?.isEmpty == false {
            managed = update(from: [:], to: live, managed, Self.beforeFirstApply)
        }
        let own = manager(.apply, name)
        let before = managed.entries[own]
        let stated = ownable(FieldSet.stated(by: configuration, shape))
        managed.entries[own] = stated.isEmpty ? nil : .init(fields: stated, time: before?.time ?? time)
        var object = FieldMerge.merge(configuration, into: live, shape)
        if let last = before?.fields, !last.isEmpty {
            var owned = managed.allFields.withNamedParents(shape)
            // Every object has it, whoever owns parts of it.
            owned.members.insert(.field("metadata"))
            object = FieldMerge.prune(object, shape, last: last.withNamedParents(shape), owned: owned) ?? [:]
        }
        let comparison = FieldComparison.of(live, object, shape)
        let taken = ownable(comparison.added.union(comparison.modified))
        if !force { try refuseConflicts(taken, managed, own) }
        withdraw(taken.union(ownable(comparison.removed)), from: &managed) { $0 != own }
        // Only what changes anything is news.
        if comparison != FieldComparison() || before?.fields != stated { managed.entries[own]?.time = time }
        return (object, managed)
    }

    private func refuseConflicts(
        _ taken: FieldSet, _ managed: ManagedFields, _ own: ManagedFields.Manager
    ) throws(Conflict) {
        var fields: [(ManagedFields.Manager, String)] = []
        for (manager, entry) in managed.entries.sorted(by: { $0.key.text < $1.key.text }) where manager != own {
            fields += entry.fields.intersection(taken).paths.map { (manager, $0) }
        }
        if !fields.isEmpty { throw Conflict(fields: fields) }
    }

    private func withdraw(
        _ fields: FieldSet, from managed: inout ManagedFields, _ isMeant: (ManagedFields.Manager) -> Bool
    ) {
        for (manager, entry) in managed.entries where isMeant(manager) {
            let rest = entry.fields.subtracting(fields)
            managed.entries[manager] = rest.isEmpty ? nil : .init(fields: rest, time: entry.time)
        }
    }

    /// The fields that a write through this path can own.
    private func ownable(_ set: FieldSet) -> FieldSet {
        let status = FieldPathElement.field("status")
        if subresource == "status" { return set.keeping(status) }
        var set = hasStatusSubresource ? set.removing(status) : set
        for name in ["apiVersion", "kind"] { set = set.removing(.field(name)) }
        let metadata = FieldPathElement.field("metadata")
        set.members.remove(metadata)
        if var parts = set.children[metadata] {
            for name in Self.serverMetadata { parts = parts.removing(.field(name)) }
            set.children[metadata] = parts.isEmpty ? nil : parts
        }
        return set
    }
}
