/// Metadata every object has (`metav1.ObjectMeta`). Absent strings are empty, as in the Go types.
public struct ObjectMeta: Codable, Sendable, Equatable {
    /// Name, unique in the namespace for the kind.
    public var name: String
    /// Prefix from which the server makes a name when `name` is empty.
    public var generateName: String
    /// Namespace; empty for kinds without one.
    public var namespace: String
    /// Identity given by the server; never reused.
    public var uid: String {
        get { uniqueID.text }
        set { uniqueID = UniqueID(newValue) }
    }
    private var uniqueID: UniqueID
    /// Opaque version of the stored object; compare only for equality.
    public var resourceVersion: String
    /// Counts changes of the desired state; 0 if the server does not keep it.
    public var generation: Int64
    /// Labels, matched by label selectors.
    public var labels: [String: String]
    /// Annotations.
    public var annotations: [String: String]
    /// While one is left, deletion only marks the object.
    public var finalizers: [String]
    /// Objects whose disappearance removes this one.
    public var ownerReferences: [OwnerReference]
    /// When the server stored the object first.
    public var creationTimestamp: Timestamp?
    /// Set once deletion was asked for while finalizers were left.
    public var deletionTimestamp: Timestamp?

    /// Makes metadata; everything but the name is usually left to the default.
    public init(
        name: String = "", namespace: String = "", generateName: String = "", uid: String = "",
        resourceVersion: String = "", generation: Int64 = 0, labels: [String: String] = [:],
        annotations: [String: String] = [:], finalizers: [String] = [], ownerReferences: [OwnerReference] = [],
        creationTimestamp: Timestamp? = nil, deletionTimestamp: Timestamp? = nil
    ) {
        self.name = name
        self.generateName = generateName
        self.namespace = namespace
        uniqueID = UniqueID(uid)
        self.resourceVersion = resourceVersion
        self.generation = generation
        self.labels = labels
        self.annotations = annotations
        self.finalizers = finalizers
        self.ownerReferences = ownerReferences
        self.creationTimestamp = creationTimestamp
        self.deletionTimestamp = deletionTimestamp
    }

    private enum CodingKeys: String, CodingKey {
        case name, generateName, namespace, uid, resourceVersion, generation, labels, annotations, finalizers
        case ownerReferences, creationTimestamp, deletionTimestamp
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.value(.name, default: "")
        generateName = try container.value(.generateName, default: "")
        namespace = try container.value(.namespace, default: "")
        uniqueID = UniqueID(try container.value(.uid, default: ""))
        resourceVersion = try container.value(.resourceVersion, default: "")
        generation = try container.value(.generation, default: 0)
        labels = try container.value(.labels, default: [:])
        annotations = try container.value(.annotations, default: [:])
        finalizers = try container.value(.finalizers, default: [])
        ownerReferences = try container.value(.ownerReferences, default: [])
        creationTimestamp = try container.decodeIfPresent(Timestamp.self, forKey: .creationTimestamp)
        deletionTimestamp = try container.decodeIfPresent(Timestamp.self, forKey: .deletionTimestamp)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeUnlessEmpty(name, .name)
        try container.encodeUnlessEmpty(generateName, .generateName)
        try container.encodeUnlessEmpty(namespace, .namespace)
        try container.encodeUnlessEmpty(uid, .uid)
        try container.encodeUnlessEmpty(resourceVersion, .resourceVersion)
        if generation != 0 { try container.encode(generation, forKey: .generation) }
        try container.encodeUnlessEmpty(labels, .labels)
        try container.encodeUnlessEmpty(annotations, .annotations)
        try container.encodeUnlessEmpty(finalizers, .finalizers)
        try container.encodeUnlessEmpty(ownerReferences, .ownerReferences)
        try container.encodeIfPresent(creationTimestamp, forKey: .creationTimestamp)
        try container.encodeIfPresent(deletionTimestamp, forKey: .deletionTimestamp)
    }
}

/// Names the object that owns another one (`metav1.OwnerReference`).
public struct OwnerReference: Codable, Sendable, Equatable {
    /// `v1` or `group/version` of the owner.
    public var apiVersion: String
    /// Kind of the owner.
    public var kind: String
    /// Name of the owner, in the same namespace or without one.
    public var name: String
    /// Identity of the owner; a new object of the same name is another owner.
    public var uid: String {
        get { uniqueID.text }
        set { uniqueID = UniqueID(newValue) }
    }
    private var uniqueID: UniqueID
    /// True on the one owner that manages the object.
    public var controller: Bool?
    /// Whether deleting the owner in the foreground waits for this object.
    public var blockOwnerDeletion: Bool?

    /// Makes a reference; see ``KubernetesResource/ownerReference(controller:blockOwnerDeletion:)``.
    public init(
        apiVersion: String, kind: String, name: String, uid: String, controller: Bool? = nil,
        blockOwnerDeletion: Bool? = nil
    ) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.name = name
        uniqueID = UniqueID(uid)
        self.controller = controller
        self.blockOwnerDeletion = blockOwnerDeletion
    }

    private enum CodingKeys: String, CodingKey {
        case apiVersion, kind, name, uid, controller, blockOwnerDeletion
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        apiVersion = try container.decode(String.self, forKey: .apiVersion)
        kind = try container.decode(String.self, forKey: .kind)
        name = try container.decode(String.self, forKey: .name)
        uniqueID = UniqueID(try container.decode(String.self, forKey: .uid))
        controller = try container.decodeIfPresent(Bool.self, forKey: .controller)
        blockOwnerDeletion = try container.decodeIfPresent(Bool.self, forKey: .blockOwnerDeletion)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(apiVersion, forKey: .apiVersion)
        try container.encode(kind, forKey: .kind)
        try container.encode(name, forKey: .name)
        try container.encode(uid, forKey: .uid)
        try container.encodeIfPresent(controller, forKey: .controller)
        try container.encodeIfPresent(blockOwnerDeletion, forKey: .blockOwnerDeletion)
    }
}

/// Points at an object (`core/v1.ObjectReference`).
public struct ObjectReference: Codable, Sendable, Hashable {
    /// `v1` or `group/version`.
    public var apiVersion: String
    /// Kind.
    public var kind: String
    /// Namespace; empty for kinds without one.
    public var namespace: String
    /// Name.
    public var name: String
    /// Identity; empty if not known.
    public var uid: String
    /// Version; empty if not known.
    public var resourceVersion: String

    /// Makes a reference; nothing is looked up.
    public init(
        apiVersion: String = "", kind: String = "", namespace: String = "", name: String = "", uid: String = "",
        resourceVersion: String = ""
    ) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.resourceVersion = resourceVersion
    }

    private enum CodingKeys: String, CodingKey {
        case apiVersion, kind, namespace, name, uid, resourceVersion
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        apiVersion = try container.value(.apiVersion, default: "")
        kind = try container.value(.kind, default: "")
        namespace = try container.value(.namespace, default: "")
        name = try container.value(.name, default: "")
        uid = try container.value(.uid, default: "")
        resourceVersion = try container.value(.resourceVersion, default: "")
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeUnlessEmpty(apiVersion, .apiVersion)
        try container.encodeUnlessEmpty(kind, .kind)
        try container.encodeUnlessEmpty(namespace, .namespace)
        try container.encodeUnlessEmpty(name, .name)
        try container.encodeUnlessEmpty(uid, .uid)
        try container.encodeUnlessEmpty(resourceVersion, .resourceVersion)
    }
}
