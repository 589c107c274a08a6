import AzureARM
import JSONModel
import ProviderKit

/// An instance of a scale set with its addresses.
struct PoolInstance: Sendable {
    var nodeName: String
    var addresses: InstanceAddresses
}

/// What became of a pool: instances as they are, and what could not be written.
struct PoolOutcome: Sendable {
    var instances: [PoolInstance] = []
    /// Instances that could not be written, in order.
    var failures: [InstanceFailure] = []

    /// Why an ipConfiguration is not everywhere as it shall be; nil if it is. One that was in place before a write
    /// failed is not to blame for it, and still works.
    func failure(of name: String) -> ProviderError? {
        failures.first { !$0.unaffected.contains(name) }?.error
    }
}

/// An instance that could not be written.
struct InstanceFailure: Error, Sendable {
    var error: ProviderError
    /// Wanted ipConfigurations that the instance had already, with their addresses.
    var unaffected: Set<String> = []
}

/// Brings a scale set's model and each of its instances to the wanted addresses: one PUT of the model, one PUT per
/// instance, whatever the number of configurations.
struct ScaleSetWriter: Sendable {
    let client: ARMClient

    /// Instances written at the same time.
    private static let parallelism = 4
    private static let modelPath = "properties.virtualMachineProfile.networkProfile"
    private static let instancePath = "properties.networkProfileConfiguration.networkInterfaceConfigurations"

    func apply(
        wanted: [WantedAddress], unwanted: Set<String>, to pool: ScaleSetPool, _ context: CallContext
    ) async throws -> PoolOutcome {
        let editor = InterfaceEditor(
            backendPool: client.configuration.loadBalancerID.child("backendAddressPools", pool.uniqueID))
        try await writeModel(editor, wanted, unwanted, pool, context)
        let instances = try await list(pool, context)
        let before = try await addresses(pool, context)
        var updated = false
        var failures: [Int: InstanceFailure] = [:]
        try await withThrowingTaskGroup(of: (Int, Result<Bool, InstanceFailure>).self) { group in
            func collect(_ result: (Int, Result<Bool, InstanceFailure>)?) {
                switch result {
                case (_, .success(let written))?: updated = updated || written
                case (let index, .failure(let error))?: failures[index] = error
                case nil: break
                }
            }
            for (index, instance) in instances.enumerated() {
                if index >= Self.parallelism { collect(try await group.next()) }
                let known = before[instance["instanceId"]?.text ?? ""]
                group.addTask {
                    do {
                        let written = try await writeInstance(
                            instance, editor, wanted, unwanted, known, pool, context)
                        return (index, .success(written))
                    } catch {
                        let unaffected = Self.satisfied(wanted, on: instance, known, editor)
                        return (index, .failure(InstanceFailure(error: ProviderError(error), unaffected: unaffected)))
                    }
                }
            }
            while let result = try await group.next() { collect(result) }
        }
        let after = updated || !failures.isEmpty ? try await addresses(pool, context) : before
        return PoolOutcome(
            instances: instances.compactMap { Self.instance($0, after) },
            failures: failures.sorted { $0.key < $1.key }.map(\.value))
    }

    /// The wanted ipConfigurations that an instance has as they shall be, with their addresses.
    private static func satisfied(
        _ wanted: [WantedAddress], on instance: JSONValue, _ addresses: InstanceAddresses?, _ editor: InterfaceEditor
    ) -> Set<String> {
        let configurations = instance[instancePath]?.elements ?? []
        let present = wanted.filter { address in
            addresses?.primary != nil && addresses?.secondary[address.name.lowercased()] != nil
                && (try? editor.edit(configurations, wanted: [address], unwanted: [])) == configurations
        }
        return Set(present.map(\.name))
    }

    /// The instances with their addresses; writes nothing.
    func observe(_ pool: ScaleSetPool, _ context: CallContext) async throws -> [PoolInstance] {
        let instances = try await list(pool, context)
        let addresses = try await addresses(pool, context)
        return instances.compactMap { Self.instance($0, addresses) }
    }

    private static func instance(_ body: JSONValue, _ addresses: [String: InstanceAddresses]) -> PoolInstance? {
        guard let name = body["properties.osProfile.computerName"]?.text, let id = body["instanceId"]?.text,
            let found = addresses[id]
        else { return nil }
        return PoolInstance(nodeName: name, addresses: found)
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

    private func list(_ pool: ScaleSetPool, _ context: CallContext) async throws -> [JSONValue] {
        let id = ResourceID(
            subscription: pool.id.subscription, resourceGroup: pool.id.resourceGroup, provider: pool.id.provider,
            path: pool.id.path + ["virtualMachines"])
        return try await client.list(id, version: APIVersion.compute, deadline: context.deadline)
            .filter { $0["properties.provisioningState"]?.text != "Deleting" }
    }

    /// The addresses of every instance by instance id: one call for the whole scale set.
    private func addresses(
        _ pool: ScaleSetPool, _ context: CallContext
    ) async throws -> [String: InstanceAddresses] {
        let id = ResourceID(
            subscription: pool.id.subscription, resourceGroup: pool.id.resourceGroup, provider: pool.id.provider,
            path: pool.id.path + ["networkInterfaces"])
        let interfaces = try await client.list(id, version: APIVersion.scaleSetNetwork, deadline: context.deadline)
        let byInstance = Dictionary(grouping: interfaces) { interface -> String in
            interface["properties.virtualMachine.id"]?.text.flatMap(ResourceID.init)?.name ?? ""
        }
        return byInstance.mapValues(InstanceAddresses.init(interfaces:))
    }

    /// - Returns: whether the instance was written, by us or by who was at work on it.
    private func writeInstance(
        _ listed: JSONValue, _ editor: InterfaceEditor, _ wanted: [WantedAddress], _ unwanted: Set<String>,
        _ addresses: InstanceAddresses?, _ pool: ScaleSetPool, _ context: CallContext
    ) async throws -> Bool {
        guard let instanceID = listed["instanceId"]?.text else { return false }
        let id = pool.id.child("virtualMachines", instanceID)
        let lacksAddress =
            !wanted.isEmpty
            && (addresses?.primary == nil
                || wanted.contains { addresses?.secondary[$0.name.lowercased()] == nil })
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
            guard let old = current.body[Self.instancePath]?.elements,
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
            body[Self.instancePath] = .array(new)
            context.host.log(
                .info, "writing instance",
                ["instance": "\(pool.id.name)/\(instanceID)", "changed": "\(new != old)", "failed": "\(hasFailed)"])
            _ = try await client.put(
                id, body, version: APIVersion.compute, replacing: current, deadline: context.deadline)
            return true
        }
    }
}
