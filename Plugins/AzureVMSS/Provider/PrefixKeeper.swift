import AzureARM
import JSONModel
import ProviderKit

/// Makes, finds and removes public prefixes.
struct PrefixKeeper: Sendable {
    let client: ARMClient
    let addresses: AddressKeeper

    /// The prefixes of our resource group, by lower-case name.
    typealias Listing = [String: ARMResource]

    private var cloud: CloudConfiguration { client.configuration }

    /// One call in place of one per configuration.
    func list(_ context: CallContext) async throws -> Listing {
        let id = cloud.id("Microsoft.Network", ["publicIPPrefixes"])
        let listed = try await client.list(id, version: APIVersion.network, deadline: context.deadline)
        let named = listed.map { ($0["name"]?.text?.lowercased() ?? "", ARMResource(body: $0)) }
        return Dictionary(named) { first, _ in first }
    }

    func id(_ name: String) -> ResourceID { cloud.id("Microsoft.Network", ["publicIPPrefixes", name]) }

    /// A prefix of our resource group, if it is among those listed and has addresses.
    func find(_ name: String, among listed: Listing) -> EgressPrefix? {
        listed[name.lowercased()].flatMap { EgressPrefix($0.body, id(name)) }
    }

    /// The item with its prefixes, made where they are missing.
    ///
    /// - Parameters:
    ///   - nodes: how many addresses each prefix needs.
    ///   - listed: the prefixes of our resource group as they were a moment ago.
    func ensure(
        _ item: NodePool.Desired, _ request: PrefixRequest, nodes: Int, listed: Listing, _ context: CallContext
    ) async throws -> ReadyItem {
        var ready = ReadyItem(item: item)
        guard let length = request.length else { return ready }
        if let id = request.brought {
            ready.prefix = try await brought(id, request, listed: listed, context)
        } else {
            let name = Names.managed(item.id)
            // A prefix that is there is used whatever its length: its addresses are known to partners.
            try find(name, among: listed)?.checkRoom(for: nodes)
            if find(name, among: listed) == nil { try Self.checkRoom(length, nodes) }
            ready.prefix = try await managed(name, length, .ipv4, listed: listed, context)
        }
        try ready.prefix?.checkRoom(for: nodes)
        if let length = request.lengthV6 {
            ready.prefixV6 = try await managed(Names.managedIPv6(item.id), length, .ipv6, listed: listed, context)
            try ready.prefixV6?.checkRoom(for: nodes)
        }
        return ready
    }

    /// What would be made too small is told before it is made.
    private static func checkRoom(_ length: Int, _ nodes: Int) throws {
        guard nodes > 1 << (32 - length) else { return }
        throw ProviderError(
            .terminal,
            "prefixLength: a prefix of length \(length) has \(1 << (32 - length)) addresses; the pool has \(nodes) "
                + "nodes, and each needs one", reason: .prefixExhausted)
    }

    /// The prefix that the user brings: it must be there and fit.
    func brought(
        _ id: ResourceID, _ request: PrefixRequest, listed: Listing, _ context: CallContext
    ) async throws -> EgressPrefix {
        let isOurs = id == self.id(id.name)
        let found: JSONValue?
        if isOurs, let known = listed[id.name.lowercased()] {
            found = known.body
        } else {
            found = try await client.get(id, version: APIVersion.network, deadline: context.deadline)?.body
        }
        guard let found else {
            throw ProviderError(
                .retry, "prefixID: public IP prefix \(id.name) does not exist in resource group \(id.resourceGroup)",
                reason: .prefixNotFound)
        }
        return try request.accept(found, id, location: cloud.location)
    }

    private func managed(
        _ name: String, _ length: Int, _ family: NodePool.IPFamily, listed: Listing, _ context: CallContext
    ) async throws -> EgressPrefix {
        let first = FirstValue(listed[name.lowercased()])
        return try await retryingConflicts(host: context.host, deadline: context.deadline) {
            try await make(id(name), length, family, first, context)
        }
    }

    private func make(
        _ id: ResourceID, _ length: Int, _ family: NodePool.IPFamily, _ first: FirstValue<ARMResource?>,
        _ context: CallContext
    ) async throws -> EgressPrefix {
        let old: ARMResource?
        if let known = await first.take() {
            old = known
        } else {
            old = try await client.get(id, version: APIVersion.network, deadline: context.deadline)
        }
        if let old, !old.hasFailed {
            guard let prefix = EgressPrefix(old.body, id) else {
                throw ProviderError(.conflict, "public IP prefix \(id.name) is being written by somebody else")
            }
            return prefix
        }
        context.host.log(.info, "making public IP prefix", ["prefix": id.name, "length": "\(length)"])
        let made = try await client.put(
            id,
            [
                "location": .string(cloud.location), "sku": ["name": "Standard", "tier": "Regional"],
                "properties": [
                    "prefixLength": .integer(Int64(length)), "publicIPAddressVersion": .string(family.rawValue),
                ],
            ], version: APIVersion.network, replacing: old, deadline: context.deadline)
        guard let prefix = EgressPrefix(made.body, id) else {
            throw ProviderError(.retry, "public IP prefix \(id.name) has no addresses yet")
        }
        return prefix
    }

    // MARK: - Remove

    /// Removes managed prefixes, if they are there, each after the addresses that we made of it (upstream behaviour
    /// section 3.3).
    ///
    /// - Parameter listed: the prefixes of our resource group as they were a moment ago; one that is not among them is
    ///   not asked for.
    func remove(_ names: [String], listed: Listing, _ context: CallContext) async throws {
        for name in names where listed[name.lowercased()] != nil {
            try await remove(id(name), context)
        }
    }

    private func remove(_ id: ResourceID, _ context: CallContext) async throws {
        try await retryingConflicts(host: context.host, deadline: context.deadline) {
            guard var old = try await client.get(id, version: APIVersion.network, deadline: context.deadline) else {
                return
            }
            let made = Self.addressResources(of: old.body, prefix: id.name)
            for name in made { try await addresses.remove(name, context) }
            if !made.isEmpty {
                // Its etag has changed with the addresses.
                guard let fresh = try await client.get(id, version: APIVersion.network, deadline: context.deadline)
                else { return }
                old = fresh
            }
            context.host.log(.info, "deleting public IP prefix", ["prefix": id.name])
            try await client.delete(id, version: APIVersion.network, replacing: old, deadline: context.deadline)
        }
    }

    /// The public address resources of a prefix that carry a name that we give. Addresses of instances go with their
    /// ipConfigurations and are no resources.
    private static func addressResources(of body: JSONValue, prefix: String) -> [String] {
        (body["properties.publicIPAddresses"]?.elements ?? []).compactMap { reference in
            guard let id = reference["id"]?.text.flatMap(ResourceID.init), id.type == "publicipaddresses",
                id.name.lowercased().hasPrefix("\(prefix.lowercased())-")
            else { return nil }
            return id.name
        }
    }
}
