import FoundationEssentials

/// A pod, as far as this project reads it. Change pods with merge patches only.
public struct Pod: KubernetesResource {
    public static let resourceType = ResourceType(
        group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true)

    public var metadata: ObjectMeta
    /// Desired state.
    public var spec: PodSpec?
    /// Observed state.
    public var status: PodStatus?

    /// Makes an object that no server knows yet.
    public init(metadata: ObjectMeta, spec: PodSpec? = nil, status: PodStatus? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }
}

/// Desired state of a ``Pod``.
public struct PodSpec: Codable, Sendable, Equatable {
    /// Node the pod is bound to; nil until scheduled.
    public var nodeName: String?
    /// True: the pod has no network namespace of its own.
    public var hostNetwork: Bool?
    /// Containers.
    public var containers: [Container]

    /// Makes a spec.
    public init(nodeName: String? = nil, hostNetwork: Bool? = nil, containers: [Container] = []) {
        self.nodeName = nodeName
        self.hostNetwork = hostNetwork
        self.containers = containers
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        nodeName = try container.decodeIfPresent(String.self, forKey: .nodeName)
        hostNetwork = try container.decodeIfPresent(Bool.self, forKey: .hostNetwork)
        containers = try container.value(.containers, default: [])
    }
}

/// A container of a pod, by name and image.
public struct Container: Codable, Sendable, Equatable {
    /// Name, unique in the pod.
    public var name: String
    /// Image reference.
    public var image: String?
    /// Replaces the image's entry point.
    public var command: [String]?

    /// Makes a container.
    public init(name: String, image: String? = nil, command: [String]? = nil) {
        self.name = name
        self.image = image
        self.command = command
    }
}

/// Observed state of a ``Pod``.
public struct PodStatus: Codable, Sendable, Equatable {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    public var phase: String?
    /// First address; nil until attached.
    public var podIP: String?
    /// Address of the node.
    public var hostIP: String?
    /// A sentence about the phase.
    public var message: String?
    /// Conditions.
    public var conditions: [Condition]?

    /// Makes a status.
    public init(
        phase: String? = nil, podIP: String? = nil, hostIP: String? = nil, message: String? = nil,
        conditions: [Condition]? = nil
    ) {
        self.phase = phase
        self.podIP = podIP
        self.hostIP = hostIP
        self.message = message
        self.conditions = conditions
    }
}

/// A node, as far as this project reads it. Change nodes with merge patches only.
public struct Node: KubernetesResource {
    public static let resourceType = ResourceType(
        group: "", version: "v1", kind: "Node", plural: "nodes", namespaced: false)

    public var metadata: ObjectMeta
    /// Desired state.
    public var spec: NodeSpec?
    /// Observed state.
    public var status: NodeStatus?

    /// Makes an object that no server knows yet.
    public init(metadata: ObjectMeta, spec: NodeSpec? = nil, status: NodeStatus? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }
}

/// Desired state of a ``Node``.
public struct NodeSpec: Codable, Sendable, Equatable {
    /// Pod network of the node.
    public var podCIDR: String?
    /// Pod networks of the node, one per address family.
    public var podCIDRs: [String]?
    /// Cloud identity.
    public var providerID: String?
    /// Taints.
    public var taints: [Taint]?

    /// Makes a spec.
    public init(
        podCIDR: String? = nil, podCIDRs: [String]? = nil, providerID: String? = nil, taints: [Taint]? = nil
    ) {
        self.podCIDR = podCIDR
        self.podCIDRs = podCIDRs
        self.providerID = providerID
        self.taints = taints
    }
}

/// Keeps pods off a node.
public struct Taint: Codable, Sendable, Equatable {
    /// Key.
    public var key: String
    /// Value.
    public var value: String?
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    public var effect: String

    /// Makes a taint.
    public init(key: String, value: String? = nil, effect: String) {
        self.key = key
        self.value = value
        self.effect = effect
    }
}

/// Observed state of a ``Node``.
public struct NodeStatus: Codable, Sendable, Equatable {
    /// Addresses by type.
    public var addresses: [NodeAddress]?
    /// Conditions.
    public var conditions: [Condition]?

    /// Makes a status.
    public init(addresses: [NodeAddress]? = nil, conditions: [Condition]? = nil) {
        self.addresses = addresses
        self.conditions = conditions
    }
}

/// One address of a node.
public struct NodeAddress: Codable, Sendable, Equatable {
    /// `InternalIP`, `ExternalIP` or `Hostname`.
    public var type: String
    /// The address.
    public var address: String

    /// Makes an address.
    public init(type: String, address: String) {
        self.type = type
        self.address = address
    }
}

/// A namespace, for its labels and annotations.
public struct Namespace: KubernetesResource {
    public static let resourceType = ResourceType(
        group: "", version: "v1", kind: "Namespace", plural: "namespaces", namespaced: false)

    public var metadata: ObjectMeta

    /// Makes an object that no server knows yet.
    public init(metadata: ObjectMeta) {
        self.metadata = metadata
    }
}

/// A Secret. Its description never shows the values.
public struct Secret: KubernetesResource, CustomStringConvertible, CustomReflectable {
    public static let resourceType = ResourceType(
        group: "", version: "v1", kind: "Secret", plural: "secrets", namespaced: true)

    public var metadata: ObjectMeta
    /// Type; nil lets the server say `Opaque`.
    public var type: String?
    /// Values by key; base64 on the wire.
    public var data: [String: Data]

    /// Makes an object that no server knows yet.
    public init(metadata: ObjectMeta, type: String? = nil, data: [String: Data] = [:]) {
        self.metadata = metadata
        self.type = type
        self.data = data
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.value(.metadata, default: ObjectMeta())
        type = try container.decodeIfPresent(String.self, forKey: .type)
        data = try container.value(.data, default: [:])
    }

    public var description: String { "Secret \(qualifiedName) with keys \(data.keys.sorted())" }

    public var customMirror: Mirror { Mirror(self, children: ["metadata": metadata.name]) }
}
