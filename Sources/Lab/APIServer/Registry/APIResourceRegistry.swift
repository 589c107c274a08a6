/// The kinds that are served now: the built-in ones and those of the stored CRDs. A value; the server swaps it.
struct APIResourceRegistry: Sendable {
    private var descriptors: [GroupResource: ResourceDescriptor] = [:]

    init() {
        for descriptor in Self.builtIn { descriptors[descriptor.groupResource] = descriptor }
    }

    /// All kinds in a stable order.
    var all: [ResourceDescriptor] {
        descriptors.values.sorted { ($0.group, $0.plural) < ($1.group, $1.plural) }
    }

    /// The API groups except the legacy core group, each with its version.
    var groups: [(group: String, version: String)] {
        var seen: [String: String] = [:]
        for descriptor in descriptors.values where !descriptor.group.isEmpty {
            seen[descriptor.group] = descriptor.version
        }
        return seen.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    func descriptor(group: String, version: String, plural: String) -> ResourceDescriptor? {
        descriptors[GroupResource(group: group, resource: plural)].flatMap { $0.version == version ? $0 : nil }
    }

    subscript(key: GroupResource) -> ResourceDescriptor? { descriptors[key] }

    /// Serves the kind, or serves it anew after its CRD changed.
    mutating func register(_ descriptor: ResourceDescriptor) { descriptors[descriptor.groupResource] = descriptor }

    /// Stops serving a kind of a CRD. Built-in kinds stay.
    mutating func unregister(_ key: GroupResource) {
        if !Self.builtIn.contains(where: { $0.groupResource == key }) { descriptors[key] = nil }
    }

    static let namespaces = GroupResource(group: "", resource: "namespaces")
    static let pods = GroupResource(group: "", resource: "pods")
    static let definitions = GroupResource(group: "apiextensions.k8s.io", resource: "customresourcedefinitions")

    static let builtIn: [ResourceDescriptor] = [
        core("Pod", "pods", ["po"], namespaced: true, status: true, PodBehaviour(), merge: .pod, categories: ["all"]),
        core("Node", "nodes", ["no"], namespaced: false, status: true, NodeBehaviour(), merge: .node),
        core(
            "Namespace", "namespaces", ["ns"], namespaced: false, status: true, NamespaceBehaviour(),
            merge: .namespace),
        core("Secret", "secrets", [], namespaced: true, status: false, SecretBehaviour()),
        core("ConfigMap", "configmaps", ["cm"], namespaced: true, status: false, PlainBehaviour()),
        core("Event", "events", ["ev"], namespaced: true, status: false, EventBehaviour()),
        ResourceDescriptor(
            group: "events.k8s.io", version: "v1", kind: "Event", plural: "events", singular: "event",
            listKind: "EventList", shortNames: ["ev"], isNamespaced: true, hasStatusSubresource: false,
            behaviour: EventBehaviour(), mergeSchema: .common, view: EventGroupView()),
        ResourceDescriptor(
            group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases", singular: "lease",
            listKind: "LeaseList", isNamespaced: true, hasStatusSubresource: false, behaviour: LeaseBehaviour(),
            mergeSchema: .common, fieldShape: .builtIn(.common)),
        ResourceDescriptor(
            group: definitions.group, version: "v1", kind: "CustomResourceDefinition", plural: definitions.resource,
            singular: "customresourcedefinition", listKind: "CustomResourceDefinitionList",
            shortNames: ["crd", "crds"], categories: ["api-extensions"], isNamespaced: false,
            hasStatusSubresource: true, behaviour: DefinitionBehaviour(), mergeSchema: .common,
            fieldShape: .builtIn(.common)),
    ]

    private static func core(
        _ kind: String, _ plural: String, _ shortNames: [String], namespaced: Bool, status: Bool,
        _ behaviour: any ResourceBehaviour, merge: StrategicMergePatch.Schema = .common, categories: [String] = []
    ) -> ResourceDescriptor {
        ResourceDescriptor(
            group: "", version: "v1", kind: kind, plural: plural, singular: kind.lowercased(), listKind: kind + "List",
            shortNames: shortNames, categories: categories, isNamespaced: namespaced, hasStatusSubresource: status,
            behaviour: behaviour, mergeSchema: merge, fieldShape: .builtIn(merge))
    }
}
