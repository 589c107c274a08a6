import AzureARM
import JSONModel
import ProviderKit

extension AzureLoadBalancer {
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
}
