import AzureARM
import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The plugin AzureVMSS: egress addresses on the instances of a scale set.
public struct AzureVMSSProvider: ProbingProvider {
    public static let descriptor = ProviderDescriptor(
        name: "AzureVMSS", version: "0.1.0", kind: .nodePool, capabilities: [NodePool.identifier],
        configurationSchema: CloudConfiguration.pluginConfigurationSchema)

    public let capabilities: [CapabilityBinding]
    private let client: ARMClient

    /// - Throws: ``ProviderError`` that names the field of the cloud configuration, its value and what is allowed.
    public init(host: ProviderHost, configuration: Data) throws {
        client = try ARMClient.make(host: host, pluginConfiguration: configuration)
        capabilities = [CapabilityBinding(AzureNodePool(client: client))]
    }

    public static func checkSettings(_ configuration: Data) throws {
        try ARMClient.checkSettings(configuration)
    }

    public func probe(_ context: CallContext) async throws -> ProbeResult {
        await client.probe(deadline: context.deadline)
    }
}

/// `node-pool/1` on Azure scale sets. All items of a call that share a pool cost one PUT of the model and one PUT per
/// instance.
public struct AzureNodePool: CapabilityProvider {
    public typealias Contract = NodePool

    private typealias Outcome = Result<NodePool.Observed, ProviderError>

    private let client: ARMClient
    private let directory: PoolDirectory
    private let prefixes: PrefixKeeper
    private let writer: ScaleSetWriter
    private let writes = WriteQueue()

    /// Prefixes made or removed at the same time.
    private static let parallelism = 8

    public init(client: ARMClient) {
        self.client = client
        directory = PoolDirectory(client: client)
        prefixes = PrefixKeeper(client: client)
        writer = ScaleSetWriter(client: client)
    }

    // MARK: - Ensure

    public func ensure(
        _ items: [NodePool.Desired], _ context: CallContext
    ) async throws -> [ItemResult<NodePool.Observed>] {
        let pools = try await directory.find(Set(items.map(\.pool)), deadline: context.deadline)
        var outcomes: [String: Outcome] = [:]
        for (selector, members) in Dictionary(grouping: items, by: \.pool) {
            do {
                guard let lookup = pools[selector] else { throw ProviderError(.retry, "pool: was not looked up") }
                let pool = try lookup.get()
                let result = try await writes.run(pool.id.description.lowercased()) {
                    try await ensure(members, in: pool, context)
                }
                outcomes.merge(result) { first, _ in first }
            } catch {
                for member in members { outcomes[member.id] = .failure(ProviderError(error)) }
            }
        }
        return items.map { item in
            (outcomes[item.id] ?? .failure(ProviderError(.retry, "no outcome"))).itemResult(item.id) { $0 }
        }
    }

    private func ensure(
        _ items: [NodePool.Desired], in pool: ScaleSetPool, _ context: CallContext
    ) async throws -> [String: Outcome] {
        let listed = try await prefixes.list(context)
        let capacity = pool.resource.body["sku.capacity"]?.int ?? 0
        let ready = await concurrently(items) { item in
            let prefix = try await prefixes.ensure(
                item, poolLength: pool.taggedPrefixLength, listed: listed, context)
            if let prefix { try Self.checkRoom(prefix, capacity: capacity) }
            return prefix
        }
        var outcomes: [String: Outcome] = [:]
        var good: [(item: NodePool.Desired, prefix: EgressPrefix?)] = []
        for item in items {
            switch ready[item.id] {
            case .success(let prefix)?: good.append((item, prefix))
            case .failure(let error)?: outcomes[item.id] = .failure(error)
            case nil: break
            }
        }
        guard !good.isEmpty else { return outcomes }
        let wanted = good.map { WantedAddress(name: Names.managed($0.item.id), prefix: $0.prefix?.id) }
        let outcome = try await writer.apply(wanted: wanted, unwanted: [], to: pool, context)
        let leftovers = await concurrently(good.map(\.item).filter { !$0.publicIPs || $0.prefixID?.isEmpty == false }) {
            try await prefixes.remove($0.id, listed: listed, context)
        }
        for (item, prefix) in good {
            if let failure = outcome.failure(of: Names.managed(item.id)) {
                outcomes[item.id] = .failure(failure)
            } else if case .failure(let error)? = leftovers[item.id] {
                outcomes[item.id] = .failure(error)
            } else {
                outcomes[item.id] = Self.observed(item.id, prefix, outcome.instances)
            }
        }
        return outcomes
    }

    private static func checkRoom(_ prefix: EgressPrefix, capacity: Int) throws {
        guard (0...32).contains(prefix.length), capacity <= 1 << (32 - prefix.length) else {
            throw ProviderError(
                .terminal,
                "prefixLength: a prefix of length \(prefix.length) has \(1 << (32 - prefix.length)) addresses; "
                    + "the pool has \(capacity) nodes, and each needs one", reason: .prefixExhausted)
        }
    }

    private static func observed(
        _ item: String, _ prefix: EgressPrefix?, _ instances: [PoolInstance]
    ) -> Outcome {
        let name = Names.managed(item)
        let nodes = instances.compactMap { $0.addresses.node(named: $0.nodeName, name) }
        if let lacking = instances.first(where: { $0.addresses.node(named: $0.nodeName, name) == nil }) {
            return .failure(
                ProviderError(.retry, "node \(lacking.nodeName): has no address for ipConfiguration \(name) yet"))
        }
        return .success(
            NodePool.Observed(
                egressPrefix: prefix?.block ?? nodes.map(\.secondaryIP).joined(separator: ","), nodes: nodes))
    }

    // MARK: - Remove

    /// Takes the ipConfigurations from the model and every instance, then removes the managed prefixes. Of a pool that
    /// is gone only the prefixes are left to remove.
    public func remove(
        _ items: [PoolReference], _ context: CallContext
    ) async throws -> [ItemResult<Nothing>] {
        let pools = try await directory.find(Set(items.map(\.pool)), deadline: context.deadline)
        var outcomes: [String: Result<Nothing, ProviderError>] = [:]
        for (selector, members) in Dictionary(grouping: items, by: \.pool) {
            do {
                switch pools[selector] {
                case .found(let pool)?:
                    let names = Set(members.map { Names.managed($0.id) })
                    let outcome = try await writes.run(pool.id.description.lowercased()) {
                        try await writer.apply(wanted: [], unwanted: names, to: pool, context)
                    }
                    if let failure = outcome.failures.first { throw failure.error }
                case .missing(let reason)?:
                    context.host.log(.warning, "pool is gone, removing its prefixes only", ["reason": reason.message])
                case .failed(let error)?: throw error
                case nil: throw ProviderError(.retry, "pool: was not looked up")
                }
                let listed = try await prefixes.list(context)
                let removed = await concurrently(members) { member in
                    try await prefixes.remove(member.id, listed: listed, context)
                    return Nothing()
                }
                outcomes.merge(removed) { first, _ in first }
            } catch {
                for member in members { outcomes[member.id] = .failure(ProviderError(error)) }
            }
        }
        return items.map { item in
            (outcomes[item.id] ?? .failure(ProviderError(.retry, "no outcome"))).itemResult(item.id) { _ in nil }
        }
    }

    // MARK: - Status

    /// Reads only. Items that the pool does not have are reported without `observed`. Without items: every
    /// configuration that our resource group has something of.
    public func status(
        _ items: [PoolReference], _ context: CallContext
    ) async throws -> [ItemResult<NodePool.Observed>] {
        guard !items.isEmpty else { return try await statusOfAll(context) }
        let pools = try await directory.find(Set(items.map(\.pool)), deadline: context.deadline)
        var results: [String: ItemResult<NodePool.Observed>] = [:]
        for (selector, members) in Dictionary(grouping: items, by: \.pool) {
            do {
                guard case .found(let pool)? = pools[selector] else {
                    _ = try pools[selector]?.get()
                    continue
                }
                let instances = try await writer.observe(pool, context)
                for member in members {
                    results[member.id] = .ok(member.id, try await observe(member.id, pool, instances, context))
                }
            } catch {
                for member in members { results[member.id] = .failed(member.id, ProviderError(error)) }
            }
        }
        return items.map { results[$0.id] ?? .failed($0.id, ProviderError(.retry, "pool: was not looked up")) }
    }

    /// Every configuration that has an address on an instance, or only a managed prefix (any more).
    private func statusOfAll(_ context: CallContext) async throws -> [ItemResult<NodePool.Observed>] {
        let listed = try await prefixes.list(context)
        var results: [String: ItemResult<NodePool.Observed>] = [:]
        for pool in try await directory.all(deadline: context.deadline) {
            // Reading the instances of scale sets that never carried a gateway would cost two calls for each of them.
            let model = pool.modelConfigurations.contains { Names.isManaged($0["name"]?.text ?? "") }
            guard model || pool.isNodePool else { continue }
            let instances = try await writer.observe(pool, context)
            let names =
                instances.flatMap(\.addresses.secondary.keys)
                + pool.modelConfigurations.compactMap { $0["name"]?.text }
            for uid in Set(names.compactMap(Names.uid)) {
                results[uid] = .ok(uid, try await observe(uid, pool, instances, context))
            }
        }
        for uid in listed.keys.compactMap(Names.uid) where results[uid] == nil {
            results[uid] = .ok(
                uid, NodePool.Observed(egressPrefix: prefixes.managed(uid, among: listed)?.block ?? "", nodes: []))
        }
        return results.values.sorted { $0.id < $1.id }
    }

    private func observe(
        _ item: String, _ pool: ScaleSetPool, _ instances: [PoolInstance], _ context: CallContext
    ) async throws -> NodePool.Observed? {
        let name = Names.managed(item)
        let nodes = instances.compactMap { $0.addresses.node(named: $0.nodeName, name) }
        guard !nodes.isEmpty else { return nil }
        let child = pool.modelConfigurations.first { $0["name"]?.text?.lowercased() == name.lowercased() }
        let prefixID = child?["properties.publicIPAddressConfiguration.properties.publicIPPrefix.id"]?.text
        var block = nodes.map(\.secondaryIP).joined(separator: ",")
        if let id = prefixID.flatMap(ResourceID.init) { block = try await prefixes.get(id, context)?.block ?? "" }
        return NodePool.Observed(egressPrefix: block, nodes: nodes)
    }

    // MARK: - Parts

    /// Runs `body` for each item, at most ``parallelism`` at a time, each failing alone.
    private func concurrently<Item: Identified & Sendable, Value: Sendable>(
        _ items: [Item], _ body: @escaping @Sendable (Item) async throws -> Value
    ) async -> [String: Result<Value, ProviderError>] {
        await withTaskGroup(of: (String, Result<Value, ProviderError>).self) { group in
            var results: [String: Result<Value, ProviderError>] = [:]
            for (index, item) in items.enumerated() {
                if index >= Self.parallelism, let (id, result) = await group.next() { results[id] = result }
                group.addTask {
                    do {
                        return (item.id, .success(try await body(item)))
                    } catch {
                        return (item.id, .failure(ProviderError(error)))
                    }
                }
            }
            for await (id, result) in group { results[id] = result }
            return results
        }
    }
}
