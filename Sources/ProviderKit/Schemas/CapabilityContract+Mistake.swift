import JSONModel

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

extension CapabilityContract {
    /// What of one item goes against the capability's schema, in one line without secrets; nil: nothing does, or the
    /// capability has no schema.
    ///
    /// A request that is taken has items of the right types; lengths, ranges and forms are left to the provider,
    /// because one bad item must fail alone. This is how a provider finds such an item.
    public static func mistake(in item: Desired) -> String? {
        guard let schema = CapabilitySchemas.request(identifier, .ensure) else { return nil }
        guard let value = try? JSONValue(encoding: item) else { return "cannot be written as JSON" }
        let most = 3
        let found = schema.mistakes(in: ["items": [value]], limit: most + 1).map { mistake in
            let field = mistake.path.split(separator: "/").dropFirst(2).joined(separator: ".")
            return field.isEmpty ? mistake.message : "\(field): \(mistake.message)"
        }
        guard !found.isEmpty else { return nil }
        return found.prefix(most).joined(separator: "; ") + (found.count > most ? "; and more" : "")
    }
}
