import AzureARM
import JSONModel
import ProviderKit

extension AzureLoadBalancer {
    public func ensure(
        _ items: [LoadBalancer.Desired], _ context: CallContext
    ) async throws -> [ItemResult<LoadBalancer.Observed>] {
        let pools = try await identities.refreshed(Set(items.map(\.pool)), context)
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

    static func placed(
        _ item: LoadBalancer.Desired, _ pools: [PoolSelector: Result<String, ProviderError>]
    ) throws -> LoadBalancerItem {
        guard (1...65535).contains(item.probe.port) else {
            throw ProviderError(.invalid, "probe.port: \(item.probe.port) is not in 1..65535")
        }
        guard item.probe.path.hasPrefix("/") else {
            throw ProviderError(.invalid, "probe.path: \"\(item.probe.path)\" must start with a slash")
        }
        guard let poolID = try pools[item.pool]?.get() else { throw ProviderError(.retry, "pool: was not looked up") }
        return LoadBalancerItem(id: item.id, poolID: poolID, probe: item.probe)
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
}
