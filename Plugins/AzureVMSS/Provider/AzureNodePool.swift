import AzureARM
import JSONModel
import ProviderKit

/// `node-pool/1` on Azure. All items of a call that share a pool cost one PUT of the model and one per instance of a scale
/// set, or one per network interface of standalone machines.
///
/// The verbs are in files of their own.
public struct AzureNodePool: CapabilityProvider {
    public typealias Contract = NodePool

    typealias Outcome = Result<NodePool.Observed, ProviderError>

    let client: ARMClient
    let directory: PoolDirectory
    let prefixes: PrefixKeeper
    let addresses: AddressKeeper
    let reader: ScaleSetReader
    let scaleSets: ScaleSetWriter
    let machines: MachineWriter
    let memory = PoolMemory()
    let writes = WriteQueue()

    public var offeredVerbs: Set<Verb> { Set(Verb.allCases) }

    public init(client: ARMClient) {
        self.client = client
        directory = PoolDirectory(client: client)
        addresses = AddressKeeper(client: client)
        prefixes = PrefixKeeper(client: client, addresses: addresses)
        reader = ScaleSetReader(client: client)
        scaleSets = ScaleSetWriter(client: client, reader: reader)
        machines = MachineWriter(client: client, addresses: addresses)
    }

    func editor(_ pool: GatewayPool) -> InterfaceEditor {
        InterfaceEditor(
            backendPool: client.configuration.loadBalancerID.child("backendAddressPools", pool.uniqueID))
    }

    /// Pools as they are now; what does not change of them is remembered for ``check(_:_:)``.
    func find(_ selectors: Set<PoolSelector>, _ context: CallContext) async throws -> [PoolSelector: PoolLookup] {
        let found = try await directory.find(selectors, deadline: context.deadline)
        await memory.remember(found, at: context.host.now)
        return found
    }

    /// The pool's write queue has one name, whichever of its selectors a call uses.
    static func queue(_ pool: GatewayPool) -> String {
        switch pool {
        case .scaleSet(let set): set.id.description.lowercased()
        case .machines(let set): "machines/\(set.name.lowercased())"
        }
    }

    // MARK: - Ensure

    public func ensure(
        _ items: [NodePool.Desired], _ context: CallContext
    ) async throws -> [ItemResult<NodePool.Observed>] {
        let pools = try await find(Set(items.map(\.pool)), context)
        let groups = PoolGroup.all(items, in: pools, by: \.pool)
        await memory.forgetLooks()
        let outcomes = await PoolGroup.separately(groups) { group in
            let pool = try group.lookup.get()
            return try await writes.run(Self.queue(pool)) { try await ensure(group.items, in: pool, context) }
        }
        await memory.forgetLooks()
        return items.map { item in
            (outcomes[item.id] ?? .failure(ProviderError(.retry, "no outcome"))).itemResult(item.id) { $0 }
        }
    }

    private func ensure(
        _ items: [NodePool.Desired], in pool: GatewayPool, _ context: CallContext
    ) async throws -> [String: Outcome] {
        let listed = try await prefixes.list(context)
        let members = try await PoolMembers(pool, machines, context)
        try members.check(client.configuration)
        let refusals = try await refusals(of: items, members, context)
        let ready = await separately(items) { item in
            if let refusal = refusals[item.id] { throw refusal }
            let request = try PrefixRequest(
                item, poolLength: pool.taggedPrefixLength, cloud: client.configuration)
            return try await prefixes.ensure(item, request, nodes: members.count, listed: listed, context)
        }
        var outcomes = ready.compactMapValues { $0.failure.map { Outcome.failure($0) } }
        let good = items.compactMap { try? ready[$0.id]?.get() }
        guard !good.isEmpty else { return outcomes }
        let outcome = try await write(good, unwanted: Set(good.flatMap(\.unwantedNames)), members, context)
        let leftovers = await separately(good) { item in
            try await prefixes.remove(item.leftoverPrefixes, listed: listed, context)
        }
        for item in good {
            if let failure = outcome.failure(of: item) ?? leftovers[item.id]?.failure {
                outcomes[item.id] = .failure(failure)
            } else {
                outcomes[item.id] = item.observed(outcome.nodes)
            }
        }
        return outcomes
    }

    /// Brings the pool's nodes to what is wanted.
    func write(
        _ items: [ReadyItem], unwanted: Set<String>, _ members: PoolMembers, _ context: CallContext
    ) async throws -> PoolOutcome {
        switch members.pool {
        case .scaleSet(let pool):
            try await scaleSets.apply(
                wanted: items.flatMap(\.wantedOfInstances), unwanted: unwanted, to: pool, context)
        case .machines(let pool):
            try await machines.apply(items, unwanted: unwanted, to: pool, listed: members.interfaces, context)
        }
    }

    /// Items that ask for IPv6 where Azure has none.
    func refusals(
        of items: [NodePool.Desired], _ members: PoolMembers, _ context: CallContext
    ) async throws -> [String: ProviderError] {
        let wanting = items.filter(\.wantsIPv6)
        guard !wanting.isEmpty else { return [:] }
        var admission = IPv6Admission(members.interfaceConfigurations)
        var refusals = admission.admit(wanting)
        guard let subnet = members.subnet, wanting.contains(where: { refusals[$0.id] == nil && !admission.has($0) })
        else { return refusals }
        let found = try await client.get(subnet, version: APIVersion.network, deadline: context.deadline)
        if let found, !IPv6Admission.isDualStack(found.body) {
            for item in wanting where refusals[item.id] == nil && !admission.has(item) {
                refusals[item.id] = IPv6Admission.refusal(subnet: subnet)
            }
        }
        return refusals
    }

    // MARK: - Remove

    /// Takes the ipConfigurations from the model and every node, then removes the managed prefixes. Of a pool that is
    /// gone only the prefixes are left to remove.
    public func remove(
        _ items: [PoolReference], _ context: CallContext
    ) async throws -> [ItemResult<Nothing>] {
        let pools = try await find(Set(items.map(\.pool)), context)
        let groups = PoolGroup.all(items, in: pools, by: \.pool)
        await memory.forgetLooks()
        let outcomes = await PoolGroup.separately(groups) { group in
            switch group.lookup {
            case .found(let pool): try await removeConfigurations(Set(group.items.map(\.id)), from: pool, context)
            case .missing(let reason):
                context.host.log(.warning, "pool is gone, removing its prefixes only", ["reason": reason.message])
            case .failed(let error): throw error
            }
            let listed = try await prefixes.list(context)
            return await separately(group.items) { item in
                try await prefixes.remove(Names.allManaged(item.id), listed: listed, context)
                return Nothing()
            }
        }
        await memory.forgetLooks()
        return items.map { item in
            (outcomes[item.id] ?? .failure(ProviderError(.retry, "no outcome"))).itemResult(item.id) { _ in nil }
        }
    }

    /// Takes all that is named after these UIDs from the nodes of a pool.
    func removeConfigurations(_ uids: Set<String>, from pool: GatewayPool, _ context: CallContext) async throws {
        let outcome = try await writes.run(Self.queue(pool)) {
            try await write(
                [], unwanted: Set(uids.flatMap(Names.allManaged)), try await PoolMembers(pool, machines, context),
                context)
        }
        if let failure = outcome.failures.first { throw failure.error }
    }
}

extension ReadyItem {
    /// Managed prefixes that the item may have had and has no use for.
    fileprivate var leftoverPrefixes: [String] {
        var names: [String] = []
        if !item.publicIPs || prefix?.id.name.lowercased() != Names.managed(id).lowercased() {
            names.append(Names.managed(id))
        }
        if prefixV6 == nil { names.append(Names.managedIPv6(id)) }
        return names
    }
}
