import AzureARM
import JSONModel
import ProviderKit

/// Brings a scale set's model and each of its instances to the wanted addresses: one PUT of the model, one PUT per
/// instance, whatever the number of configurations.
struct ScaleSetWriter: Sendable {
    let client: ARMClient
    let reader: ScaleSetReader

    /// Instances written at the same time.
    private static let parallelism = 4
    private static let modelPath = "properties.virtualMachineProfile.networkProfile"

    func apply(
        wanted: [WantedAddress], unwanted: Set<String>, to pool: ScaleSetPool, _ context: CallContext
    ) async throws -> PoolOutcome {
        let editor = InterfaceEditor(
            backendPool: client.configuration.loadBalancerID.child("backendAddressPools", pool.uniqueID))
        try await writeModel(editor, wanted, unwanted, pool, context)
        let instances = try await reader.instances(pool, context)
        let interfaces = try await reader.interfaces(pool, context)
        let before = reader.nodes(instances, interfaces, of: pool)
        let results = await concurrently(instances, limit: Self.parallelism) { instance in
            let node = before[instance["instanceId"]?.text ?? ""]
            do {
                return Result<Bool, NodeFailure>.success(
                    try await writeInstance(instance, editor, wanted, unwanted, node, pool, context))
            } catch {
                let unaffected = Self.satisfied(wanted, on: instance, node, editor)
                return .failure(NodeFailure(error: ProviderError(error), unaffected: unaffected))
            }
        }
        let failures = results.compactMap(\.failure)
        let isUpdated = results.contains { (try? $0.get()) == true }
        var after = before
        if isUpdated || !failures.isEmpty {
            after = reader.nodes(instances, try await reader.interfaces(pool, context), of: pool)
        }
        return PoolOutcome(
            nodes: instances.compactMap { after[$0["instanceId"]?.text ?? ""] }, failures: failures)
    }

    /// The wanted ipConfigurations that an instance has as they shall be, with their addresses.
    private static func satisfied(
        _ wanted: [WantedAddress], on instance: JSONValue, _ node: PoolNode?, _ editor: InterfaceEditor
    ) -> Set<String> {
        let configurations = instance[ScaleSetReader.instancePath]?.elements ?? []
        let present = wanted.filter { address in
            node?.hasAddresses([address.name]) == true
                && (try? editor.edit(configurations, wanted: [address], unwanted: [])) == configurations
        }
        return Set(present.map(\.name))
    }

    // MARK: - Model

    private func writeModel(
        _ editor: InterfaceEditor, _ wanted: [WantedAddress], _ unwanted: Set<String>, _ pool: ScaleSetPool,
        _ context: CallContext
    ) async throws {
        let first = FirstValue(pool.resource)
        try await retryingConflicts(host: context.host, deadline: context.deadline) {
            let current: ARMResource
            if let read = await first.take() {
                current = read
            } else {
                guard let read = try await client.get(pool.id, version: APIVersion.compute, deadline: context.deadline)
                else { throw ProviderError(.retry, "scale set \(pool.id.name) is gone") }
                current = read
            }
            guard var profile = current.body[Self.modelPath], profile["networkInterfaceConfigurations"] != nil else {
                throw ProviderError(.retry, "scale set \(pool.id.name): has no network interface configurations")
            }
            let old = profile["networkInterfaceConfigurations"]?.elements ?? []
            let new = try editor.edit(old, wanted: wanted, unwanted: unwanted)
            guard new != old || current.hasFailed else { return }
            profile["networkInterfaceConfigurations"] = .array(new)
            var body: JSONValue = ["location": current.body["location"] ?? .string(client.configuration.location)]
            body[Self.modelPath] = profile
            context.host.log(.info, "writing scale set model", ["scaleSet": pool.id.name])
            _ = try await client.put(
                pool.id, body, version: APIVersion.compute, replacing: current, deadline: context.deadline)
        }
    }

    // MARK: - Instances

    /// - Returns: whether the instance was written, by us or by who was at work on it.
    private func writeInstance(
        _ listed: JSONValue, _ editor: InterfaceEditor, _ wanted: [WantedAddress], _ unwanted: Set<String>,
        _ node: PoolNode?, _ pool: ScaleSetPool, _ context: CallContext
    ) async throws -> Bool {
        guard let instanceID = listed["instanceId"]?.text else { return false }
        let id = pool.id.child("virtualMachines", instanceID)
        let lacksAddress = !wanted.isEmpty && node?.hasAddresses(wanted.map(\.name)) != true
        let first = FirstValue(ARMResource(body: listed))
        return try await retryingConflicts(host: context.host, deadline: context.deadline) {
            let current: ARMResource
            var isListed = false
            if let read = await first.take() {
                current = read
                isListed = true
            } else {
                guard let read = try await client.get(id, version: APIVersion.compute, deadline: context.deadline)
                else { return false }
                current = read
            }
            guard let old = current.body[ScaleSetReader.instancePath]?.elements,
                current.body["properties.osProfile.computerName"]?.text != nil
            else {
                throw ProviderError(
                    .retry, "instance \(instanceID) of \(pool.id.name): has no network profile or computer name")
            }
            let new = try editor.edit(old, wanted: wanted, unwanted: unwanted)
            let hasFailed = current.hasFailed
            // An instance that was worked on when it was listed may have its addresses by now; they are read again.
            guard new != old || hasFailed || (lacksAddress && isListed) else { return !isListed }
            var body: JSONValue = [:]
            body[ScaleSetReader.instancePath] = .array(new)
            context.host.log(
                .info, "writing instance",
                ["instance": "\(pool.id.name)/\(instanceID)", "changed": "\(new != old)", "failed": "\(hasFailed)"])
            _ = try await client.put(
                id, body, version: APIVersion.compute, replacing: current, deadline: context.deadline)
            return true
        }
    }
}
