import JSONModel
import Kubernetes

/// Merge patches that add and remove a finalizer. Pure. A list is replaced as a whole by a merge patch, so each patch
/// carries the resourceVersion it was decided on: whoever changed the list meanwhile makes it fail with `conflict`.
public enum Finalizers {
    /// The patch that adds the finalizer; nil if it is there, or if the object is being deleted, when an API server
    /// forbids new ones. Send it before the first effect outside of the API server.
    public static func adding(_ finalizer: String, to metadata: ObjectMeta) -> JSONValue? {
        guard metadata.deletionTimestamp == nil, !metadata.finalizers.contains(finalizer) else { return nil }
        return patch(metadata.finalizers + [finalizer], metadata)
    }

    /// The patch that removes the finalizer; nil if it is not there. Send it after the last effect was undone.
    public static func removing(_ finalizer: String, from metadata: ObjectMeta) -> JSONValue? {
        guard metadata.finalizers.contains(finalizer) else { return nil }
        return patch(metadata.finalizers.filter { $0 != finalizer }, metadata)
    }

    private static func patch(_ finalizers: [String], _ metadata: ObjectMeta) -> JSONValue {
        [
            "metadata": [
                "resourceVersion": .string(metadata.resourceVersion),
                "finalizers": .array(finalizers.map { .string($0) }),
            ]
        ]
    }
}
