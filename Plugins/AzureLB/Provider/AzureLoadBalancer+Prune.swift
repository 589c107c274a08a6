import AzureARM
import JSONModel
import ProviderKit

extension AzureLoadBalancer {
    /// Removes what is provably ours and belongs to no item that shall exist (``LoadBalancerEditor/prune(keeping:limit:in:)``),
    /// in one write; no more than `pruneLimit` of the plugin's settings. What is left for that reason is answered with
    /// the code `retry` and says so.
    public func prune(
        keeping items: [PoolReference], namespaces: [String], _ context: CallContext
    ) async throws -> [ItemResult<Nothing>] {
        let kept = Set(items.map { $0.id.lowercased() })
        let limit = client.configuration.pruneLimit
        return try await writes.run(editor.id.description) {
            try await retryingConflicts(host: context.host, deadline: context.deadline) {
                guard let current = try await read(context) else { return [] }
                let prune = editor.prune(keeping: kept, limit: limit, in: current.body)
                if !prune.removed.isEmpty {
                    context.host.log(
                        .notice, "pruning load balancer",
                        [
                            "loadBalancer": editor.id.name, "removed": prune.removed.joined(separator: ","),
                            "left": "\(prune.left.count)",
                        ])
                }
                switch prune.action {
                case .keep: break
                case .write(let wanted):
                    _ = try await client.put(
                        editor.id, wanted, version: APIVersion.network, replacing: current,
                        deadline: context.deadline)
                case .delete:
                    try await client.delete(
                        editor.id, version: APIVersion.network, replacing: current, deadline: context.deadline)
                }
                return prune.removed.map { .ok($0) } + prune.left.map { .failed($0, left($0, limit: limit)) }
            }
        }
    }

    private func left(_ item: String, limit: Int) -> ProviderError {
        ProviderError(
            .retry,
            "loadBalancers/\(editor.id.name): rule or probe \(item) belongs to no configuration and was left: a call "
                + "removes at most \(limit) (config.pruneLimit)")
    }
}
