import Kubernetes
import LinuxNet
import Logging
import ProviderKit

/// Gives pods that run a tunnel of the provider that the daemon has now, when theirs is gone or another provider's.
///
/// The pod's guard is in force all the time: between the end of the old link and the routes into the new one the pod is
/// silent, whatever happens in between.
extension CNIRequestHandler {
    /// - Parameter endpoint: As it was when the tunnel was found wanting; work that meanwhile ended or replaced the
    ///   attachment makes this do nothing.
    /// - Throws: ``CNIFailure``, ``KubernetesError`` or ``ProviderError``. What was done stays: no packet of the pod gets
    ///   further than the gateways, which do not know it, until a later try gets through.
    func reattach(_ endpoint: PodEndpoint) async throws {
        guard let container = endpoint.metadata.annotations[Self.containerAnnotation],
            let namespace = endpoint.metadata.annotations[Self.namespaceAnnotation].flatMap(Self.recordedNamespace)
        else { return }
        try await serializer.attempt(endpoint.qualifiedName) {
            guard let current = try await self.current(endpoint, container: container) else { return }
            let target = try GatewayTarget(
                try await api.gatewayConfiguration(
                    namespace: current.metadata.namespace, name: current.spec.staticGatewayConfiguration))
            let link = try await tunnel.ensureOne(
                Tunnel.Desired(
                    id: container, namespace: namespace, link: CNIResult.tunnelLink,
                    addresses: [CNIResult.tunnelAddress],
                    pod: Tunnel.PodEnd(endpoint: target.endpoint, gatewayPublicKey: target.publicKey)))
            let annotations = current.metadata.annotations
            _ = try await podNetwork.ensureOne(
                PodNetwork.Desired(
                    id: container, namespace: namespace,
                    interface: annotations[Self.interfaceAnnotation] ?? Self.ordinaryInterface,
                    tunnelLink: CNIResult.tunnelLink, defaultRoute: target.defaultRoute,
                    excludedCIDRs: target.excludedCIDRs,
                    exceptionCIDRs: Self.recordedExceptions(annotations) ?? settings.exceptionCIDRs))
            // Last: as long as the endpoint has another key, a daemon that starts again finds this unfinished.
            try await republish(current, container: container, publicKey: link.publicKey)
            logger.notice(
                "an attached pod's tunnel was made anew",
                metadata: ["pod": .string(current.qualifiedName), "container": .string(container)])
        }
    }

    /// The interface of endpoints that do not name it: what every container runtime calls a pod's first one.
    static let ordinaryInterface = "eth0"

    /// The operator's exceptions as ADD knew them; nil for endpoints that do not say.
    static func recordedExceptions(_ annotations: [String: String]) -> [String]? {
        annotations[exceptionsAnnotation].map { $0.split(separator: ",").map(String.init) }
    }

    /// The endpoint as it is now, if it is still that attachment's.
    private func current(_ endpoint: PodEndpoint, container: String) async throws -> PodEndpoint? {
        do {
            let current = try await api.endpoint(
                namespace: endpoint.metadata.namespace, name: endpoint.metadata.name)
            guard current.metadata.annotations[Self.containerAnnotation] == container,
                current.metadata.deletionTimestamp == nil
            else { return nil }
            return current
        } catch let error as KubernetesError where error.code == .notFound {
            return nil
        }
    }

    /// Tells the gateways the new key.
    private func republish(_ endpoint: PodEndpoint, container: String, publicKey: String) async throws {
        var endpoint = endpoint
        // A conflict means that somebody changed it just now; a few rounds settle that.
        for _ in 0..<5 {
            if endpoint.spec.podPublicKey == publicKey { return }
            endpoint.spec.podPublicKey = publicKey
            do {
                _ = try await api.replace(endpoint)
                return
            } catch let error as KubernetesError where error.code == .conflict || error.code == .notFound {
                guard let newer = try await current(endpoint, container: container) else { return }
                endpoint = newer
            }
        }
        throw CNIFailure(
            .tryAgainLater, "PodEndpoint \(endpoint.qualifiedName) changes all the time",
            details: "somebody else writes it")
    }
}
