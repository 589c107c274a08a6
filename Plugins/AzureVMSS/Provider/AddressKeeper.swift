import AzureARM
import JSONModel
import ProviderKit

/// Makes and removes the public addresses of standalone network interfaces: one resource per network interface and
/// prefix, named after both (upstream behaviour section 2.2).
struct AddressKeeper: Sendable {
    let client: ARMClient

    /// The public addresses of our resource group, by lower-case name.
    typealias Listing = [String: ARMResource]

    func list(_ context: CallContext) async throws -> Listing {
        let id = client.configuration.id("Microsoft.Network", ["publicIPAddresses"])
        let listed = try await client.list(id, version: APIVersion.network, deadline: context.deadline)
        let named = listed.map { ($0["name"]?.text?.lowercased() ?? "", ARMResource(body: $0)) }
        return Dictionary(named) { first, _ in first }
    }

    func id(prefixName: String, networkInterface: String) -> ResourceID {
        id(Names.publicAddress(prefix: prefixName, networkInterface: networkInterface))
    }

    func id(_ name: String) -> ResourceID {
        client.configuration.id("Microsoft.Network", ["publicIPAddresses", name])
    }

    /// Whether a name is one that we give to addresses of this network interface, whatever the prefix.
    static func isOurs(_ name: String, networkInterface: String) -> Bool {
        let ending = Names.publicAddress(prefix: "", networkInterface: networkInterface)
        return name.lowercased().hasSuffix(ending.lowercased()) && name.utf8.count > ending.utf8.count
    }

    /// The public address of one network interface out of a prefix, made if it is missing.
    ///
    /// - Throws: ``ProviderError`` if an address of that name belongs to another prefix.
    func ensure(
        _ id: ResourceID, of prefix: EgressPrefix, listed: Listing, _ context: CallContext
    ) async throws {
        let first = FirstValue(listed[id.name.lowercased()])
        try await retryingConflicts(host: context.host, deadline: context.deadline) {
            let old: ARMResource?
            if let known = await first.take() {
                old = known
            } else {
                old = try await client.get(id, version: APIVersion.network, deadline: context.deadline)
            }
            if let old {
                let source = old.body["properties.publicIPPrefix.id"]?.text.flatMap(ResourceID.init)
                guard source == prefix.id else {
                    throw ProviderError(
                        .terminal,
                        "prefixID: public IP address \(id.name) belongs to prefix \(source?.name ?? "none"), not to "
                            + "\(prefix.id.name); remove it, or use a prefix of another name", reason: .prefixMismatch)
                }
                if old.isSettled, !old.hasFailed { return }
            }
            context.host.log(.info, "making public IP address", ["address": id.name, "prefix": prefix.id.name])
            _ = try await client.put(
                id, Self.body(prefix, location: client.configuration.location), version: APIVersion.network,
                replacing: old, deadline: context.deadline)
        }
    }

    private static func body(_ prefix: EgressPrefix, location: String) -> JSONValue {
        [
            "location": .string(location), "sku": ["name": "Standard", "tier": "Regional"],
            "properties": [
                "publicIPAddressVersion": .string(prefix.family.rawValue), "publicIPAllocationMethod": "Static",
                "publicIPPrefix": ["id": .string(prefix.id.description)],
            ],
        ]
    }

    /// Removes a public address, if it is there.
    func remove(_ name: String, _ context: CallContext) async throws {
        try await retryingConflicts(host: context.host, deadline: context.deadline) {
            let id = id(name)
            guard let old = try await client.get(id, version: APIVersion.network, deadline: context.deadline) else {
                return
            }
            context.host.log(.info, "deleting public IP address", ["address": name])
            try await client.delete(id, version: APIVersion.network, replacing: old, deadline: context.deadline)
        }
    }
}
