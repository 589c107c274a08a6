import AzureARM
import JSONModel
import ProviderKit

extension AzureNodePool {
    /// Reads only. Items that the pool does not have are reported without `observed`. Without items: all that is provably
    /// ours in our resource group.
    public func status(
        _ items: [PoolReference], _ context: CallContext
    ) async throws -> [ItemResult<NodePool.Observed>] {
        guard !items.isEmpty else { return try await statusOfAll(context) }
        let pools = try await find(Set(items.map(\.pool)), context)
        let origins = try await Origins(self, context)
        var results: [String: ItemResult<NodePool.Observed>] = [:]
        for (selector, members) in Dictionary(grouping: items, by: \.pool) {
            do {
                guard let pool = try pools[selector]?.get() else { continue }
                let survey = try await survey(try await PoolMembers(pool, machines, context), context)
                for member in members {
                    results[member.id] = .ok(member.id, try await observe(member.id, survey, origins, context))
                }
            } catch {
                for member in members { results[member.id] = .failed(member.id, ProviderError(error)) }
            }
        }
        return items.map { results[$0.id] ?? .failed($0.id, ProviderError(.retry, "pool: was not looked up")) }
    }

    /// All that is provably ours: exactly what ``prune(keeping:namespaces:_:)`` would take if nobody wanted it, with what
    /// it has. Public addresses without a configuration are listed as prune names them.
    private func statusOfAll(_ context: CallContext) async throws -> [ItemResult<NodePool.Observed>] {
        let origins = try await Origins(self, context)
        let (pools, interfaces) = try await allPools(besides: [], context)
        var surveys: [PoolSurvey] = []
        for members in pools { surveys.append(try await survey(members, context)) }
        let all = PrunePlan(
            keeping: [], limit: .max, surveys: surveys, prefixes: origins.prefixes, addresses: origins.addresses,
            interfaces: interfaces)
        var results: [ItemResult<NodePool.Observed>] = []
        for id in all.removed {
            guard all.uids.contains(id) else {
                results.append(.ok(id))
                continue
            }
            guard let survey = surveys.first(where: { $0.managedUIDs.contains(id) }) else {
                let block = prefixes.find(Names.managed(id), among: origins.prefixes)?.block
                let blockV6 = prefixes.find(Names.managedIPv6(id), among: origins.prefixes)?.block
                results.append(.ok(id, .init(egressPrefix: block ?? "", egressPrefixV6: blockV6, nodes: [])))
                continue
            }
            results.append(.ok(id, try await observe(id, survey, origins, context)))
        }
        return results
    }

    /// A configuration as it is found; nil if nothing of it is there.
    private func observe(
        _ uid: String, _ survey: PoolSurvey, _ origins: Origins, _ context: CallContext
    ) async throws -> NodePool.Observed? {
        let nodes = survey.nodes(for: uid)
        func block(_ name: String, private joined: [String]) async throws -> String? {
            let known = prefixes.find(name, among: origins.prefixes)
            guard let reference = origins.prefixReference(of: name, survey) else {
                return joined.isEmpty ? known?.block : joined.joined(separator: ",")
            }
            guard let id = reference else { return known?.block ?? "" }
            if id == prefixes.id(id.name), let own = prefixes.find(id.name, among: origins.prefixes) {
                return own.block
            }
            let found = try await client.get(id, version: APIVersion.network, deadline: context.deadline)
            return found.flatMap { EgressPrefix($0.body, id) }?.block ?? ""
        }
        let prefix = try await block(Names.managed(uid), private: nodes.map(\.secondaryIP))
        let prefixV6 = try await block(Names.managedIPv6(uid), private: nodes.compactMap(\.secondaryIPv6))
        guard !nodes.isEmpty || prefix != nil || prefixV6 != nil else { return nil }
        return NodePool.Observed(egressPrefix: prefix ?? "", egressPrefixV6: prefixV6, nodes: nodes)
    }
}

/// Where public addresses come from.
struct Origins: Sendable {
    let prefixes: PrefixKeeper.Listing
    let addresses: AddressKeeper.Listing

    /// Two calls.
    init(_ pool: AzureNodePool, _ context: CallContext) async throws {
        prefixes = try await pool.prefixes.list(context)
        addresses = try await pool.addresses.list(context)
    }

    /// The prefix that an ipConfiguration draws its public addresses from: nil if it has none, or is not there; an inner
    /// nil if it cannot be told.
    func prefixReference(of name: String, _ survey: PoolSurvey) -> ResourceID?? {
        func child(_ children: [JSONValue]) -> JSONValue? {
            children.first { $0["name"]?.text?.lowercased() == name.lowercased() }
        }
        let drawn = "properties.publicIPAddressConfiguration.properties.publicIPPrefix.id"
        if let id = child(survey.model)?[drawn]?.text { return .some(ResourceID(id)) }
        for node in survey.nodes {
            guard let id = child(node.configurations)?["properties.publicIPAddress.id"]?.text else { continue }
            let address = ResourceID(id).flatMap { addresses[$0.name.lowercased()] }
            return .some(address?.body["properties.publicIPPrefix.id"]?.text.flatMap(ResourceID.init))
        }
        return nil
    }
}
