import JSONModel
import ProviderKit

/// Finds gateway pools: by AKS node pool name (a tag), or by scale set.
///
/// A name that both a scale set and standalone machines carry means the scale set. (The Go system's two controllers
/// disagree about it, upstream behaviour Q-57.)
public struct PoolDirectory: Sendable {
    private let client: ARMClient

    public init(client: ARMClient) {
        self.client = client
    }

    /// What carries names of pools, each list read only if the ones before do not answer for every selector: listing
    /// machines is the dearest read of all.
    private struct Listing {
        var scaleSets: [JSONValue] = []
        var machines: [JSONValue] = []
        var interfaces: [JSONValue] = []
    }

    /// Each selector's pool, or why it has none. One list call serves all selectors by name.
    public func find(
        _ selectors: Set<PoolSelector>, deadline: HostInstant
    ) async throws -> [PoolSelector: PoolLookup] {
        let names = Set(selectors.compactMap(\.nodepoolName))
        var listing = Listing()
        if !names.isEmpty {
            listing.scaleSets = try await list("Microsoft.Compute", "virtualMachineScaleSets", deadline)
            if let lost = Self.lost(names, listing.scaleSets) {
                listing.machines = try await list("Microsoft.Compute", "virtualMachines", deadline)
                // Machines come and go; the network interfaces of a pool stay, and what we put on them.
                if Self.lost(lost, listing.machines) != nil {
                    listing.interfaces = try await list("Microsoft.Network", "networkInterfaces", deadline)
                }
            }
        }
        var result: [PoolSelector: PoolLookup] = [:]
        for selector in selectors {
            do {
                result[selector] = try await find(selector, in: listing, deadline: deadline)
            } catch {
                result[selector] = .failed(ProviderError(error))
            }
        }
        return result
    }

    /// Every scale set of our resource group, a gateway pool or not: one list call.
    public func allScaleSets(deadline: HostInstant) async throws -> [ScaleSetPool] {
        try await list("Microsoft.Compute", "virtualMachineScaleSets", deadline)
            .compactMap { try? pool(ARMResource(body: $0)) }
    }

    private func list(_ provider: String, _ type: String, _ deadline: HostInstant) async throws -> [JSONValue] {
        let version = provider == "Microsoft.Network" ? APIVersion.network : APIVersion.compute
        return try await client.list(client.configuration.id(provider, [type]), version: version, deadline: deadline)
    }

    /// The names that nothing in the list carries; nil if there are none.
    private static func lost(_ names: Set<String>, _ resources: [JSONValue]) -> Set<String>? {
        let lost = names.filter { name in !resources.contains { Tags.isPool(name, $0) } }
        return lost.isEmpty ? nil : lost
    }

    private func find(
        _ selector: PoolSelector, in listing: Listing, deadline: HostInstant
    ) async throws -> PoolLookup {
        if let wanted = selector.scaleSet {
            for (field, value) in [("name", wanted.name), ("resourceGroup", wanted.resourceGroup)]
            where !ResourceID.isName(value) && !(value.isEmpty && field == "resourceGroup") {
                throw ProviderError(
                    .invalid, "pool.scaleSet.\(field): \"\(value.prefix(100))\" is no name of Azure's",
                    reason: .poolNotFound)
            }
            let id = client.configuration.id(
                "Microsoft.Compute", ["virtualMachineScaleSets", wanted.name],
                resourceGroup: wanted.resourceGroup.isEmpty ? nil : wanted.resourceGroup)
            guard let resource = try await client.get(id, version: APIVersion.compute, deadline: deadline) else {
                return .missing(
                    ProviderError(
                        .retry, "pool.scaleSet: \(wanted.name) does not exist in resource group \(id.resourceGroup)",
                        reason: .poolNotFound))
            }
            return .found(.scaleSet(try pool(resource)))
        }
        guard let name = selector.nodepoolName, !name.isEmpty else {
            throw ProviderError(.invalid, "pool: one of nodepoolName and scaleSet must be set")
        }
        if let body = listing.scaleSets.first(where: { Tags.isPool(name, $0) }) {
            return .found(.scaleSet(try pool(ARMResource(body: body))))
        }
        let machines = listing.machines.filter { Tags.isPool(name, $0) }
        guard !machines.isEmpty || listing.interfaces.contains(where: { Tags.isGatewayInterface($0, of: name) }) else {
            return .missing(
                ProviderError(
                    .retry,
                    "pool.nodepoolName: no scale set or virtual machine in resource group "
                        + "\(client.configuration.resourceGroup) has the tag \(Tags.pool) \"\(name)\"",
                    reason: .poolNotFound))
        }
        return .found(
            .machines(
                MachinePool(
                    name: name, taggedPrefixLength: machines.lazy.compactMap(Tags.prefixLength).first)))
    }

    private func pool(_ resource: ARMResource) throws -> ScaleSetPool {
        guard let id = resource.body["id"]?.text.flatMap(ResourceID.init),
            let uniqueID = resource.body["properties.uniqueId"]?.text, !uniqueID.isEmpty
        else { throw ProviderError(.retry, "scale set \(resource.body["name"]?.text ?? ""): has no id or uniqueId") }
        return ScaleSetPool(id: id, resource: resource, uniqueID: uniqueID)
    }
}
