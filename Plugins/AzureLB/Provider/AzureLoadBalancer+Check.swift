import AzureARM
import JSONModel
import ProviderKit

extension AzureLoadBalancer {
    /// Compares, and writes nothing: one GET of the load balancer, whatever the number of items; a look-up of pools
    /// only for those that are not known (``PoolIdentities``).
    ///
    /// The resource manager counts a GET with If-None-Match like any other, so the read is not made conditional.
    public func check(
        _ items: [LoadBalancer.Desired], _ context: CallContext
    ) async throws -> [ItemResult<LoadBalancer.Observed>] {
        let pools = try await identities.known(Set(items.map(\.pool)), context)
        var results: [String: ItemResult<LoadBalancer.Observed>] = [:]
        var placed: [LoadBalancerItem] = []
        for item in items {
            do {
                placed.append(try Self.placed(item, pools))
            } catch {
                results[item.id] = .failed(item.id, ProviderError(error))
            }
        }
        guard !placed.isEmpty else { return items.compactMap { results[$0.id] } }
        let body = try await read(context)?.body
        let comparison = editor.compare(placed, with: body)
        let observed = editor.observe(placed.map(\.id), in: body ?? [:])
        for item in placed {
            let drift = comparison.drift[item.id] ?? []
            if let failure = comparison.failures[item.id] {
                results[item.id] = .failed(item.id, failure)
                results[item.id]?.drift = drift.isEmpty ? nil : drift
            } else if drift.isEmpty {
                results[item.id] = .ok(item.id, observed[item.id])
            } else {
                results[item.id] = .drifted(item.id, drift, observed[item.id])
            }
        }
        return items.compactMap { results[$0.id] }
    }
}
