import Kubernetes
import LinuxNet
import Logging
import ProviderKit

/// What a new life of the daemon has to do for the pods that an earlier one attached: the tunnel provider looks after a
/// tunnel (a pod's end that sends into silence shakes hands anew) once it was asked about it; and a tunnel that is not
/// there, or is another provider's because the daemon's settings name a new one, is made anew.
extension CNIRequestHandler {
    /// Tunnels asked about in one call of the provider.
    private static let recallBatch = 64

    /// A namespace's path as an endpoint may carry it; nil for one that is not written down. An endpoint could be changed
    /// by somebody else, and opening just any path could hang or have effects: only names in the directories that hold
    /// nothing but namespaces are allowed.
    static func recordedNamespace(_ path: String) -> String? {
        let directories = ["/run/netns/", "/var/run/netns/"]
        guard let directory = directories.first(where: path.hasPrefix),
            (try? NetworkNamespace(name: String(path.dropFirst(directory.count)))) != nil
        else { return nil }
        return path
    }

    /// Asks about the tunnels of this node's pods, again after a pause for as long as the API does not answer or a tunnel
    /// cannot be made anew.
    func recallTunnels() async {
        var pause = Duration.seconds(1)
        while !Task.isCancelled {
            do {
                let count = try await recallTunnelsOnce()
                logger.info("tunnels of attached pods are looked after", metadata: ["count": .stringConvertible(count)])
                return
            } catch {
                logger.warning(
                    "tunnels of attached pods are not looked after yet",
                    metadata: ["error": .string(String(describing: error))])
            }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(30))
        }
    }

    /// Asks about every tunnel of this node's pods, and makes those anew that are gone or another provider's.
    ///
    /// - Returns: how many tunnels stand.
    /// - Throws: ``KubernetesError`` or ``ProviderError``; a namespace that is not there is no error, its pod is ending.
    func recallTunnelsOnce() async throws -> Int {
        var endpoints: [String: PodEndpoint] = [:]
        var references: [Tunnel.Reference] = []
        for endpoint in try await api.endpoints(ofNode: nodeName) {
            let annotations = endpoint.metadata.annotations
            guard annotations[Self.nodeAnnotation] == nodeName, let container = annotations[Self.containerAnnotation],
                let path = annotations[Self.namespaceAnnotation].flatMap(Self.recordedNamespace),
                endpoints[container] == nil
            else { continue }
            endpoints[container] = endpoint
            references.append(Tunnel.Reference(id: container, namespace: path, link: CNIResult.tunnelLink))
        }
        var count = 0
        var broken: [PodEndpoint] = []
        for start in stride(from: 0, to: references.count, by: Self.recallBatch) {
            let batch = Array(references[start..<min(start + Self.recallBatch, references.count)])
            let paths = Dictionary(batch.map { ($0.id, $0.namespace) }) { first, _ in first }
            for result in try await tunnel.status(batch) {
                guard let endpoint = endpoints[result.id], let path = paths[result.id] else { continue }
                let problem: String
                if result.code != .ok {
                    problem = result.error.message
                } else if result.observed == nil {
                    problem = "it is gone"
                } else if result.observed?.publicKey != endpoint.spec.podPublicKey {
                    problem = "its key is not the one in its PodEndpoint"
                } else {
                    count += 1
                    continue
                }
                logger.notice(
                    "an attached pod's tunnel is not as it should be",
                    metadata: ["container": .string(result.id), "reason": .string(problem)])
                if NetworkNamespace(path: path).exists { broken.append(endpoint) }
            }
        }
        return count + (try await reattachAll(broken))
    }

    /// - Returns: how many tunnels stand now.
    /// - Throws: the first failure, after all were tried.
    private func reattachAll(_ endpoints: [PodEndpoint]) async throws -> Int {
        var failure: (any Error)?
        var count = 0
        for endpoint in endpoints {
            do {
                try await reattach(endpoint)
                count += 1
            } catch {
                logger.warning(
                    "an attached pod stays closed",
                    metadata: [
                        "pod": .string(endpoint.qualifiedName), "error": .string(String(describing: error)),
                    ])
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return count
    }
}
