import AzureARM
import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The plugin AzureLB: gateway frontends on an internal load balancer of Azure.
public struct AzureLBProvider: ProbingProvider {
    public static let descriptor = ProviderDescriptor(
        name: "AzureLB", version: "0.1.0", kind: .loadBalancer, capabilities: [LoadBalancer.identifier],
        configurationSchema: CloudConfiguration.pluginConfigurationSchema)

    public let capabilities: [CapabilityBinding]
    private let client: ARMClient

    /// - Throws: ``ProviderError`` that names the field of the cloud configuration, its value and what is allowed.
    public init(host: ProviderHost, configuration: Data) throws {
        client = try ARMClient.make(host: host, pluginConfiguration: configuration)
        capabilities = [CapabilityBinding(AzureLoadBalancer(client: client))]
    }

    public static func checkSettings(_ configuration: Data) throws {
        try ARMClient.checkSettings(configuration)
    }

    public func probe(_ context: CallContext) async throws -> ProbeResult {
        await client.probe(deadline: context.deadline)
    }
}

/// `load-balancer/1` on Azure: all items of a call are one GET and at most one PUT of one load balancer.
public struct AzureLoadBalancer: CapabilityProvider {
    public typealias Contract = LoadBalancer

    private let client: ARMClient
    private let directory: PoolDirectory
    private let editor: LoadBalancerEditor
    private let writes = WriteQueue()

    public init(client: ARMClient) {
        self.client = client
        directory = PoolDirectory(client: client)
        let cloud = client.configuration
        editor = LoadBalancerEditor(id: cloud.loadBalancerID, location: cloud.location, subnetID: cloud.subnetID)
    }

    public func ensure(
        _ items: [LoadBalancer.Desired], _ context: CallContext
    ) async throws -> [ItemResult<LoadBalancer.Observed>] {
        let pools = try await directory.find(Set(items.map(\.pool)), deadline: context.deadline)
        var outcomes: [String: Result<LoadBalancer.Observed, ProviderError>] = [:]
        var placed: [LoadBalancerItem] = []
        for item in items {
            do {
                placed.append(try Self.placed(item, pools))
            } catch {
                outcomes[item.id] = .failure(ProviderError(error))
            }
        }
        if !placed.isEmpty {
            let batch = placed
            let written = try await writes.run(editor.id.description) {
                let first = FirstValue(try await read(context))
                return try await isolatingFailures(batch) { try await ensureTogether($0, first, context) }
            }
            outcomes.merge(written) { first, _ in first }
        }
        return items.map { item in
            (outcomes[item.id] ?? .failure(ProviderError(.retry, "no outcome"))).itemResult(item.id) { $0 }
        }
    }

    private static func placed(
        _ item: LoadBalancer.Desired, _ pools: [PoolSelector: PoolLookup]
    ) throws -> LoadBalancerItem {
        guard (1...65535).contains(item.probe.port) else {
            throw ProviderError(.invalid, "probe.port: \(item.probe.port) is not in 1..65535")
        }
        guard item.probe.path.hasPrefix("/") else {
            throw ProviderError(.invalid, "probe.path: \"\(item.probe.path)\" must start with a slash")
        }
        guard let pool = try pools[item.pool]?.get() else { throw ProviderError(.retry, "pool: was not looked up") }
        return LoadBalancerItem(id: item.id, poolID: pool.uniqueID, probe: item.probe)
    }

    /// One read, one decision, at most one write; from the start again if somebody else wrote in between.
    private func ensureTogether(
        _ items: [LoadBalancerItem], _ first: FirstValue<ARMResource?>, _ context: CallContext
    ) async throws -> [String: Result<LoadBalancer.Observed, ProviderError>] {
        try await retryingConflicts(host: context.host, deadline: context.deadline) {
            let current = try await latest(first, context)
            let edit = editor.ensure(items, in: current?.body)
            if edit.addsFrontend { try await checkSubnet(context) }
            var body = current?.body ?? [:]
            if case .write(let wanted) = edit.action {
                context.host.log(
                    .info, "writing load balancer", ["loadBalancer": editor.id.name, "items": "\(items.count)"])
                body = try await client.put(
                    editor.id, wanted, version: APIVersion.network, replacing: current, deadline: context.deadline
                ).body
            }
            let observed = editor.observe(items.map(\.id), in: body)
            return items.reduce(into: [:]) { $0[$1.id] = outcome(of: $1.id, edit, observed) }
        }
    }

    private func outcome(
        of item: String, _ edit: LoadBalancerEdit, _ observed: [String: LoadBalancer.Observed]
    ) -> Result<LoadBalancer.Observed, ProviderError> {
        if let failure = edit.failures[item] { return .failure(failure) }
        guard let observed = observed[item] else {
            return .failure(ProviderError(.retry, "load balancer \(editor.id.name): rule \(item) has no address yet"))
        }
        return .success(observed)
    }

    private func checkSubnet(_ context: CallContext) async throws {
        let cloud = client.configuration
        let subnet = try await client.get(cloud.subnetID, version: APIVersion.network, deadline: context.deadline)
        guard subnet != nil else {
            throw ProviderError(
                .retry,
                "cloudConfig.subnetName: subnet \"\(cloud.subnet)\" does not exist in virtual network "
                    + "\"\(cloud.virtualNetwork)\" of resource group \"\(cloud.virtualNetworkResourceGroup)\"",
                reason: .subnetNotFound)
        }
    }

    public func remove(
        _ items: [PoolReference], _ context: CallContext
    ) async throws -> [ItemResult<Nothing>] {
        let outcomes = try await writes.run(editor.id.description) {
            let first = FirstValue(try await read(context))
            return try await isolatingFailures(items) { batch in
                try await removeTogether(batch, first, context)
                return batch.reduce(into: [:]) { $0[$1.id] = Result<Nothing, ProviderError>.success(Nothing()) }
            }
        }
        return items.map { item in
            (outcomes[item.id] ?? .failure(ProviderError(.retry, "no outcome"))).itemResult(item.id) { _ in nil }
        }
    }

    private func removeTogether(
        _ items: [PoolReference], _ first: FirstValue<ARMResource?>, _ context: CallContext
    ) async throws {
        try await retryingConflicts(host: context.host, deadline: context.deadline) {
            guard let current = try await latest(first, context) else { return }
            let poolIDs = try await poolIDs(ofLost: items, in: current.body, context)
            let edit = editor.remove(items.map(\.id), poolIDs: poolIDs, from: current.body)
            switch edit.action {
            case .keep: break
            case .write(let wanted):
                _ = try await client.put(
                    editor.id, wanted, version: APIVersion.network, replacing: current, deadline: context.deadline)
            case .delete:
                context.host.log(.info, "deleting load balancer", ["loadBalancer": editor.id.name])
                try await client.delete(
                    editor.id, version: APIVersion.network, replacing: current, deadline: context.deadline)
            }
        }
    }

    /// The pools of items that have no rule any more: their frontend may still be there. A pool that is gone itself
    /// leaves nothing to name it by.
    private func poolIDs(
        ofLost items: [PoolReference], in body: JSONValue, _ context: CallContext
    ) async throws -> [String: String] {
        let known = Set((body["properties.loadBalancingRules"]?.elements ?? []).compactMap { $0["name"]?.text })
        let lost = items.filter { !known.contains($0.id) }
        guard !lost.isEmpty else { return [:] }
        let pools = try await directory.find(Set(lost.map(\.pool)), deadline: context.deadline)
        var result: [String: String] = [:]
        for item in lost {
            if case .found(let pool) = pools[item.pool] { result[item.id] = pool.uniqueID }
        }
        return result
    }

    /// Reads only. Without items: every configuration of ours.
    public func status(
        _ items: [PoolReference], _ context: CallContext
    ) async throws -> [ItemResult<LoadBalancer.Observed>] {
        let body = try await read(context)?.body ?? [:]
        let ids = items.isEmpty ? editor.allItems(in: body) : items.map(\.id)
        let observed = editor.observe(ids, in: body)
        return ids.map { .ok($0, observed[$0]) }
    }

    /// What was read before the first attempt, and a fresh read for every later one. The first read is done outside of
    /// the batch's halving: a configuration that Azure refuses to read costs one call, not one per item.
    private func latest(_ first: FirstValue<ARMResource?>, _ context: CallContext) async throws -> ARMResource? {
        if let known = await first.take() { return known }
        return try await read(context)
    }

    private func read(_ context: CallContext) async throws -> ARMResource? {
        try await client.get(editor.id, version: APIVersion.network, deadline: context.deadline)
    }
}
