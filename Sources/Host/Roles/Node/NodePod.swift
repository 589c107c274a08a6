import Kubernetes

/// A pod as the node role needs it: who it is, and which gateway it asks for. The rest, most of all what makes pods large,
/// is dropped when it is read.
struct NodePod: KubernetesResource {
    static let resourceType = Pod.resourceType

    var metadata: ObjectMeta

    /// Keeps what the node role needs.
    init(metadata full: ObjectMeta) {
        let wanted = [CNIRequestHandler.annotation, Self.mirrorAnnotation]
        metadata = ObjectMeta(
            name: full.name, namespace: full.namespace, uid: full.uid, resourceVersion: full.resourceVersion,
            annotations: full.annotations.filter { wanted.contains($0.key) })
    }

    init(from decoder: any Decoder) throws {
        self.init(metadata: try decoder.container(keyedBy: CodingKeys.self).decode(ObjectMeta.self, forKey: .metadata))
    }

    /// On the API server's picture of a static pod (`v1.MirrorPodAnnotationKey`): the UID that kubelet gave the pod.
    private static let mirrorAnnotation = "kubernetes.io/config.mirror"

    /// The UID under which kubelet starts it. A static pod is there before the API server knows it, and has two.
    var runtimeUID: String { metadata.annotations[Self.mirrorAnnotation] ?? metadata.uid }

    /// The configuration it names; nil: it wants none.
    var gateway: String? { metadata.annotations[CNIRequestHandler.annotation] }
}
