import Kubernetes

/// Names one object of a kind; what queues carry. It holds no state, so a reconcile always reads the latest.
///
/// A key is looked up, copied and compared several times in each run, so its texts are hashed once, when it is made,
/// and a copy is one reference.
public struct ObjectKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    private final class Parts: Sendable {
        let namespace: String
        let name: String
        let hash: Int

        init(_ namespace: String, _ name: String) {
            self.namespace = namespace
            self.name = name
            // Names come from whoever may create objects, so the hash is the library's seeded one.
            var hasher = Hasher()
            hasher.combine(namespace)
            hasher.combine(name)
            hash = hasher.finalize()
        }
    }

    private let parts: Parts

    /// Namespace; empty for kinds without one.
    public var namespace: String { parts.namespace }
    /// Name.
    public var name: String { parts.name }

    /// Makes a key; nothing is looked up.
    public init(namespace: String, name: String) {
        parts = Parts(namespace, name)
    }

    /// The key of an object.
    public init(_ object: some KubernetesResource) {
        self.init(namespace: object.metadata.namespace, name: object.metadata.name)
    }

    public var description: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }

    public func hash(into hasher: inout Hasher) { hasher.combine(parts.hash) }

    public var hashValue: Int { parts.hash }

    public static func == (left: ObjectKey, right: ObjectKey) -> Bool {
        left.parts === right.parts
            || left.parts.hash == right.parts.hash && left.name == right.name && left.namespace == right.namespace
    }

    public static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}
