extension HostConfiguration {
    /// Reads the section `trust`; without it, the policy is `digest`.
    static func readTrust(_ reader: SettingsReader) -> TrustPolicy {
        guard let section = reader.nested("trust") else { return TrustPolicy() }
        section.allowOnly(["policy", "keys", "owners"])
        var policy = TrustPolicy()
        if let text = section.string("policy") {
            if let level = TrustPolicy.Level(rawValue: text) {
                policy.level = level
            } else {
                let allowed = TrustPolicy.Level.allCases.map(\.rawValue).joined(separator: ", ")
                section.report("policy", "is \"\(text)\"; allowed are \(allowed)")
            }
        }
        policy.keys = readKeys(section)
        policy.owners = Set(
            (section.strings("owners") ?? []).compactMap { text in
                let owner = UInt32(text)
                if owner == nil { section.report("owners", "holds \"\(text)\"; allowed are numeric user ids") }
                return owner
            })
        if policy.level == .signed, policy.keys.isEmpty {
            section.report("keys", "is missing or has no usable key; the policy signed needs at least one")
        }
        return policy
    }

    private static func readKeys(_ section: SettingsReader) -> [TrustPolicy.Key] {
        var names = Set<String>()
        var keyIDs = Set<String>()
        return section.list("keys").compactMap { entry in
            entry.allowOnly(["id", "publicKey"])
            guard let name = entry.requiredString("id"), let text = entry.requiredString("publicKey") else {
                return nil
            }
            guard let key = PluginPublicKey(base64: text) else {
                entry.report(
                    "publicKey",
                    "is \"\(text.prefix(64))\"; allowed is base64 of \(PluginPublicKey.byteCount) bytes, "
                        + "as `egressctl plugins keygen` prints it")
                return nil
            }
            if !names.insert(name).inserted { entry.report("id", "is \"\(name)\" a second time") }
            if !keyIDs.insert(key.keyID).inserted { entry.report("publicKey", "is in the list a second time") }
            return TrustPolicy.Key(name: name, publicKey: key)
        }
    }
}
