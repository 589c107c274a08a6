import Host

/// The name of a new plugin: of its package, product, module and descriptor.
enum PluginName {
    /// Longest name in a descriptor (provider-descriptor.schema.json).
    static let maximumLength = 64
    /// Words of the language, modules that a plugin imports, and types that its source uses: a module of such a name
    /// would hide them.
    private static let taken: Set<String> = [
        "Any", "Data", "Dispatch", "Foundation", "FoundationEssentials", "Glibc", "JSONModel", "LoadBalancer", "Main",
        "Mutex", "NodePool", "PackageDescription", "PodNetwork", "Protocol", "Provider", "ProviderAPI", "ProviderKit",
        "ProviderSDK", "Self", "Swift", "Synchronization", "Tunnel", "Type",
    ]

    /// - Throws: ``HostError`` that says what is allowed.
    static func check(_ name: String, _ sdk: PluginSDK) throws {
        let isWord = name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        guard isWord, name.first?.isUppercase == true, name.count <= maximumLength else {
            throw HostError(
                .configuration,
                "\"\(name)\" cannot be a plugin's name; allowed are an upper-case letter, then letters, digits and "
                    + "underscores (ASCII), at most \(maximumLength)")
        }
        guard !taken.contains(name), !sdk.declares(name) else {
            throw HostError(
                .configuration, "\"\(name)\" is a name of egress-gateway's own (module, type or plugin)")
        }
    }
}
