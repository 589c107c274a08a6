extension HostConfiguration {
    /// Reads `manager.broughtPrefixes`; without it there is no list, and every prefix may be brought.
    static func readPrefixes(_ manager: SettingsReader) -> PrefixAllowList? {
        guard let section = manager.nested("broughtPrefixes") else { return nil }
        section.allowOnly(["ownResourceGroup", "allow"])
        var list = PrefixAllowList(ownResourceGroup: section.string("ownResourceGroup") ?? "")
        for entry in section.list("allow") {
            entry.allowOnly(["namespace", "resourceGroup", "prefixID"])
            guard let namespace = entry.requiredString("namespace") else { continue }
            switch (entry.string("resourceGroup"), entry.string("prefixID")) {
            case (let group?, nil) where !group.isEmpty:
                list.entries.append(.init(namespace: namespace, scope: .resourceGroup(group)))
            case (nil, let id?) where PrefixName(id) != nil:
                list.entries.append(.init(namespace: namespace, scope: .prefix(id)))
            case (nil, let id?):
                entry.report("prefixID", "is \"\(id)\"; allowed is \(PrefixName.form)")
            default:
                entry.report("resourceGroup", "or prefixID must be set, exactly one of them")
            }
        }
        return list
    }
}
