import AzureARM
import JSONModel
import ProviderKit

extension AzureNodePool {
    /// Removes what carries our names and belongs to no item that shall exist: ipConfigurations, public addresses of
    /// network interfaces, managed prefixes. No more configurations than `pruneLimit` of the plugin's settings; what is
    /// left for that reason is answered with the code `retry` and says so.
    ///
    /// The search is our resource group, and the scale sets that the items name.
    public func prune(
        keeping items: [PoolReference], namespaces: [String], _ context: CallContext
    ) async throws -> [ItemResult<Nothing>] {
        let (pools, interfaces) = try await allPools(besides: Set(items.map(\.pool)), context)
        var surveys: [PoolSurvey] = []
        for members in pools { surveys.append(try await survey(members, context)) }
        let listed = try await prefixes.list(context)
        let plan = PrunePlan(
            keeping: Set(items.map(\.id)), limit: client.configuration.pruneLimit, surveys: surveys,
            prefixes: listed, addresses: try await addresses.list(context), interfaces: interfaces)
        if !plan.removed.isEmpty || !plan.left.isEmpty {
            context.host.log(
                .notice, "pruning node pools",
                ["removed": plan.removed.joined(separator: ","), "left": "\(plan.left.count)"])
        }
        await memory.forgetLooks()
        var failures: [String: ProviderError] = [:]
        for survey in surveys {
            let here = survey.managedUIDs.intersection(plan.uids)
            guard !here.isEmpty else { continue }
            do {
                try await removeConfigurations(here, from: survey.pool, context)
            } catch {
                for uid in here { failures[uid] = ProviderError(error) }
            }
        }
        let orphans = await separately(plan.uids.subtracting(failures.keys).sorted().map(PruneTarget.init)) { target in
            try await prefixes.remove(Names.allManaged(target.id), listed: listed, context)
        }
        let loose = await separately(plan.addresses.map(PruneTarget.init)) { target in
            try await addresses.remove(target.id, context)
        }
        await memory.forgetLooks()
        for (id, error) in orphans.compactMapValues(\.failure) { failures[id] = error }
        for (name, error) in loose.compactMapValues(\.failure) { failures[PrunePlan.addressID(name)] = error }
        return plan.removed.map { id in failures[id].map { .failed(id, $0) } ?? .ok(id) }
            + plan.left.map { .failed($0, Self.left($0, limit: client.configuration.pruneLimit)) }
    }

    private static func left(_ item: String, limit: Int) -> ProviderError {
        ProviderError(
            .retry,
            "node pools: \(item) belongs to no configuration and was left: a call removes at most \(limit) "
                + "(config.pruneLimit)")
    }
}

/// Something to remove, by its id.
private struct PruneTarget: Identified, Sendable {
    let id: String
}

/// What a prune takes away and what it leaves, decided without IO.
struct PrunePlan: Sendable, Equatable {
    /// Configurations to remove, by UID.
    private(set) var uids: Set<String> = []
    /// Public addresses to remove that no configuration has any more, by name.
    private(set) var addresses: [String] = []
    /// Both, as they are reported.
    private(set) var removed: [String] = []
    /// What would be removed, too, were it not for the limit.
    private(set) var left: [String] = []

    /// How a public address is reported.
    static func addressID(_ name: String) -> String { "publicIPAddresses/\(name)" }

    /// - Parameters:
    ///   - kept: UIDs of all configurations that shall exist.
    ///   - interfaces: every network interface of our resource group.
    init(
        keeping kept: Set<String>, limit: Int, surveys: [PoolSurvey], prefixes: PrefixKeeper.Listing,
        addresses listed: AddressKeeper.Listing, interfaces: [JSONValue]
    ) {
        let kept = Set(kept.map { $0.lowercased() })
        // A name of our form without a UID is a person's, whatever it begins with.
        var found = Set(surveys.flatMap(\.managedUIDs)).filter {
            Names.isUUID($0) && !kept.contains($0.lowercased())
        }
        let lower = Set(found.map { $0.lowercased() })
        for (name, prefix) in prefixes {
            guard let uid = Names.uid(ofManaged: name), Names.isUUID(uid), !kept.contains(uid), !lower.contains(uid),
                !Self.isUsed(prefix.body, name, surveys)
            else { continue }
            found.insert(uid)
        }
        var loose: [String] = []
        let gateways = interfaces.filter { Tags.value(Tags.gatewayInterface, of: $0) != nil }
            .compactMap { $0["name"]?.text }
        for address in listed.values {
            guard let name = address.body["name"]?.text, Self.isLoose(address.body, name, gateways) else { continue }
            let prefix = address.body["properties.publicIPPrefix.id"]?.text.flatMap(ResourceID.init)?.name
            // That of a managed prefix goes with its prefix, or is wanted again with it.
            guard prefix.flatMap(Names.uid) == nil else { continue }
            loose.append(name)
        }
        let all =
            found.sorted().map { (id: $0, address: String?.none) }
            + loose.sorted().map { (id: Self.addressID($0), address: $0) }
        for (id, address) in all {
            guard removed.count < limit else {
                left.append(id)
                continue
            }
            removed.append(id)
            if let address { addresses.append(address) } else { uids.insert(id) }
        }
    }

    /// Whether somebody uses a prefix that its own configuration does not: a user may have brought it to another one, to
    /// keep its addresses.
    private static func isUsed(_ prefix: JSONValue, _ name: String, _ surveys: [PoolSurvey]) -> Bool {
        let users = (prefix["properties.publicIPAddresses"]?.elements ?? []).compactMap { $0["id"]?.text?.lowercased() }
        // Addresses of ours that are no longer attached do not count: they go with the prefix.
        let attached = surveys.flatMap(\.nodes).flatMap(\.configurations)
            .compactMap { $0["properties.publicIPAddress.id"]?.text?.lowercased() }
        if !Set(attached).isDisjoint(with: users) { return true }
        let path = "properties.publicIPAddressConfiguration.properties.publicIPPrefix.id"
        return surveys.flatMap(\.model).contains {
            $0[path]?.text.flatMap(ResourceID.init)?.name.lowercased() == name
        }
    }

    /// Whether an address is one that we made for a gateway's network interface, and that nothing has.
    private static func isLoose(_ body: JSONValue, _ name: String, _ gateways: [String]) -> Bool {
        guard body["properties.ipConfiguration"].map({ $0 == .null }) ?? true,
            let prefix = body["properties.publicIPPrefix.id"]?.text.flatMap(ResourceID.init)
        else { return false }
        return gateways.contains {
            name.lowercased() == Names.publicAddress(prefix: prefix.name, networkInterface: $0).lowercased()
        }
    }
}
