import CoreMetrics
import Foundation
import Kubernetes
import Logging
import ProviderKit
import Reconcile
import ServiceLifecycle
import UnixSignals

/// One daemon from its configuration file to its end.
public enum Daemon {
    /// How long one call of each capability may take. The cloud's are upstream's budgets (upstream behaviour section
    /// 2.5: 5 minutes for a load balancer, 15 for a prefix); local ones are far below a container runtime's patience.
    private enum CallTimeout {
        static let loadBalancer = Duration.seconds(5 * 60)
        static let nodePool = Duration.seconds(15 * 60)
        static let tunnel = Duration.seconds(30)
        static let podNetwork = Duration.seconds(15)
    }

    /// Loads configuration and plugins, and runs the role until a signal or an error ends it.
    ///
    /// - Throws: ``HostError`` for anything a person has to correct before the daemon can start.
    public static func run(configurationPath: String) async throws {
        HeapKeeper.bound()
        let configuration = try HostConfiguration.load(path: configurationPath)
        // From here on SIGHUP does not end the process; one that comes before the role runs is kept.
        let hangups = await UnixSignalsSequence(trapping: .sighup)
        let logLevel = LiveLogLevel(Logger.Level(rawValue: configuration.logLevel) ?? .info)
        let logger = makeLogger(configuration, logLevel)
        let metrics = PrometheusRegistry()
        MetricsSystem.bootstrap(metrics)
        let plugins = try await PluginRuntime(
            configuration.plugins, directory: configuration.effectivePluginDirectory, trust: configuration.trust,
            role: configuration.role, logger: logger)
        let reloader = ConfigurationReloader(
            path: configurationPath, plugins: plugins, running: RunningConfiguration(configuration),
            logLevel: logLevel, hangups: hangups, logger: logger)
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await run(configuration, plugins, reloader, metrics, logger))
        } catch {
            outcome = .failure(error)
        }
        plugins.close()
        await plugins.ended()
        try outcome.get()
    }

    private static func run(
        _ configuration: HostConfiguration, _ plugins: PluginRuntime, _ reloader: ConfigurationReloader,
        _ metrics: PrometheusRegistry, _ logger: Logger
    ) async throws {
        let client = try KubernetesClient(configuration: configuration.kubernetesClient(), logger: logger)
        let events = EventRecorder(
            client: client, component: "egress-\(configuration.role.rawValue)",
            instance: configuration.nodeName.isEmpty ? nil : configuration.nodeName, logger: logger)
        let role: any Service
        do {
            role = try makeRole(configuration, plugins, client, events, logger)
        } catch {
            try? await client.shutdown()
            throw error
        }
        logger.notice("started", metadata: ["role": .string(configuration.role.rawValue)])
        // Looked at until the role has ended: what comes first in the list ends last.
        let status = StatusServer(settings: configuration.observability, metrics: metrics, logger: logger) {
            DaemonStatus(
                role: configuration.role, plugins: plugins, configuration: reloader.running.difference)
        }
        var group = ServiceGroupConfiguration(
            services: [
                .init(service: status), .init(service: reloader), .init(service: HeapKeeper()), .init(service: role),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        // After this the process goes, whatever still runs; a gateway first lets its load balancer turn away.
        let drain = configuration.role == .gateway ? configuration.gateway.drainSeconds : 0
        group.maximumGracefulShutdownDuration = .seconds(drain + 30)
        group.maximumCancellationDuration = .seconds(5)
        do {
            try await ServiceGroup(configuration: group).run()
        } catch {
            await events.flush()
            try? await client.shutdown()
            throw error
        }
        await events.flush()
        try await client.shutdown()
        logger.notice("stopped", metadata: ["role": .string(configuration.role.rawValue)])
    }

    private static func makeLogger(_ configuration: HostConfiguration, _ level: LiveLogLevel) -> Logger {
        LoggingSystem.bootstrap { LiveLogHandler(StreamLogHandler.standardError(label: $0), level: level) }
        var logger = Logger(label: "egress-host.\(configuration.role.rawValue)")
        if !configuration.nodeName.isEmpty { logger[metadataKey: "node"] = .string(configuration.nodeName) }
        return logger
    }

    private static func makeRole(
        _ configuration: HostConfiguration, _ plugins: PluginRuntime, _ client: KubernetesClient,
        _ events: EventRecorder, _ logger: Logger
    ) throws -> any Service {
        switch configuration.role {
        case .manager:
            return try ManagerRole(
                settings: configuration.manager, client: client,
                loadBalancer: try plugins.require(LoadBalancer.self, timeout: CallTimeout.loadBalancer),
                nodePool: try plugins.require(NodePool.self, timeout: CallTimeout.nodePool), events: events,
                logger: logger, receivePluginEvents: { plugins.handleEvents($0) },
                fenceWrites: { plugins.fenceWrites($0) })
        case .gateway:
            return GatewayRole(
                nodeName: configuration.nodeName, configuration: configuration.gateway, client: client,
                tunnel: try plugins.require(Tunnel.self, timeout: CallTimeout.tunnel), events: events, logger: logger)
        case .node:
            return NodeRole(
                nodeName: configuration.nodeName, configuration: configuration.node, client: client,
                tunnel: try plugins.require(Tunnel.self, timeout: CallTimeout.tunnel),
                podNetwork: try plugins.require(PodNetwork.self, timeout: CallTimeout.podNetwork), events: events,
                logger: logger)
        }
    }
}
