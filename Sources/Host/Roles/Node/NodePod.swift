import Kubernetes

/// A pod as the node role needs it: who it is, and which gateway it asks for. The rest, most of all what makes pods large,
/// is dropped when it is read.
struct NodePod: KubernetesResource {
    static let resourceType = Pod.resourceType

    var metadata: ObjectMeta

    /// Keeps what the node role needs.
    init(metadata full: ObjectMeta) {
        let annotation = CNIRequestHandler.annotation
        metadata = ObjectMeta(
            name: full.name, namespace: full.namespace, uid: full.uid, resourceVersion: full.resourceVersion,
            annotations: full.annotations.filter { $0.key == annotation })
    }

    init(from decoder: any Decoder) throws {
        self.init(metadata: try decoder.container(keyedBy: CodingKeys.self).decode(ObjectMeta.self, forKey: .metadata))
    }

    /// The configuration it names; nil: it wants none.
    var gateway: String? { metadata.annotations[CNIRequestHandler.annotation] }
}
