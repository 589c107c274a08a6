import Kubernetes

/// Names one object of a kind; what queues carry. It holds no state, so a reconcile always reads the latest.
public struct ObjectKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Namespace; empty for kinds without one.
    public let namespace: String
    /// Name.
    public let name: String

    /// Makes a key; nothing is looked up.
    public init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }

    /// The key of an object.
    public init(_ object: some KubernetesResource) {
        self.init(namespace: object.metadata.namespace, name: object.metadata.name)
    }

    public var description: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }

    public static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}
