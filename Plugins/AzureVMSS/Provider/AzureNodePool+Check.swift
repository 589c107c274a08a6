import AzureARM
import JSONModel
import ProviderKit

extension AzureNodePool {
    /// Compares, and writes nothing. The cost does not grow with the number of items: for each scale set one list of its
    /// instances' network interfaces, for all machines together one list of theirs. What cannot take addresses from
    /// running gateways is read less often (``PoolMemory``): models of scale sets, prefixes, instances' own models.
    public func check(
        _ items: [NodePool.Desired], _ context: CallContext
    ) async throws -> [ItemResult<NodePool.Observed>] {
        let pools = try await findCheaply(Set(items.map(\.pool)), context)
        let listed = try await listCheaply(context)
        let isOfMachines = pools.values.contains { lookup in
            if case .found(.machines) = lookup { true } else { false }
        }
        let interfaces = isOfMachines ? try await machines.allInterfaces(context) : []
        var results: [String: ItemResult<NodePool.Observed>] = [:]
        for (selector, members) in Dictionary(grouping: items, by: \.pool) {
            do {
                guard let pool = try pools[selector]?.get() else { continue }
                var own: [JSONValue] = []
                if case .machines(let set) = pool {
                    own = interfaces.filter { Tags.isGatewayInterface($0, of: set.name) }
                }
                let parts = PoolMembers(pool, interfaces: own)
                try parts.check(client.configuration)
                let refusals = try await refusals(of: members, parts, context)
                let survey = try await lightSurvey(parts, context)
                var ready: [(item: ReadyItem, request: PrefixRequest)] = []
                for member in members {
                    do {
                        if let refusal = refusals[member.id] { throw refusal }
                        ready.append(try await found(member, survey, listed, context))
                    } catch {
                        results[member.id] = .failed(member.id, ProviderError(error))
                    }
                }
                let shared = sharedAddresses(ready.map(\.item), parts)
                let reading = PoolReading(survey, editor(pool))
                for (item, request) in ready {
                    results[item.id] =
                        shared[item.id].map { .failed(item.id, $0) } ?? compare(item, request, survey, reading, listed)
                }
            } catch {
                for member in members { results[member.id] = .failed(member.id, ProviderError(error)) }
            }
        }
        return items.map { results[$0.id] ?? .failed($0.id, ProviderError(.retry, "pool: was not looked up")) }
    }

    /// From memory as far as it is fresh; all that is ever read of a pool of machines are its network interfaces.
    private func findCheaply(
        _ selectors: Set<PoolSelector>, _ context: CallContext
    ) async throws -> [PoolSelector: PoolLookup] {
        let edition = await memory.edition
        var result: [PoolSelector: PoolLookup] = [:]
        for selector in selectors {
            if let pool = await memory.machinePool(selector, at: context.host.now) {
                result[selector] = .found(.machines(pool))
            } else if let lookup = await memory.scaleSet(selector, at: context.host.now) {
                result[selector] = lookup
            }
        }
        let unknown = selectors.filter { result[$0] == nil }
        guard !unknown.isEmpty else { return result }
        let found = try await find(unknown, context)
        await memory.remember(scaleSets: found, edition: edition, at: context.host.now)
        return result.merging(found) { _, new in new }
    }

    private func listCheaply(_ context: CallContext) async throws -> PrefixKeeper.Listing {
        if let known = await memory.prefixList(at: context.host.now) { return known }
        let edition = await memory.edition
        let listed = try await prefixes.list(context)
        await memory.remember(prefixList: listed, edition: edition, at: context.host.now)
        return listed
    }

    /// The item with the prefixes that are there.
    ///
    /// - Throws: ``ProviderError`` that `ensure` would meet.
    private func found(
        _ item: NodePool.Desired, _ survey: PoolSurvey, _ listed: PrefixKeeper.Listing, _ context: CallContext
    ) async throws -> (ReadyItem, PrefixRequest) {
        let request = try PrefixRequest(
            item, poolLength: survey.pool.taggedPrefixLength, cloud: client.configuration)
        var ready = ReadyItem(item: item)
        if let id = request.brought {
            ready.prefix = try await brought(id, request, listed: listed, context)
        } else if request.length != nil {
            ready.prefix = prefixes.find(Names.managed(item.id), among: listed)
        }
        if request.lengthV6 != nil { ready.prefixV6 = prefixes.find(Names.managedIPv6(item.id), among: listed) }
        try ready.prefix?.checkRoom(for: survey.members.count)
        return (ready, request)
    }

    /// Items that a network interface of a machine cannot take.
    private func sharedAddresses(_ items: [ReadyItem], _ members: PoolMembers) -> [String: ProviderError] {
        members.interfaces.reduce(into: [:]) { refusals, interface in
            let plan = MachinePlan(items, networkInterface: interface, unwanted: [], addresses: addresses)
            refusals.merge(plan.refusals) { first, _ in first }
        }
    }

    private func compare(
        _ ready: ReadyItem, _ request: PrefixRequest, _ survey: PoolSurvey, _ reading: PoolReading,
        _ listed: PrefixKeeper.Listing
    ) -> ItemResult<NodePool.Observed> {
        let lines = prefixDrift(ready, request, listed) + addressDrift(ready.item, request, reading)
        let observed = ready.observed(survey.nodes)
        guard lines.isEmpty else {
            return .drifted(ready.id, Array(lines.prefix(Self.maximumDrift)), try? observed.get())
        }
        return observed.itemResult(ready.id) { $0 }
    }

    /// Differences of one item; schema node-pool-1 allows 1000.
    private static let maximumDrift = 100

    /// A prefix that another resource group has is read now and then: what counts of it cannot change while it is used.
    private func brought(
        _ id: ResourceID, _ request: PrefixRequest, listed: PrefixKeeper.Listing, _ context: CallContext
    ) async throws -> EgressPrefix {
        if let known = await memory.prefix(id, at: context.host.now), known.length == request.length { return known }
        let found = try await prefixes.brought(id, request, listed: listed, context)
        if id != prefixes.id(id.name) { await memory.remember(found, at: context.host.now) }
        return found
    }

    private func prefixDrift(
        _ ready: ReadyItem, _ request: PrefixRequest, _ listed: PrefixKeeper.Listing
    ) -> [String] {
        let item = ready.item
        var lines: [String] = []
        for (name, length, prefix) in [
            (Names.managed(item.id), request.brought == nil ? request.length : nil, ready.prefix),
            (Names.managedIPv6(item.id), request.lengthV6, ready.prefixV6),
        ] {
            let resource = "publicIPPrefixes/\(name)"
            if let length, prefix == nil {
                let state = listed[name.lowercased()]?.body["properties.provisioningState"]?.text
                let found = state.map { "properties.provisioningState is \"\($0)\"" } ?? "is missing"
                lines.append("\(resource): \(found); wanted: a prefix of length \(length)")
            } else if length == nil, listed[name.lowercased()] != nil,
                request.brought?.name.lowercased() != name.lowercased()
            {
                lines.append("\(resource): is there; wanted: nothing")
            }
        }
        return lines
    }

    private func addressDrift(
        _ item: NodePool.Desired, _ request: PrefixRequest, _ reading: PoolReading
    ) -> [String] {
        let editor = reading.editor
        let unwanted = item.wantsIPv6 ? [] : [Names.managedIPv6(item.id)]
        func wanted(_ interface: String?) -> [WantedAddress] {
            var parts = [(Names.managed(item.id), NodePool.IPFamily.ipv4, request.brought)]
            if item.wantsIPv6 { parts.append((Names.managedIPv6(item.id), .ipv6, nil)) }
            return parts.map { name, family, brought in
                guard item.publicIPs else { return WantedAddress(name: name, family: family) }
                let prefix = brought ?? prefixes.id(name)
                let address = interface.map { addresses.id(prefixName: prefix.name, networkInterface: $0) }
                return WantedAddress(
                    name: name, family: family, publicAddress: address.map { .resource($0) } ?? .prefix(prefix))
            }
        }
        guard case .scaleSet = reading.pool else {
            return reading.nodes.flatMap { node in
                editor.drift(node.reading, wanted: wanted(node.name), unwanted: unwanted)
            }
        }
        let all = wanted(nil)
        return reading.ofScaleSet.flatMap { editor.drift($0, wanted: all, unwanted: unwanted) }
    }
}
