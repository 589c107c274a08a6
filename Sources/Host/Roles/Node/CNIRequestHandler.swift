import FoundationEssentials
import JSONModel
import Kubernetes
import LinuxNet
import Logging
import ProviderKit

/// Answers the container runtime: the CNI commands of the pods of this node.
///
/// Work for one pod never overlaps. Whatever ADD began and could not finish it undoes before it answers.
struct CNIRequestHandler: Sendable {
    /// The pod's annotation whose value names the configuration (upstream behaviour section 2.1).
    static let annotation = "kubernetes.azure.com/static-gateway-configuration"
    /// Annotations of a PodEndpoint: which attachment it belongs to, and where that is. Upstream's endpoints have none.
    static let containerAnnotation = "egressgateway.kubernetes.azure.com/container-id"
    static let nodeAnnotation = "egressgateway.kubernetes.azure.com/node-name"
    /// The same as a label, so that a node's daemon need not read the endpoints of all nodes.
    static let nodeLabel = nodeAnnotation
    static let namespaceAnnotation = "egressgateway.kubernetes.azure.com/network-namespace"
    /// What only ADD is told and a new tunnel of a running pod needs.
    static let interfaceAnnotation = "egressgateway.kubernetes.azure.com/interface"
    static let exceptionsAnnotation = "egressgateway.kubernetes.azure.com/exception-cidrs"

    let nodeName: String
    let settings: NodeSettings
    let api: any NodeAPI
    let tunnel: any CapabilityClient<Tunnel>
    let podNetwork: any CapabilityClient<PodNetwork>
    let readiness: GatewayReadiness
    let logger: Logger
    /// By `namespace/name` of the pod, which is also the PodEndpoint's.
    let serializer = KeyedSerializer()

    init(
        nodeName: String, settings: NodeSettings, api: any NodeAPI, tunnel: any CapabilityClient<Tunnel>,
        podNetwork: any CapabilityClient<PodNetwork>, logger: Logger
    ) {
        self.nodeName = nodeName
        self.settings = settings
        self.api = api
        self.tunnel = tunnel
        self.podNetwork = podNetwork
        self.logger = logger
        readiness = GatewayReadiness(api: api, limit: .seconds(settings.gatewayWaitSeconds), logger: logger)
    }

    /// Answers one request; never throws, because every failure has its form in the answer.
    func respond(to relay: RelayRequest) async -> RelayResponse {
        do {
            let request = try CNIRequest(relay)
            let key = "\(request.podNamespace)/\(request.podName)"
            let answer = await serializer.run(key) { await self.perform(request) }
            return try answer.get()
        } catch {
            // A pod's removal must not fail on anything the runtime said wrong.
            if relay.environment["CNI_COMMAND"] == "DEL" { return RelayResponse(exitCode: 0, output: "") }
            return Self.failure(Self.asFailure(error), version: "1.0.0")
        }
    }

    private func perform(_ request: CNIRequest) async -> Result<RelayResponse, any Error> {
        do {
            switch request.command {
            case .add: return .success(RelayResponse(exitCode: 0, output: try Self.text(try await add(request))))
            case .check: try await check(request)
            case .delete: await delete(request)
            case .collectGarbage: try await collectGarbage(request)
            case .status: try await status()
            }
            return .success(RelayResponse(exitCode: 0, output: ""))
        } catch {
            let failure = Self.asFailure(error)
            logger.warning(
                "CNI request failed",
                metadata: [
                    "command": .string(request.command.rawValue), "container": .string(request.containerID),
                    "pod": .string("\(request.podNamespace)/\(request.podName)"),
                    "error": .string(failure.message), "details": .string(failure.details),
                ])
            return .success(Self.failure(failure, version: request.version))
        }
    }

    static func failure(_ failure: CNIFailure, version: String) -> RelayResponse {
        let output = (try? text(failure.object(version: version))) ?? ""
        return RelayResponse(exitCode: 1, output: output)
    }

    private static func text(_ value: JSONValue) throws -> String {
        String(decoding: try KubernetesJSON.encode(patch: value), as: UTF8.self) + "\n"
    }

    /// Any error in the runtime's words. What may pass by itself is "try again later".
    static func asFailure(_ error: any Error) -> CNIFailure {
        switch error {
        case let error as CNIFailure: error
        case let error as KubernetesError:
            CNIFailure(
                .tryAgainLater, "the Kubernetes API: \(error.message)", details: "advice: \(error.advice.rawValue)")
        case let error as ProviderError:
            CNIFailure(.tryAgainLater, error.message, details: "provider: \(error.code.rawValue)")
        case is CancellationError: CNIFailure(.tryAgainLater, "the request took too long, or the daemon stops")
        default: CNIFailure(.tryAgainLater, String(describing: error))
        }
    }

    /// The pod's tunnel link, named for the tunnel provider.
    static func tunnelReference(_ request: CNIRequest) -> Tunnel.Reference {
        Tunnel.Reference(id: request.containerID, namespace: request.namespace, link: CNIResult.tunnelLink)
    }

    static func networkReference(_ request: CNIRequest) -> PodNetwork.Reference {
        PodNetwork.Reference(
            id: request.containerID, namespace: request.namespace, interface: request.interface,
            tunnelLink: CNIResult.tunnelLink)
    }

    /// The pod of the request, which must be the very one the runtime means.
    ///
    /// - Throws: ``CNIFailure``.
    func pod(_ request: CNIRequest) async throws -> NodePod {
        if let pod = await knownWithoutGateway(request) { return pod }
        let pod: NodePod
        do {
            pod = try await api.pod(namespace: request.podNamespace, name: request.podName)
        } catch let error as KubernetesError where error.code == .notFound {
            throw CNIFailure(
                .tryAgainLater, "pod \(request.podNamespace)/\(request.podName) does not exist",
                details: "it may have been deleted while it started")
        }
        if let uid = request.podUID, uid != pod.runtimeUID {
            throw CNIFailure(
                .tryAgainLater, "pod \(pod.qualifiedName) was replaced",
                details: "the runtime starts \(uid), the API knows \(pod.runtimeUID)")
        }
        return pod
    }

    /// The pod of the request as the watch has told of it, if that is all that is to be known: it is the very pod that the
    /// runtime means, and asks for no gateway. So most pods start without a request, and without an API server.
    ///
    /// The state may be an old one, and must not let a pod out that has the annotation. The annotation of an ADD is the
    /// one that the pod was bound to the node with, and that is in the first state that the watch tells, because it tells
    /// of a pod from the binding on. A UID is one pod for ever: no state is that of an earlier pod of the same name. What
    /// is annotated after the binding, while kubelet is about to start the pod, counts if it was told before the ADD, as
    /// it would have to be read before it; on a pod that runs it does nothing.
    ///
    /// A pod with the annotation is read: its ADD needs the API server in any case, and so it gets the gateway that is
    /// named now, or none if the annotation was taken away.
    private func knownWithoutGateway(_ request: CNIRequest) async -> NodePod? {
        guard let uid = request.podUID,
            let pod = await api.knownPod(namespace: request.podNamespace, name: request.podName),
            pod.runtimeUID == uid, pod.gateway == nil
        else { return nil }
        return pod
    }

    /// Removes what ADD made. Faults are logged only: the pod's namespace, and with it the rest, is about to go.
    ///
    /// The routes stay as they are: restoring the ordinary ones could let a process that still runs leave with the
    /// node's address.
    private func delete(_ request: CNIRequest) async {
        if !request.namespace.isEmpty, !request.containerID.isEmpty {
            do {
                try await tunnel.removeOne(Self.tunnelReference(request))
            } catch {
                log("tunnel is left behind", request, error)
            }
        }
        guard !request.podName.isEmpty else { return }
        do {
            try await removeEndpoint(of: request) { Self.belongs($0, to: request) }
        } catch {
            log("PodEndpoint is left behind; it goes with its pod", request, error)
        }
    }

    /// Deletes the pod's endpoint if it is the one meant. One that changed after it was read may be a newer
    /// attachment's: it is read and looked at again.
    func removeEndpoint(of request: CNIRequest, if isMeant: (PodEndpoint) -> Bool) async throws {
        for _ in 0..<5 {
            do {
                let endpoint = try await api.endpoint(namespace: request.podNamespace, name: request.podName)
                guard isMeant(endpoint) else { return }
                return try await api.delete(endpoint)
            } catch let error as KubernetesError where error.code == .notFound {
                return
            } catch let error as KubernetesError where error.code == .conflict {
                continue
            }
        }
        throw CNIFailure(
            .tryAgainLater, "PodEndpoint \(request.podNamespace)/\(request.podName) changes all the time",
            details: "somebody else writes it")
    }

    /// Whether an endpoint is that attachment's. Upstream's endpoints do not say, so they must be the pod's at least.
    static func belongs(_ endpoint: PodEndpoint, to request: CNIRequest) -> Bool {
        if let container = endpoint.metadata.annotations[containerAnnotation] {
            return container == request.containerID
        }
        return request.podUID != nil && endpoint.metadata.ownerReferences.contains { $0.uid == request.podUID }
    }

    /// A node's name as the value of a label; nil for one that is too long for that. Names of nodes have no characters
    /// that labels have not.
    static func labelValue(_ nodeName: String) -> String? { (1...63).contains(nodeName.utf8.count) ? nodeName : nil }

    /// Removes endpoints of this node whose attachment the runtime does not know.
    private func collectGarbage(_ request: CNIRequest) async throws {
        guard let valid = request.validAttachments else { return }
        let containers = Set(valid.map(\.containerID))
        for endpoint in try await api.endpoints(ofNode: nodeName) {
            let annotations = endpoint.metadata.annotations
            guard annotations[Self.nodeAnnotation] == nodeName, let container = annotations[Self.containerAnnotation],
                !containers.contains(container)
            else { continue }
            logger.notice(
                "removing the PodEndpoint of a lost attachment",
                metadata: ["endpoint": .string(endpoint.qualifiedName), "container": .string(container)])
            do {
                try await api.delete(endpoint)
            } catch let error as KubernetesError where error.code == .notFound || error.code == .conflict {
                continue
            }
        }
    }

    /// Runtimes let no pod start while this fails. Where the pods are known most can start without the API server, so
    /// it is asked only where they are not.
    private func status() async throws {
        do {
            if await !api.knowsPods { try await api.probe(nodeName: nodeName) }
            _ = try await tunnel.status([])
            _ = try await podNetwork.status([])
        } catch {
            let failure = Self.asFailure(error)
            throw CNIFailure(.unavailable, failure.message, details: failure.details)
        }
    }

    func log(_ message: Logger.Message, _ request: CNIRequest, _ error: any Error) {
        logger.warning(
            message,
            metadata: [
                "container": .string(request.containerID),
                "pod": .string("\(request.podNamespace)/\(request.podName)"),
                "error": .string(String(describing: error)),
            ])
    }
}
