/// One kind of object the server serves: its names, its rules and its columns.
struct ResourceDescriptor: Sendable {
    var group: String
    var version: String
    var kind: String
    var plural: String
    var singular: String
    var listKind: String
    var shortNames: [String] = []
    var categories: [String] = []
    var isNamespaced: Bool
    /// Whether `.status` is written through the `/status` subresource only.
    var hasStatusSubresource: Bool
    /// The rules of the kind for create, update and delete.
    var behaviour: any ResourceBehaviour
    /// How strategic merge patches merge lists; nil for custom resources, which have none.
    var mergeSchema: StrategicMergePatch.Schema?
    /// How its objects merge in server-side apply.
    var fieldShape: FieldShape = .any
    /// Columns from a CRD; nil for the built-in kinds, which have their own.
    var printerColumns: [PrinterColumn]?
    /// The OpenAPI schema from a CRD, as written.
    var openAPISchema: APIValue?
    /// Set where the objects are those of another kind, shown differently.
    var view: (any ResourceView)?

    /// What a new object is compared with to say what its creator owns: the parts that every object of the kind has.
    var unborn: APIValue {
        openAPISchema == nil ? ["metadata": [:], "spec": [:], "status": [:]] : ["metadata": [:]]
    }

    /// `v1` or `group/version`.
    var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }

    /// `pods` or `leases.coordination.k8s.io`.
    var qualifiedPlural: String { group.isEmpty ? plural : "\(plural).\(group)" }

    var groupResource: GroupResource { GroupResource(group: group, resource: plural) }

    /// Where the objects are in the store.
    var storage: GroupResource { view?.storage ?? groupResource }

    /// The subresources, e.g. `status`.
    var subresources: [String] {
        var names = hasStatusSubresource ? ["status"] : []
        if behaviour is PodBehaviour { names.append("binding") }
        if behaviour is NamespaceBehaviour { names.append("finalize") }
        return names
    }
}

/// Names a kind independent of its version; objects are stored under it.
struct GroupResource: Hashable, Sendable {
    var group: String
    var resource: String
}

/// One additional printer column of a CRD.
struct PrinterColumn: Sendable, Equatable {
    var name: String
    var type: String
    var format = ""
    var description = ""
    /// 0 is always shown, more only in wide output.
    var priority: Int64 = 0
    var jsonPath: String
}

/// The rules of one kind. Pure: objects in, objects or causes out; storing is the caller's.
protocol ResourceBehaviour: Sendable {
    /// Defaults and resets on a new object, before validation.
    func prepareForCreate(_ object: inout APIValue, at time: String)
    /// Defaults and resets on a changed object, before validation. Metadata and status are settled by the caller.
    func prepareForUpdate(_ object: inout APIValue, old: APIValue)
    /// Why the kind's decoder cannot read the object as it came, if it cannot; the request is then a bad one.
    func decodingFailure(_ object: APIValue) -> String?
    /// What is wrong with the object; `old` is nil on create.
    func validate(_ object: APIValue, old: APIValue?) -> [APIStatusError.Cause]
    /// Members that are in the object but not in its kind, removed from it; their dotted paths.
    func pruneUnknownFields(_ object: inout APIValue) -> [String]
    /// The fields offered to field selectors beyond metadata.name and metadata.namespace, with this object's values.
    func selectableFields(_ object: APIValue) -> [String: String]
    /// Seconds that an object asked to go may stay; nil when the kind knows no such grace.
    func gracePeriodSeconds(_ object: APIValue, requested: Int64?) -> Int64?
    /// Whether `metadata.generation` counts changes of the object.
    var countsGenerations: Bool { get }
    /// Whether a PUT without resourceVersion is taken.
    var allowsUnconditionalUpdate: Bool { get }
}

extension ResourceBehaviour {
    func prepareForCreate(_ object: inout APIValue, at time: String) {}
    func prepareForUpdate(_ object: inout APIValue, old: APIValue) {}
    func decodingFailure(_ object: APIValue) -> String? { nil }
    func validate(_ object: APIValue, old: APIValue?) -> [APIStatusError.Cause] { [] }
    func pruneUnknownFields(_ object: inout APIValue) -> [String] { [] }
    func selectableFields(_ object: APIValue) -> [String: String] { [:] }
    func gracePeriodSeconds(_ object: APIValue, requested: Int64?) -> Int64? { nil }
    var countsGenerations: Bool { false }
    var allowsUnconditionalUpdate: Bool { true }

    /// The names of the fields that selectors of this kind may use.
    var supportedFields: Set<String> {
        Set(selectableFields([:]).keys).union(["metadata.name", "metadata.namespace"])
    }
}
