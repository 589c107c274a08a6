import FoundationEssentials
import Kubernetes
import Logging

/// Removes Secrets with the keys of configurations that are gone.
///
/// A configuration's last run removes its Secret, and nothing else does: a Secret cannot be owned by an object of another
/// namespace. Left over is one that a manager asked for before it was stopped and that came to be after its successor
/// had removed it.
struct KeyPruner: Sendable {
    let objects: GatewayObjects
    let settings: ManagerSettings
    let logger: Logger

    /// Secrets are listed before the configurations, so each that is wanted finds its own.
    func pass() async {
        do {
            let found = try await objects.client.list(
                Secret.self, namespace: settings.secretNamespace, labelSelector: GatewayNames.owningNamespaceLabel)
            let secrets = found.items.map(\.metadata).filter(Self.isKeySecret)
            guard !secrets.isEmpty else { return }
            let gateways = try await objects.client.list(StaticGatewayConfiguration.self)
            // A configuration that cannot be read may be any; the watch of them tells of it.
            guard gateways.undecodable.isEmpty else { return }
            let wanted = Set(gateways.items.map { GatewayNames.keySecret(uid: $0.metadata.uid) })
            for secret in secrets where !wanted.contains(secret.name) { try await remove(secret) }
        } catch {
            logger.warning("Secrets cannot be pruned", metadata: ["error": .string("\(error)")])
        }
    }

    private func remove(_ secret: ObjectMeta) async throws {
        do {
            try await objects.client.delete(
                Secret.self, namespace: secret.namespace, name: secret.name, uid: secret.uid)
            logger.notice(
                "removed the Secret of a configuration that is gone", metadata: ["secret": .string(secret.name)])
        } catch let error as KubernetesError where [.notFound, .conflict].contains(error.code) {
            return
        }
    }

    /// Whether its name is one that only a controller gives.
    private static func isKeySecret(_ secret: ObjectMeta) -> Bool {
        let prefix = GatewayNames.keySecret(uid: "")
        return secret.name.hasPrefix(prefix) && UUID(uuidString: String(secret.name.dropFirst(prefix.count))) != nil
    }
}
