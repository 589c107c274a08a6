import AzureARM
import JSONModel
import ProviderKit

/// A public prefix as a pool uses it.
struct EgressPrefix: Sendable, Equatable {
    var id: ResourceID
    /// IPv4 CIDR.
    var block: String
    var length: Int
}

/// Makes, checks and removes public prefixes.
struct PrefixKeeper: Sendable {
    let client: ARMClient

    private var cloud: CloudConfiguration { client.configuration }

    /// The prefixes of our resource group by lower-case name: one call in place of one per configuration.
    func list(_ context: CallContext) async throws -> [String: ARMResource] {
        let id = cloud.id("Microsoft.Network", ["publicIPPrefixes"])
        let listed = try await client.list(id, version: APIVersion.network, deadline: context.deadline)
        let named = listed.map { ($0["name"]?.text?.lowercased() ?? "", ARMResource(body: $0)) }
        return Dictionary(named) { first, _ in first }
    }

    /// The managed prefix of one configuration, if it is among those listed and has addresses.
    func managed(_ uid: String, among listed: [String: ARMResource]) -> EgressPrefix? {
        listed[Names.managed(uid).lowercased()].flatMap { read($0.body, managedID(uid)) }
    }

    private func managedID(_ uid: String) -> ResourceID {
        cloud.id("Microsoft.Network", ["publicIPPrefixes", Names.managed(uid)])
    }

    /// The prefix of one configuration: the one the user brings, or a managed one; nil in private mode.
    ///
    /// - Parameter listed: the prefixes of our resource group as they were a moment ago.
    func ensure(
        _ item: NodePool.Desired, poolLength: Int?, listed: [String: ARMResource], _ context: CallContext
    ) async throws -> EgressPrefix? {
        guard item.publicIPs else { return nil }
        guard let length = item.prefixLength ?? poolLength else {
            throw ProviderError(
                .invalid,
                "prefixLength: is not set, and the pool has no tag \(Names.prefixLengthTag); one of them must "
                    + "be in 28..31", reason: .poolTagMissing)
        }
        guard (28...31).contains(length) else {
            throw ProviderError(
                .invalid, "prefixLength: \(length) is not in 28..31", reason: .prefixLengthInvalid)
        }
        if let given = item.prefixID, !given.isEmpty { return try await brought(given, length, context) }
        let first = FirstValue(listed[Names.managed(item.id).lowercased()])
        return try await retryingConflicts(host: context.host, deadline: context.deadline) {
            try await managed(item.id, length, first, context)
        }
    }

    /// A prefix of the user's: it must be in our subscription and as long as the pool's.
    private func brought(_ text: String, _ length: Int, _ context: CallContext) async throws -> EgressPrefix {
        guard let id = ResourceID(text), id.type == "publicipprefixes", id.provider.lowercased() == "microsoft.network"
        else {
            throw ProviderError(
                .invalid,
                "prefixID: \"\(text)\" must have the form /subscriptions/SUBSCRIPTION/resourceGroups/GROUP"
                    + "/providers/Microsoft.Network/publicIPPrefixes/NAME", reason: .prefixIDInvalid)
        }
        guard id.subscription.lowercased() == cloud.subscriptionID.lowercased() else {
            throw ProviderError(
                .invalid, "prefixID: subscription \(id.subscription) is not the gateway's own, \(cloud.subscriptionID)",
                reason: .foreignSubscription)
        }
        guard let resource = try await client.get(id, version: APIVersion.network, deadline: context.deadline) else {
            throw ProviderError(
                .retry, "prefixID: public IP prefix \(id.name) does not exist in resource group \(id.resourceGroup)",
                reason: .prefixNotFound)
        }
        guard let prefix = read(resource.body, id) else {
            throw ProviderError(.retry, "prefixID: public IP prefix \(id.name) has no addresses yet")
        }
        guard prefix.length == length else {
            throw ProviderError(
                .invalid, "prefixID: public IP prefix \(id.name) has length \(prefix.length); the pool needs \(length)",
                reason: .prefixLengthInvalid)
        }
        return prefix
    }

    /// The managed prefix, made if it is missing. An existing one is used whatever its length: its addresses are known
    /// to partners.
    private func managed(
        _ uid: String, _ length: Int, _ first: FirstValue<ARMResource?>, _ context: CallContext
    ) async throws -> EgressPrefix {
        let id = managedID(uid)
        let old: ARMResource?
        if let known = await first.take() {
            old = known
        } else {
            old = try await client.get(id, version: APIVersion.network, deadline: context.deadline)
        }
        if let old, !old.hasFailed {
            guard let prefix = read(old.body, id) else {
                throw ProviderError(.conflict, "public IP prefix \(id.name) is being written by somebody else")
            }
            return prefix
        }
        context.host.log(.info, "making public IP prefix", ["prefix": id.name, "length": "\(length)"])
        let made = try await client.put(
            id,
            [
                "location": .string(cloud.location), "sku": ["name": "Standard", "tier": "Regional"],
                "properties": ["prefixLength": .integer(Int64(length)), "publicIPAddressVersion": "IPv4"],
            ], version: APIVersion.network, replacing: old, deadline: context.deadline)
        guard let prefix = read(made.body, id) else {
            throw ProviderError(.retry, "public IP prefix \(id.name) has no addresses yet")
        }
        return prefix
    }

    /// Removes the managed prefix of one configuration, if there is one.
    ///
    /// - Parameter listed: the prefixes of our resource group as they were a moment ago; one that is not among them is
    ///   not asked for.
    func remove(_ uid: String, listed: [String: ARMResource], _ context: CallContext) async throws {
        let id = managedID(uid)
        guard listed[id.name.lowercased()] != nil else { return }
        try await retryingConflicts(host: context.host, deadline: context.deadline) {
            guard let old = try await client.get(id, version: APIVersion.network, deadline: context.deadline) else {
                return
            }
            context.host.log(.info, "deleting public IP prefix", ["prefix": id.name])
            try await client.delete(id, version: APIVersion.network, replacing: old, deadline: context.deadline)
        }
    }

    /// A prefix by its id; nil if it is not there or has no addresses.
    func get(_ id: ResourceID, _ context: CallContext) async throws -> EgressPrefix? {
        try await client.get(id, version: APIVersion.network, deadline: context.deadline).flatMap { read($0.body, id) }
    }

    private func read(_ body: JSONValue, _ id: ResourceID) -> EgressPrefix? {
        guard let block = body["properties.ipPrefix"]?.text, let length = body["properties.prefixLength"]?.int,
            body["properties.provisioningState"]?.text != "Deleting"
        else { return nil }
        return EgressPrefix(id: id, block: block, length: length)
    }
}
