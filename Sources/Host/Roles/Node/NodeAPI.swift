import Kubernetes

/// What the node role reads and writes through the Kubernetes API; errors are ``KubernetesError``.
protocol NodeAPI: Sendable {
    /// Whether all pods of this node have been told once.
    var knowsPods: Bool { get async }
    /// The pod as it was last told, which may be a while ago; nil if it was not. Nothing is asked of the server.
    func knownPod(namespace: String, name: String) async -> NodePod?
    /// The pod as it is.
    func pod(namespace: String, name: String) async throws -> NodePod
    func gatewayConfiguration(namespace: String, name: String) async throws -> StaticGatewayConfiguration
    func endpoint(namespace: String, name: String) async throws -> PodEndpoint
    /// The endpoints that name this node, and those that name none in a way that the API server can select by; only for
    /// GC and the daemon's start, which are rare.
    func endpoints(ofNode nodeName: String) async throws -> [PodEndpoint]
    func create(_ endpoint: PodEndpoint) async throws -> PodEndpoint
    /// Refused with a conflict if somebody changed it since `endpoint` was read.
    func replace(_ endpoint: PodEndpoint) async throws -> PodEndpoint
    /// Removes exactly the object with that UID.
    func delete(_ endpoint: PodEndpoint) async throws
    func gatewayStatuses() async throws -> [GatewayStatus]
    /// Succeeds if the API answers for this node.
    func probe(nodeName: String) async throws
    /// A Warning for the pod's owner to read; never fails.
    func warn(_ pod: NodePod, reason: String, message: String) async
}
