import Kubernetes

/// What the lab's kubelet does next about a pod. Pure.
enum PodAction: Equatable {
    /// Give the pod to the worker.
    case bind
    /// Make the namespace and attach it.
    case start
    /// Detach a namespace of that pod UID and remove it; then look again.
    case stop
    /// Nothing of the pod is left here: let the object go.
    case finishDeletion
    case nothing
}

enum PodPlan {
    /// - Parameters:
    ///   - pod: As stored; nil if it is gone.
    ///   - sandboxUID: UID of the pod whose namespace exists under this name, if one does.
    ///   - nodeName: The node the kubelet is for.
    static func next(pod: Pod?, sandboxUID: String?, nodeName: String) -> PodAction {
        guard let pod, pod.spec?.hostNetwork != true else { return sandboxUID == nil ? .nothing : .stop }
        if let sandboxUID, sandboxUID != pod.metadata.uid { return .stop }
        let boundTo = pod.spec?.nodeName ?? ""
        if pod.metadata.deletionTimestamp != nil {
            if sandboxUID != nil { return .stop }
            return boundTo == nodeName ? .finishDeletion : .nothing
        }
        if boundTo.isEmpty { return .bind }
        guard boundTo == nodeName else { return .nothing }
        return sandboxUID == nil ? .start : .nothing
    }
}
