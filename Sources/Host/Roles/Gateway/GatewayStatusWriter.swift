import JSONModel
import Kubernetes

/// Keeps this node's GatewayStatus, by which the nodes learn that a peer is known. Its only writer; writes on change.
actor GatewayStatusWriter {
    private let nodeName: String
    private let namespace: String
    private let client: KubernetesClient
    private var written: GatewayStatusSpec?
    /// Said while a status is being written, it is for the next one.
    private var isDriftExpected = false

    init(nodeName: String, namespace: String, client: KubernetesClient) {
        self.nodeName = nodeName
        self.namespace = namespace
        self.client = client
    }

    /// What the plan and the servers that stand amount to, in a stable order.
    static func spec(_ plan: GatewayPlan, ready: Set<String>) -> GatewayStatusSpec {
        let servers = plan.servers.filter { ready.contains($0.uid) }
        return GatewayStatusSpec(
            readyGatewayConfigurations: servers.map {
                ReadyGatewayConfiguration(staticGatewayConfiguration: $0.configuration, interfaceName: $0.link)
            },
            readyPeerConfigurations: servers.flatMap { server in
                server.peers.map {
                    ReadyPeerConfiguration(
                        podEndpoint: $0.endpoint, interfaceName: server.link, publicKey: $0.publicKey)
                }
            })
    }

    /// Writes what differs from what was written last; the object is made if it is not there.
    ///
    /// - Throws: ``KubernetesError``.
    func write(_ spec: GatewayStatusSpec) async throws {
        guard isDriftExpected || spec != written else { return }
        isDriftExpected = false
        written = nil
        // Both lists are named, because an empty one would otherwise leave the old one standing.
        let patch: JSONValue = [
            "spec": [
                "readyGatewayConfigurations": try JSONValue(encoding: spec.readyGatewayConfigurations),
                "readyPeerConfigurations": try JSONValue(encoding: spec.readyPeerConfigurations),
            ]
        ]
        do {
            _ = try await client.mergePatch(GatewayStatus.self, namespace: namespace, name: nodeName, patch: patch)
        } catch let error as KubernetesError where error.code == .notFound {
            let node = try await client.get(Node.self, name: nodeName)
            _ = try await client.create(
                GatewayStatus(
                    metadata: ObjectMeta(
                        name: nodeName, namespace: namespace,
                        ownerReferences: [node.ownerReference(controller: false, blockOwnerDeletion: false)]),
                    spec: spec))
        }
        written = spec
    }

    /// The next ``write(_:)`` writes in any case: somebody may have removed the object.
    func expectDrift() { isDriftExpected = true }
}
