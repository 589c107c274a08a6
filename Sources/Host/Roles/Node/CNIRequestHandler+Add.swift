import JSONModel
import Kubernetes
import LinuxNet
import Logging
import ProviderKit

extension CNIRequestHandler {
    /// Attaches a pod to its gateway, if it asks for one.
    ///
    /// Order: link, PodEndpoint, routes. The routes are the step after which traffic flows, so a pod is attached
    /// completely or, until the last step, not at all; and the runtime starts nothing in it before the answer.
    ///
    /// - Returns: the CNI result.
    func add(_ request: CNIRequest) async throws -> JSONValue {
        try request.requireAttachment()
        guard let previous = request.previousResult else {
            throw CNIFailure(
                .configuration, "field prevResult is missing", details: "the plugin must be chained after another one")
        }
        let pod = try await pod(request)
        guard let name = pod.gateway else { return previous }
        do {
            return try await attach(request, pod, gateway: name, CNIResult(previous, version: request.version))
        } catch {
            let failure = Self.asFailure(error)
            let text = failure.details.isEmpty ? failure.message : "\(failure.message) (\(failure.details))"
            await api.warn(pod, reason: "EgressGatewayAttachFailed", message: text)
            throw failure
        }
    }

    private func attach(
        _ request: CNIRequest, _ pod: NodePod, gateway name: String, _ previous: CNIResult
    ) async throws -> JSONValue {
        guard CNIResult.chainableVersions.contains(request.version) else {
            throw CNIFailure(
                .incompatibleVersion, "cniVersion \(request.version) has no chained plugins",
                details: "allowed: \(CNIResult.chainableVersions.joined(separator: ", "))")
        }
        let address = try previous.podAddress(namespace: request.namespace)
        let target = try await target(name, of: pod)
        do {
            let link = try await tunnel.ensureOne(
                Tunnel.Desired(
                    id: request.containerID, namespace: request.namespace, link: CNIResult.tunnelLink,
                    addresses: [CNIResult.tunnelAddress],
                    pod: Tunnel.PodEnd(endpoint: target.endpoint, gatewayPublicKey: target.publicKey)))
            try await publish(
                endpoint(request, pod, target, podAddress: address, publicKey: link.publicKey), request)
            let network = try await podNetwork.ensureOne(
                PodNetwork.Desired(
                    id: request.containerID, namespace: request.namespace, interface: request.interface,
                    tunnelLink: CNIResult.tunnelLink, defaultRoute: target.defaultRoute,
                    excludedCIDRs: target.excludedCIDRs,
                    exceptionCIDRs: exceptions(request)))
            await readiness.wait(
                configuration: "\(pod.metadata.namespace)/\(target.name)", publicKey: link.publicKey)
            try Task.checkCancellation()
            return previous.adding(
                routes: network.routes, namespace: request.namespace, defaultRoute: target.defaultRoute
            ).value
        } catch {
            // Not this task: it may be cancelled, and the undoing must still reach the API.
            await Task { await undo(request) }.value
            throw error
        }
    }

    /// The pod's gateway, ready for use.
    private func target(_ name: String, of pod: NodePod) async throws -> GatewayTarget {
        guard !name.isEmpty else {
            throw CNIFailure(
                .configuration, "annotation \(Self.annotation) is empty",
                details: "allowed: the name of a StaticGatewayConfiguration in namespace \(pod.metadata.namespace)")
        }
        do {
            return try GatewayTarget(
                try await api.gatewayConfiguration(namespace: pod.metadata.namespace, name: name))
        } catch let error as KubernetesError where error.code == .notFound {
            throw CNIFailure(
                .tryAgainLater,
                "annotation \(Self.annotation): StaticGatewayConfiguration \(pod.metadata.namespace)/\(name) "
                    + "does not exist",
                details: "create it, or correct the annotation")
        }
    }

    /// The operator's exceptions, from the daemon's settings and from the plugin's configuration.
    private func exceptions(_ request: CNIRequest) -> [String] {
        var seen = Set<String>()
        return (settings.exceptionCIDRs + request.excludedCIDRs).filter { seen.insert($0).inserted }
    }

    private func endpoint(
        _ request: CNIRequest, _ pod: NodePod, _ target: GatewayTarget, podAddress: IPAddress, publicKey: String
    ) -> PodEndpoint {
        var annotations = [Self.containerAnnotation: request.containerID, Self.nodeAnnotation: nodeName]
        annotations[Self.namespaceAnnotation] = Self.recordedNamespace(request.namespace)
        annotations[Self.interfaceAnnotation] = request.interface
        annotations[Self.exceptionsAnnotation] = exceptions(request).joined(separator: ",")
        let labels = Self.labelValue(nodeName).map { [Self.nodeLabel: $0] } ?? [:]
        return PodEndpoint(
            metadata: ObjectMeta(
                name: pod.metadata.name, namespace: pod.metadata.namespace, labels: labels, annotations: annotations,
                ownerReferences: [pod.ownerReference()]),
            spec: PodEndpointSpec(
                staticGatewayConfiguration: target.name, podIpAddress: "\(IPPrefix(host: podAddress))",
                podPublicKey: publicKey))
    }

    /// Makes the PodEndpoint what this attachment needs. One of an older attachment is replaced: a pod's name belongs
    /// to one pod at a time, and ``pod(_:)`` has seen that it is this one.
    private func publish(_ wanted: PodEndpoint, _ request: CNIRequest) async throws {
        // Conflicts mean that somebody deletes or changes the old one right now; a few rounds settle that.
        for _ in 0..<5 {
            do {
                _ = try await api.create(wanted)
                return
            } catch let error as KubernetesError where error.code == .alreadyExists {
                do {
                    var present = try await api.endpoint(
                        namespace: wanted.metadata.namespace, name: wanted.metadata.name)
                    if Self.isSame(present, wanted) { return }
                    present.metadata.ownerReferences = wanted.metadata.ownerReferences
                    for name in Self.ownAnnotations {
                        present.metadata.annotations[name] = wanted.metadata.annotations[name]
                    }
                    present.metadata.labels[Self.nodeLabel] = wanted.metadata.labels[Self.nodeLabel]
                    present.spec = wanted.spec
                    _ = try await api.replace(present)
                    return
                } catch let error as KubernetesError where error.code == .notFound || error.code == .conflict {
                    continue
                }
            }
        }
        throw CNIFailure(
            .tryAgainLater, "PodEndpoint \(wanted.qualifiedName) changes all the time",
            details: "somebody else writes it")
    }

    private static func isSame(_ present: PodEndpoint, _ wanted: PodEndpoint) -> Bool {
        present.spec == wanted.spec && present.metadata.ownerReferences == wanted.metadata.ownerReferences
            && present.metadata.deletionTimestamp == nil
            && present.metadata.labels[nodeLabel] == wanted.metadata.labels[nodeLabel]
            && ownAnnotations.allSatisfy { present.metadata.annotations[$0] == wanted.metadata.annotations[$0] }
    }

    private static let ownAnnotations = [
        containerAnnotation, nodeAnnotation, namespaceAnnotation, interfaceAnnotation, exceptionsAnnotation,
    ]

    /// Takes back whatever of ADD happened on the node and in the API. Each step is tried even if an earlier one failed.
    ///
    /// The pod's routes and guard stay, as with DEL: they go with its namespace, and to open the pod's ordinary way out
    /// would let one that runs already, against the rules of CNI, leave with the node's address.
    private func undo(_ request: CNIRequest) async {
        do {
            try await removeEndpoint(of: request) {
                $0.metadata.annotations[Self.containerAnnotation] == request.containerID
            }
        } catch {
            log("undoing ADD: the PodEndpoint is left behind", request, error)
        }
        do {
            try await tunnel.removeOne(Self.tunnelReference(request))
        } catch {
            log("undoing ADD: the tunnel is left behind", request, error)
        }
    }

    /// Verifies that an attachment is as ADD left it.
    ///
    /// - Throws: ``CNIFailure`` that names the first thing that is not.
    func check(_ request: CNIRequest) async throws {
        try request.requireAttachment()
        let pod = try await pod(request)
        guard let name = pod.gateway else { return }
        let target = try await target(name, of: pod)
        let link: Tunnel.Observed
        do {
            link = try await tunnel.statusOfOne(Self.tunnelReference(request))
        } catch {
            throw broken("link \(CNIResult.tunnelLink) is not in the pod", Self.asFailure(error).message)
        }
        let endpoint: PodEndpoint
        do {
            endpoint = try await api.endpoint(namespace: request.podNamespace, name: request.podName)
        } catch let error as KubernetesError where error.code == .notFound {
            throw broken("PodEndpoint \(pod.qualifiedName) does not exist", "the gateways do not know the pod")
        }
        guard endpoint.spec.podPublicKey == link.publicKey,
            endpoint.spec.staticGatewayConfiguration == target.name
        else {
            throw broken(
                "PodEndpoint \(pod.qualifiedName) does not describe the pod's tunnel",
                "its key or its gateway is another one")
        }
        if let previous = request.previousResult {
            let address = try CNIResult(previous, version: request.version).podAddress(namespace: request.namespace)
            guard endpoint.spec.podIpAddress == "\(IPPrefix(host: address))" else {
                throw broken(
                    "PodEndpoint \(pod.qualifiedName) has podIpAddress \(endpoint.spec.podIpAddress)",
                    "the pod's address is \(address)")
            }
        }
        try await checkRoutes(request, target)
    }

    private func checkRoutes(_ request: CNIRequest, _ target: GatewayTarget) async throws {
        let network: PodNetwork.Observed
        do {
            network = try await podNetwork.statusOfOne(Self.networkReference(request))
        } catch {
            throw broken("the pod's routes are not as they should be", Self.asFailure(error).message)
        }
        let missing = target.expectedDestinations.subtracting(network.routes.map(\.destination))
        guard missing.isEmpty else {
            throw broken(
                "the pod's routes are not as they should be", "missing: \(missing.sorted().joined(separator: ", "))")
        }
    }

    private func broken(_ message: String, _ details: String) -> CNIFailure {
        CNIFailure(.attachmentBroken, message, details: details)
    }
}
