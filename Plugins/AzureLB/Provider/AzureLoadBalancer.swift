import AzureARM
import JSONModel
import ProviderKit

/// `load-balancer/1` on Azure: all items of a call are one GET and at most one PUT of one load balancer.
///
/// The verbs are in files of their own; what they decide is in ``LoadBalancerEditor``.
public struct AzureLoadBalancer: CapabilityProvider {
    public typealias Contract = LoadBalancer

    let client: ARMClient
    let directory: PoolDirectory
    let editor: LoadBalancerEditor
    let writes = WriteQueue()
    let identities: PoolIdentities

    public var offeredVerbs: Set<Verb> { Set(Verb.allCases) }

    public init(client: ARMClient) {
        self.client = client
        directory = PoolDirectory(client: client)
        identities = PoolIdentities(directory: directory)
        let cloud = client.configuration
        editor = LoadBalancerEditor(id: cloud.loadBalancerID, location: cloud.location, subnetID: cloud.subnetID)
    }

    /// Reads only. Without items: every configuration that is provably ours, with what it has.
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
    func latest(_ first: FirstValue<ARMResource?>, _ context: CallContext) async throws -> ARMResource? {
        if let known = await first.take() { return known }
        return try await read(context)
    }

    func read(_ context: CallContext) async throws -> ARMResource? {
        try await client.get(editor.id, version: APIVersion.network, deadline: context.deadline)
    }
}
