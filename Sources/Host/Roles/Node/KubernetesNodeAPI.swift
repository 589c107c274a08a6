import Kubernetes
import Reconcile

/// ``NodeAPI`` on a real client.
struct KubernetesNodeAPI: NodeAPI {
    let client: KubernetesClient
    let events: EventRecorder
    /// The pods of this node, which a reflector keeps.
    let pods: ObjectStore<NodePod>

    var knowsPods: Bool { pods.isSynced }

    func knownPod(namespace: String, name: String) -> NodePod? {
        pods.isSynced ? pods[ObjectKey(namespace: namespace, name: name)] : nil
    }

    func pod(namespace: String, name: String) async throws -> NodePod {
        try await client.get(NodePod.self, namespace: namespace, name: name)
    }

    func gatewayConfiguration(namespace: String, name: String) async throws -> StaticGatewayConfiguration {
        try await client.get(StaticGatewayConfiguration.self, namespace: namespace, name: name)
    }

    func endpoint(namespace: String, name: String) async throws -> PodEndpoint {
        try await client.get(PodEndpoint.self, namespace: namespace, name: name)
    }

    func endpoints(ofNode nodeName: String) async throws -> [PodEndpoint] {
        let label = CNIRequestHandler.nodeLabel
        var found: [PodEndpoint] = []
        if let value = CNIRequestHandler.labelValue(nodeName) {
            found = try await client.list(PodEndpoint.self, labelSelector: "\(label)=\(value)").items
        }
        return found + (try await client.list(PodEndpoint.self, labelSelector: "!\(label)").items)
    }

    func create(_ endpoint: PodEndpoint) async throws -> PodEndpoint {
        try await client.create(endpoint)
    }

    func replace(_ endpoint: PodEndpoint) async throws -> PodEndpoint {
        try await client.update(endpoint)
    }

    func delete(_ endpoint: PodEndpoint) async throws {
        try await client.delete(
            PodEndpoint.self, namespace: endpoint.metadata.namespace, name: endpoint.metadata.name,
            uid: endpoint.metadata.uid, resourceVersion: endpoint.metadata.resourceVersion)
    }

    func gatewayStatuses() async throws -> [GatewayStatus] {
        try await client.list(GatewayStatus.self).items
    }

    func probe(nodeName: String) async throws {
        _ = try await client.get(Node.self, name: nodeName)
    }

    func warn(_ pod: NodePod, reason: String, message: String) async {
        await events.warning(pod.objectReference, reason: reason, message: message)
    }
}
