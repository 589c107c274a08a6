import Foundation
import Kubernetes

@testable import Host

/// The API server as the node role sees it: objects, UIDs and versions in memory, with the server's refusals.
actor FakeNodeAPI: NodeAPI {
    private(set) var pods: [String: NodePod] = [:]
    /// What the watch has told; nil before its first list.
    private var known: [String: NodePod]?
    private(set) var configurations: [String: StaticGatewayConfiguration] = [:]
    private(set) var stored: [String: PodEndpoint] = [:]
    private(set) var statuses: [GatewayStatus] = []
    private(set) var warnings: [String] = []
    private(set) var statusReads = 0
    private var version = 0
    private var isDown = false
    private var touches = 0
    /// Runs before each status read, to let the world move on.
    private var onStatusRead: (@Sendable (FakeNodeAPI, Int) async -> Void)?

    func add(_ pod: Pod) { pods[pod.qualifiedName] = NodePod(metadata: pod.metadata) }
    /// The watch tells what is there now.
    func tellPods() { known = pods }
    func add(_ configuration: StaticGatewayConfiguration) {
        configurations[configuration.qualifiedName] = configuration
    }
    func add(_ status: GatewayStatus) { statuses.append(status) }
    func setDown(_ down: Bool) { isDown = down }
    func onStatusRead(_ body: @escaping @Sendable (FakeNodeAPI, Int) async -> Void) { onStatusRead = body }
    func setStatuses(_ new: [GatewayStatus]) { statuses = new }

    private func answer<R>(_ value: R?) throws -> R {
        if isDown { throw KubernetesError(.unavailable, "connection refused") }
        guard let value else { throw KubernetesError(.notFound, "not found") }
        return value
    }

    var knowsPods: Bool { known != nil }

    func knownPod(namespace: String, name: String) -> NodePod? { known?["\(namespace)/\(name)"] }

    func pod(namespace: String, name: String) throws -> NodePod { try answer(pods["\(namespace)/\(name)"]) }

    func gatewayConfiguration(namespace: String, name: String) throws -> StaticGatewayConfiguration {
        try answer(configurations["\(namespace)/\(name)"])
    }

    func endpoint(namespace: String, name: String) throws -> PodEndpoint {
        let found = try answer(stored["\(namespace)/\(name)"])
        if touches > 0 {
            touches -= 1
            _ = put(found, uid: found.metadata.uid)
        }
        return found
    }

    /// So many reads of an endpoint are followed at once by a write of somebody else's.
    func touchAfterReads(_ count: Int) { touches = count }

    func endpoints(ofNode nodeName: String) throws -> [PodEndpoint] { try answer(Array(stored.values)) }

    func create(_ endpoint: PodEndpoint) throws -> PodEndpoint {
        _ = try answer(true)
        if stored[endpoint.qualifiedName] != nil { throw KubernetesError(.alreadyExists, "exists") }
        return put(endpoint, uid: "endpoint-\(version)")
    }

    func replace(_ endpoint: PodEndpoint) throws -> PodEndpoint {
        let present = try answer(stored[endpoint.qualifiedName])
        guard present.metadata.resourceVersion == endpoint.metadata.resourceVersion else {
            throw KubernetesError(.conflict, "changed")
        }
        return put(endpoint, uid: present.metadata.uid)
    }

    func delete(_ endpoint: PodEndpoint) throws {
        let present = try answer(stored[endpoint.qualifiedName])
        guard present.metadata.uid == endpoint.metadata.uid,
            present.metadata.resourceVersion == endpoint.metadata.resourceVersion
        else { throw KubernetesError(.conflict, "another one") }
        stored[endpoint.qualifiedName] = nil
    }

    private func put(_ endpoint: PodEndpoint, uid: String) -> PodEndpoint {
        version += 1
        var endpoint = endpoint
        endpoint.metadata.uid = uid
        endpoint.metadata.resourceVersion = String(version)
        stored[endpoint.qualifiedName] = endpoint
        return endpoint
    }

    func gatewayStatuses() async throws -> [GatewayStatus] {
        statusReads += 1
        await onStatusRead?(self, statusReads)
        return try answer(statuses)
    }

    func probe(nodeName: String) throws { _ = try answer(true) }

    func warn(_ pod: NodePod, reason: String, message: String) {
        warnings.append("\(pod.qualifiedName) \(reason): \(message)")
    }
}
