/// The rules of `metadata` that hold for every kind. Pure.
enum APIObjectMetadata {
    /// Sets what the server owns on a new object. `name` must already be there.
    static func prepareForCreate(_ object: inout APIValue, uid: String, at time: String, countsGenerations: Bool) {
        var metadata = object["metadata"] ?? [:]
        for owned in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields", "generation"] {
            metadata[owned] = nil
        }
        metadata["uid"] = .string(uid)
        metadata["creationTimestamp"] = .string(time)
        if countsGenerations { metadata["generation"] = 1 }
        object["metadata"] = metadata.withoutEmptyMembers(["labels", "annotations", "finalizers", "ownerReferences"])
    }

    /// Carries over what a client cannot change.
    static func prepareForUpdate(_ object: inout APIValue, old: APIValue) {
        var metadata = object["metadata"] ?? [:]
        let oldMetadata = old["metadata"] ?? [:]
        for kept in [
            "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
            "generation", "generateName", "resourceVersion",
        ] {
            metadata[kept] = oldMetadata[kept]
        }
        metadata["selfLink"] = nil
        metadata["managedFields"] = nil
        object["metadata"] = metadata.withoutEmptyMembers(["labels", "annotations", "finalizers", "ownerReferences"])
    }

    /// Counts a change of anything but metadata and, with a status subresource, status.
    static func bumpGeneration(_ object: inout APIValue, old: APIValue, hasStatusSubresource: Bool) {
        func essence(_ value: APIValue) -> APIValue {
            var value = value
            value["metadata"] = nil
            if hasStatusSubresource { value["status"] = nil }
            return value
        }
        guard essence(object) != essence(old) else { return }
        let generation = old[path: "metadata", "generation"]?.integerValue ?? 1
        object[path: "metadata", "generation"] = .integer(generation + 1)
    }

    /// What is wrong with the metadata; `old` is nil on create.
    static func validate(_ object: APIValue, old: APIValue?, namePolicy: NamePolicy) -> [APIStatusError.Cause] {
        let metadata = object["metadata"] ?? [:]
        var causes: [APIStatusError.Cause] = []
        let name = metadata["name"]?.stringValue ?? ""
        if name.isEmpty {
            causes.append(.required("metadata.name", "name or generateName is required"))
        } else if let rule = namePolicy.violatedRule(name) {
            causes.append(.invalid("metadata.name", .string(name), rule))
        }
        causes += validateLabels(metadata["labels"])
        for (key, value) in mapMembers(metadata["annotations"], "metadata.annotations", &causes) {
            if !APIName.isQualifiedName(key.lowercased()) {
                causes.append(.invalid("metadata.annotations", .string(key), "must be a qualified name"))
            }
            if value.stringValue == nil {
                causes.append(.typeInvalid("metadata.annotations.\(key)", value, expected: "string"))
            }
        }
        causes += validateFinalizers(metadata, old: old)
        causes += validateOwners(metadata["ownerReferences"])
        return causes
    }

    /// Which names a kind takes.
    enum NamePolicy: Sendable {
        case subdomain, label

        func violatedRule(_ name: String) -> String? {
            switch self {
            case .subdomain: APIName.isSubdomain(name) ? nil : APIName.subdomainRule
            case .label: APIName.isLabel(name) ? nil : APIName.labelRule
            }
        }
    }

    private static func mapMembers(
        _ value: APIValue?, _ field: String, _ causes: inout [APIStatusError.Cause]
    ) -> [(key: String, value: APIValue)] {
        guard let value, !value.isNull else { return [] }
        guard let members = value.objectValue else {
            causes.append(.typeInvalid(field, value, expected: "object"))
            return []
        }
        return members.sorted { $0.key < $1.key }
    }

    private static func validateLabels(_ labels: APIValue?) -> [APIStatusError.Cause] {
        var causes: [APIStatusError.Cause] = []
        for (key, value) in mapMembers(labels, "metadata.labels", &causes) {
            if !APIName.isQualifiedName(key) {
                causes.append(.invalid("metadata.labels", .string(key), "must be a qualified name"))
            }
            guard let text = value.stringValue else {
                causes.append(.typeInvalid("metadata.labels.\(key)", value, expected: "string"))
                continue
            }
            if !APIName.isLabelValue(text) {
                causes.append(
                    .invalid(
                        "metadata.labels", value,
                        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
                            + "'.', and must start and end with an alphanumeric character, at most 63 characters"))
            }
        }
        return causes
    }

    private static func validateFinalizers(_ metadata: APIValue, old: APIValue?) -> [APIStatusError.Cause] {
        var causes: [APIStatusError.Cause] = []
        let finalizers = metadata["finalizers"]?.arrayValue ?? []
        for (index, finalizer) in finalizers.enumerated()
        where finalizer.stringValue.map(APIName.isQualifiedName) != true {
            causes.append(.invalid("metadata.finalizers[\(index)]", finalizer, "must be a qualified name"))
        }
        if let old, old[path: "metadata", "deletionTimestamp"] != nil {
            let known = Set(old[path: "metadata", "finalizers"]?.arrayValue ?? [])
            let added = finalizers.filter { !known.contains($0) }
            if !added.isEmpty {
                causes.append(
                    .forbidden(
                        "metadata.finalizers",
                        "no new finalizers can be added if the object is being deleted, found new finalizers "
                            + APIValue.array(added).text))
            }
        }
        return causes
    }

    private static func validateOwners(_ owners: APIValue?) -> [APIStatusError.Cause] {
        guard let owners, !owners.isNull else { return [] }
        guard let references = owners.arrayValue else {
            return [.typeInvalid("metadata.ownerReferences", owners, expected: "array")]
        }
        var causes: [APIStatusError.Cause] = []
        for (index, reference) in references.enumerated() {
            for member in ["apiVersion", "kind", "name", "uid"] where (reference[member]?.stringValue ?? "").isEmpty {
                causes.append(.required("metadata.ownerReferences[\(index)].\(member)"))
            }
        }
        if references.filter({ $0["controller"]?.boolValue == true }).count > 1 {
            causes.append(
                .invalid("metadata.ownerReferences", owners, "Only one reference can have Controller set to true"))
        }
        return causes
    }
}

extension APIValue {
    /// The object without those of the named members that are null, `{}` or `[]`.
    func withoutEmptyMembers(_ names: [String]) -> APIValue {
        var copy = self
        for name in names where [.null, .object([:]), .array([])].contains(self[name]) { copy[name] = nil }
        return copy
    }
}
