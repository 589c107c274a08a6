import JSONModel
import ProviderKit

/// A gateway pool made of a uniform scale set.
public struct ScaleSetPool: Sendable, Equatable {
    public var id: ResourceID
    /// The scale set as it was read.
    public var resource: ARMResource
    /// `properties.uniqueId`: names the frontend and the backend pool.
    public var uniqueID: String

    /// Length of public prefixes from the pool's tag; nil if it has none.
    public var taggedPrefixLength: Int? {
        tag(Names.prefixLengthTag, of: resource.body).flatMap { Int($0) }
    }

    /// Whether AKS has tagged the scale set as a node pool of a cluster.
    public var isNodePool: Bool { tag(Names.poolTag, of: resource.body) != nil }

    /// The ipConfigurations of the model's network interfaces.
    public var modelConfigurations: [JSONValue] {
        let path = "properties.virtualMachineProfile.networkProfile.networkInterfaceConfigurations"
        return (resource.body[path]?.elements ?? []).flatMap { $0["properties.ipConfigurations"]?.elements ?? [] }
    }
}

/// What became of looking for a pool.
public enum PoolLookup: Sendable {
    case found(ScaleSetPool)
    /// Nothing in the cloud answers to the selector.
    case missing(ProviderError)
    case failed(ProviderError)

    /// The pool, or why there is none.
    public func get() throws -> ScaleSetPool {
        switch self {
        case .found(let pool): return pool
        case .missing(let error), .failed(let error): throw error
        }
    }
}

/// Finds gateway pools: by AKS node pool name (a tag), or by scale set.
public struct PoolDirectory: Sendable {
    private let client: ARMClient

    public init(client: ARMClient) {
        self.client = client
    }

    /// Each selector's pool, or why it has none. One list call serves all selectors by name.
    public func find(
        _ selectors: Set<PoolSelector>, deadline: HostInstant
    ) async throws -> [PoolSelector: PoolLookup] {
        var result: [PoolSelector: PoolLookup] = [:]
        let scaleSets = client.configuration.id("Microsoft.Compute", ["virtualMachineScaleSets"])
        var tagged: [JSONValue] = []
        if selectors.contains(where: { $0.nodepoolName != nil }) {
            tagged = try await client.list(scaleSets, version: APIVersion.compute, deadline: deadline)
        }
        for selector in selectors {
            do {
                result[selector] = try await find(selector, among: tagged, deadline: deadline)
            } catch {
                result[selector] = .failed(ProviderError(error))
            }
        }
        return result
    }

    /// Every scale set of our resource group, a gateway pool or not: one list call.
    public func all(deadline: HostInstant) async throws -> [ScaleSetPool] {
        let scaleSets = client.configuration.id("Microsoft.Compute", ["virtualMachineScaleSets"])
        return try await client.list(scaleSets, version: APIVersion.compute, deadline: deadline)
            .compactMap { try? pool(ARMResource(body: $0)) }
    }

    private func find(
        _ selector: PoolSelector, among tagged: [JSONValue], deadline: HostInstant
    ) async throws -> PoolLookup {
        if let wanted = selector.scaleSet {
            let id = client.configuration.id(
                "Microsoft.Compute", ["virtualMachineScaleSets", wanted.name],
                resourceGroup: wanted.resourceGroup.isEmpty ? nil : wanted.resourceGroup)
            guard let resource = try await client.get(id, version: APIVersion.compute, deadline: deadline) else {
                return .missing(
                    ProviderError(
                        .retry, "pool.scaleSet: \(wanted.name) does not exist in resource group \(id.resourceGroup)",
                        reason: .poolNotFound))
            }
            return .found(try pool(resource))
        }
        guard let name = selector.nodepoolName, !name.isEmpty else {
            throw ProviderError(.invalid, "pool: one of nodepoolName and scaleSet must be set")
        }
        if let body = tagged.first(where: { carries(name, $0) }) {
            return .found(try pool(ARMResource(body: body)))
        }
        let machines = try await client.list(
            client.configuration.id("Microsoft.Compute", ["virtualMachines"]), version: APIVersion.compute,
            deadline: deadline)
        if machines.contains(where: { carries(name, $0) }) {
            throw ProviderError(
                .unsupported,
                "pool.nodepoolName: \"\(name)\" is made of standalone virtual machines, which are not "
                    + "supported yet; use a pool of a scale set", reason: .poolUnsupported)
        }
        return .missing(
            ProviderError(
                .retry,
                "pool.nodepoolName: no scale set in resource group \(client.configuration.resourceGroup) has "
                    + "the tag \(Names.poolTag) \"\(name)\"", reason: .poolNotFound))
    }

    private func carries(_ name: String, _ resource: JSONValue) -> Bool {
        tag(Names.poolTag, of: resource)?.lowercased() == name.lowercased()
    }

    private func pool(_ resource: ARMResource) throws -> ScaleSetPool {
        guard let id = resource.body["id"]?.text.flatMap(ResourceID.init),
            let uniqueID = resource.body["properties.uniqueId"]?.text, !uniqueID.isEmpty
        else { throw ProviderError(.retry, "scale set \(resource.body["name"]?.text ?? ""): has no id or uniqueId") }
        return ScaleSetPool(id: id, resource: resource, uniqueID: uniqueID)
    }
}

/// A tag's value; tag names compare without case.
private func tag(_ name: String, of resource: JSONValue) -> String? {
    resource["tags"]?.members?.first { $0.key.lowercased() == name.lowercased() }?.value.text
}
