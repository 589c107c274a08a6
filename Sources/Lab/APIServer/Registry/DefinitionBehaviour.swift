/// CustomResourceDefinition (apiextensions.k8s.io/v1): an accepted one is Established in the same write, so that its
/// kind is served as soon as the create returns.
struct DefinitionBehaviour: ResourceBehaviour {
    /// Keeps a definition until its objects are gone.
    static let cleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io"

    func prepareForCreate(_ object: inout APIValue, at time: String) {
        object["status"] = nil
        fillIn(&object)
        let spec = object["spec"] ?? [:]
        let storage = (spec["versions"]?.arrayValue ?? []).first { $0["storage"]?.boolValue == true }
        object["status"] = [
            "acceptedNames": spec["names"] ?? [:],
            "storedVersions": APIValue([storage?["name"]?.stringValue ?? ""]),
            "conditions": [
                Self.condition("NamesAccepted", "NoConflicts", "no conflicts found", time),
                Self.condition("Established", "InitialNamesAccepted", "the initial names have been accepted", time),
            ],
        ]
        let finalizers = object[path: "metadata", "finalizers"]?.arrayValue ?? []
        if !finalizers.contains(.string(Self.cleanupFinalizer)) {
            object[path: "metadata", "finalizers"] = .array(finalizers + [.string(Self.cleanupFinalizer)])
        }
    }

    func prepareForUpdate(_ object: inout APIValue, old: APIValue) {
        fillIn(&object)
        object[path: "status", "acceptedNames"] = object[path: "spec", "names"]
    }

    private static func condition(_ type: String, _ reason: String, _ message: String, _ time: String) -> APIValue {
        [
            "type": .string(type), "status": "True", "reason": .string(reason), "message": .string(message),
            "lastTransitionTime": .string(time),
        ]
    }

    private func fillIn(_ object: inout APIValue) {
        guard let kind = object[path: "spec", "names", "kind"]?.stringValue else { return }
        if object[path: "spec", "names", "listKind"] == nil {
            object[path: "spec", "names", "listKind"] = .string(kind + "List")
        }
        if object[path: "spec", "names", "singular"] == nil {
            object[path: "spec", "names", "singular"] = .string(kind.lowercased())
        }
        if object[path: "spec", "conversion"] == nil { object[path: "spec", "conversion"] = ["strategy": "None"] }
    }

    func validate(_ object: APIValue, old: APIValue?) -> [APIStatusError.Cause] {
        var causes = CustomResourceDefinition.parse(object).causes
        if let old {
            for path in [
                ["spec", "group"], ["spec", "scope"], ["spec", "names", "plural"], ["spec", "names", "kind"],
            ]
            where object.value(at: path[...]) != old.value(at: path[...]) {
                causes.append(
                    .invalid(
                        path.joined(separator: "."), object.value(at: path[...]) ?? .null, "field is immutable"))
            }
        }
        return causes
    }

    var countsGenerations: Bool { true }
    var allowsUnconditionalUpdate: Bool { false }
}

/// Reads a CRD object into the descriptor of the kind it defines.
enum CustomResourceDefinition {
    struct Outcome: Sendable {
        /// The kind to serve; nil when there are causes.
        var descriptor: ResourceDescriptor?
        var causes: [APIStatusError.Cause] = []
        /// For the `Warning` header of the answer.
        var warnings: [String] = []
    }

    static func parse(_ object: APIValue) -> Outcome {
        var outcome = Outcome()
        let spec = object["spec"] ?? [:]
        let names = spec["names"] ?? [:]
        func text(_ value: APIValue?, _ field: String) -> String {
            let text = value?.stringValue ?? ""
            if text.isEmpty { outcome.causes.append(.required(field)) }
            return text
        }
        let group = text(spec["group"], "spec.group")
        let plural = text(names["plural"], "spec.names.plural")
        let kind = text(names["kind"], "spec.names.kind")
        let scope = text(spec["scope"], "spec.scope")
        if !scope.isEmpty, !["Namespaced", "Cluster"].contains(scope) {
            outcome.causes.append(
                .notSupported("spec.scope", .string(scope), supported: ["Cluster", "Namespaced"]))
        }
        let name = object[path: "metadata", "name"]?.stringValue ?? ""
        if !group.isEmpty, !plural.isEmpty, name != "\(plural).\(group)" {
            outcome.causes.append(
                .invalid("metadata.name", .string(name), "must be spec.names.plural+\".\"+spec.group"))
        }
        if let strategy = spec[path: "conversion", "strategy"]?.stringValue, strategy != "None" {
            outcome.causes.append(
                .notSupported("spec.conversion.strategy", .string(strategy), supported: ["None"]))
        }
        guard let version = servedVersion(spec, &outcome.causes) else { return outcome }
        let schemaPath = "spec.versions[0].schema.openAPIV3Schema"
        guard let schemaValue = version[path: "schema", "openAPIV3Schema"] else {
            outcome.causes.append(.required(schemaPath, "schemas are required"))
            return outcome
        }
        let (schema, issues) = StructuralSchema.parse(schemaValue, path: schemaPath)
        outcome.causes += issues.causes
        guard outcome.causes.isEmpty else { return outcome }
        let hasStatus = version[path: "subresources", "status"] != nil
        var descriptor = ResourceDescriptor(
            group: group, version: version["name"]?.stringValue ?? "", kind: kind, plural: plural,
            singular: names["singular"]?.stringValue ?? kind.lowercased(),
            listKind: names["listKind"]?.stringValue ?? kind + "List",
            shortNames: (names["shortNames"]?.arrayValue ?? []).compactMap(\.stringValue),
            categories: (names["categories"]?.arrayValue ?? []).compactMap(\.stringValue),
            isNamespaced: scope == "Namespaced", hasStatusSubresource: hasStatus,
            behaviour: CustomResourceBehaviour(schema: schema, hasStatusSubresource: hasStatus))
        descriptor.printerColumns = columns(version)
        descriptor.fieldShape = FieldShape(schema)
        descriptor.openAPISchema = schemaValue
        outcome.descriptor = descriptor
        return outcome
    }

    /// This server stores and serves one version per kind; several served ones would need conversion on read.
    private static func servedVersion(_ spec: APIValue, _ causes: inout [APIStatusError.Cause]) -> APIValue? {
        let versions = spec["versions"]?.arrayValue ?? []
        let served = versions.filter { $0["served"]?.boolValue == true }
        let stored = versions.filter { $0["storage"]?.boolValue == true }
        guard stored.count == 1, let storage = stored.first else {
            causes.append(
                .invalid(
                    "spec.versions", .integer(Int64(stored.count)),
                    "must have exactly one version marked as storage version"))
            return nil
        }
        guard served.count == 1, served.first?["name"] == storage["name"] else {
            causes.append(
                .invalid(
                    "spec.versions", APIValue(served.compactMap { $0["name"]?.stringValue }),
                    "this server serves exactly one version per kind, the storage version"))
            return nil
        }
        return storage
    }

    private static func columns(_ version: APIValue) -> [PrinterColumn] {
        guard let columns = version["additionalPrinterColumns"]?.arrayValue else {
            return [PrinterColumn(name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp")]
        }
        return columns.map {
            PrinterColumn(
                name: $0["name"]?.stringValue ?? "", type: $0["type"]?.stringValue ?? "string",
                format: $0["format"]?.stringValue ?? "", description: $0["description"]?.stringValue ?? "",
                priority: $0["priority"]?.integerValue ?? 0, jsonPath: $0["jsonPath"]?.stringValue ?? "")
        }
    }
}
