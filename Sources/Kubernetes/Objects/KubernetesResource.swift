/// The names by which an API server serves one kind of object.
public struct ResourceType: Sendable, Hashable {
    /// API group; empty for the core group.
    public let group: String
    /// API version inside the group, such as `v1`.
    public let version: String
    /// Kind as written in manifests, such as `Pod`.
    public let kind: String
    /// Plural used in request paths, such as `pods`.
    public let plural: String
    /// Whether objects of this kind live in a namespace.
    public let namespaced: Bool

    /// Names a kind; nothing is looked up.
    public init(group: String, version: String, kind: String, plural: String, namespaced: Bool) {
        self.group = group
        self.version = version
        self.kind = kind
        self.plural = plural
        self.namespaced = namespaced
    }

    /// The `apiVersion` of a manifest: `v1`, or `group/version`.
    public var apiVersion: String {
        group.isEmpty ? version : "\(group)/\(version)"
    }
}

/// One kind of Kubernetes object as a Swift value.
///
/// Encoding the value alone leaves out `apiVersion` and `kind`; ``KubernetesJSON/encode(_:)`` and the client add them.
/// Values carry only the fields this project reads. A whole-object update of a kind that others also write (Pod, Node)
/// would drop the rest, so such objects are changed with merge patches.
public protocol KubernetesResource: Codable, Sendable, Equatable {
    /// The names by which an API server serves this kind.
    static var resourceType: ResourceType { get }
    /// Name, namespace, labels and bookkeeping of the object.
    var metadata: ObjectMeta { get set }
}

extension KubernetesResource {
    /// `namespace/name`, or the name alone for an object without a namespace.
    public var qualifiedName: String {
        metadata.namespace.isEmpty ? metadata.name : "\(metadata.namespace)/\(metadata.name)"
    }

    /// A reference to this object for an Event or a field such as `privateKeySecretRef`.
    public var objectReference: ObjectReference {
        ObjectReference(
            apiVersion: Self.resourceType.apiVersion, kind: Self.resourceType.kind, namespace: metadata.namespace,
            name: metadata.name, uid: metadata.uid, resourceVersion: metadata.resourceVersion)
    }

    /// An owner reference to this object; with the defaults, the object controls what it is put on.
    public func ownerReference(controller: Bool = true, blockOwnerDeletion: Bool = true) -> OwnerReference {
        OwnerReference(
            apiVersion: Self.resourceType.apiVersion, kind: Self.resourceType.kind, name: metadata.name,
            uid: metadata.uid, controller: controller ? true : nil,
            blockOwnerDeletion: blockOwnerDeletion ? true : nil)
    }
}

/// A list as an API server answers it: one page, or all pages put together by the client.
public struct ResourceList<Resource: KubernetesResource>: Sendable {
    /// The objects, in the server's order.
    public var items: [Resource]
    /// The version at which a watch continues this list.
    public var resourceVersion: String
    /// Objects the server sent that could not be decoded; they are left out of `items`.
    public var undecodable: [UndecodableObject]

    /// Puts a list together; for clients and tests.
    public init(items: [Resource], resourceVersion: String, undecodable: [UndecodableObject] = []) {
        self.items = items
        self.resourceVersion = resourceVersion
        self.undecodable = undecodable
    }
}

/// An object that is there but does not have the shape its kind should have; the rest of the list or watch goes on.
public struct UndecodableObject: Sendable, Equatable {
    /// Namespace as far as it could be read; empty if not.
    public let namespace: String
    /// Name as far as it could be read; empty if not.
    public let name: String
    /// Which field was wrong and what was expected.
    public let reason: String

    /// Describes one such object.
    public init(namespace: String, name: String, reason: String) {
        self.namespace = namespace
        self.name = name
        self.reason = reason
    }
}
