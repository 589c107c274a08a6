import Kubernetes
import Logging
import ProviderKit
import Reconcile
import ServiceLifecycle

/// An ordinary node: answers the container runtime's CNI requests, keeps the runtime's configuration naming us, has the
/// tunnels of pods that were attached before its start looked after, and follows the pods of the node.
public struct NodeRole: Service {
    private let settings: NodeSettings
    private let handler: CNIRequestHandler
    let pods: Reflector<NodePod>
    private let logger: Logger

    /// - Parameters:
    ///   - nodeName: the Kubernetes node this daemon runs on.
    ///   - client: stays the caller's; used until ``run()`` returns.
    ///   - tunnel: makes the pods' tunnel links.
    ///   - podNetwork: routes the pods' traffic.
    public init(
        nodeName: String, configuration: NodeSettings, client: KubernetesClient,
        tunnel: any CapabilityClient<Tunnel>, podNetwork: any CapabilityClient<PodNetwork>, events: EventRecorder,
        logger: Logger
    ) {
        settings = configuration
        self.logger = logger
        pods = Reflector(
            NodePod.self, client: client, scope: ListScope(fieldSelector: "spec.nodeName=\(nodeName)"), logger: logger
        ) { _ in }
        handler = CNIRequestHandler(
            nodeName: nodeName, settings: configuration,
            api: KubernetesNodeAPI(client: client, events: events, pods: pods.store), tunnel: tunnel,
            podNetwork: podNetwork, logger: logger)
    }

    /// Works until the task is cancelled or graceful shutdown begins. Requests in flight then undo what they began.
    ///
    /// - Throws: ``HostError`` if the settings are wrong or the socket cannot be made.
    public func run() async throws {
        try settings.validate()
        let relay = RelayServer(path: settings.socketPath, logger: logger) { await handler.respond(to: $0) }
        let installer = ConflistInstaller(settings: settings, logger: logger)
        let ready = ChangeSignal()
        try await RoleLifetime.run(work: {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await relay.run(onReady: ready.raise) }
                group.addTask { try await pods.run() }
                group.addTask {
                    // The runtime must not be sent to a socket that is not there yet.
                    for await _ in ready.changes { break }
                    async let recalling: Void = handler.recallTunnels()
                    await installer.run()
                    await recalling
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        })
    }
}
