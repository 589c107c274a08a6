import JSONModel
import ProviderKit

/// Where gateways run.
public enum GatewayPool: Sendable, Equatable {
    case scaleSet(ScaleSetPool)
    case machines(MachinePool)

    /// Names the frontend and the backend pool (upstream behaviour section 2.2).
    public var uniqueID: String {
        switch self {
        case .scaleSet(let pool): pool.uniqueID
        case .machines(let pool): pool.uniqueID
        }
    }

    /// Length of public prefixes from the pool's tag; nil if it has none.
    public var taggedPrefixLength: Int? {
        switch self {
        case .scaleSet(let pool): Tags.prefixLength(pool.resource.body)
        case .machines(let pool): pool.taggedPrefixLength
        }
    }
}

/// A gateway pool made of a uniform scale set.
public struct ScaleSetPool: Sendable, Equatable {
    public var id: ResourceID
    /// The scale set as it was read.
    public var resource: ARMResource
    /// `properties.uniqueId`.
    public var uniqueID: String

    /// Whether AKS has tagged the scale set as a node pool of a cluster.
    public var isNodePool: Bool { Tags.value(Tags.pool, of: resource.body) != nil }

    /// The network interfaces of the model.
    public var modelInterfaces: [JSONValue] {
        let path = "properties.virtualMachineProfile.networkProfile.networkInterfaceConfigurations"
        return resource.body[path]?.elements ?? []
    }

    /// The ipConfigurations of the model's network interfaces.
    public var modelConfigurations: [JSONValue] {
        modelInterfaces.flatMap { $0["properties.ipConfigurations"]?.elements ?? [] }
    }
}

/// A gateway pool made of standalone machines: an AKS node pool of type VirtualMachines (upstream behaviour section 3.5).
public struct MachinePool: Sendable, Equatable {
    /// As the selector has it; the case counts for ``uniqueID``, as in the Go system.
    public var name: String
    /// From the tag of a machine; nil if none has it.
    public var taggedPrefixLength: Int?

    public init(name: String, taggedPrefixLength: Int? = nil) {
        self.name = name
        self.taggedPrefixLength = taggedPrefixLength
    }

    public var uniqueID: String { Names.virtualMachinePoolID(name) }
}

/// What became of looking for a pool.
public enum PoolLookup: Sendable {
    case found(GatewayPool)
    /// Nothing in the cloud answers to the selector.
    case missing(ProviderError)
    case failed(ProviderError)

    /// The pool, or why there is none.
    public func get() throws -> GatewayPool {
        switch self {
        case .found(let pool): return pool
        case .missing(let error), .failed(let error): throw error
        }
    }
}

/// Tags that AKS gives gateway pools (upstream behaviour section 2.2); names and pool names compare without case.
public enum Tags {
    public static let pool = "aks-managed-poolName"
    public static let prefixLength = "aks-managed-gatewayIPPrefixSize"
    /// Its presence marks a network interface as one that carries gateways.
    public static let gatewayInterface = "aks-managed-static-gateway-nic"

    public static func value(_ name: String, of resource: JSONValue) -> String? {
        resource["tags"]?.members?.first { $0.key.lowercased() == name.lowercased() }?.value.text
    }

    static func isPool(_ name: String, _ resource: JSONValue) -> Bool {
        value(pool, of: resource)?.lowercased() == name.lowercased()
    }

    public static func isGatewayInterface(_ interface: JSONValue, of pool: String) -> Bool {
        isPool(pool, interface) && value(gatewayInterface, of: interface) != nil
    }

    static func prefixLength(_ resource: JSONValue) -> Int? {
        value(prefixLength, of: resource).flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
    }
}
