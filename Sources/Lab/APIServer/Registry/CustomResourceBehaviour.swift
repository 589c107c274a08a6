/// Custom resources: everything comes from the structural schema of their CRD.
struct CustomResourceBehaviour: ResourceBehaviour {
    var schema: StructuralSchema
    var hasStatusSubresource: Bool

    func prepareForCreate(_ object: inout APIValue, at time: String) {
        if hasStatusSubresource { object["status"] = nil }
        schema.applyDefaults(&object)
    }

    func prepareForUpdate(_ object: inout APIValue, old: APIValue) { schema.applyDefaults(&object) }

    func validate(_ object: APIValue, old: APIValue?) -> [APIStatusError.Cause] {
        schema.validate(object, old: old)
    }

    func pruneUnknownFields(_ object: inout APIValue) -> [String] { schema.prune(&object) }

    var countsGenerations: Bool { true }
    var allowsUnconditionalUpdate: Bool { false }
}
