import Kubernetes
import Logging
import ProviderKit

/// One comparison of the cloud by hand, through the daemon's own loader, without the daemon.
public struct CloudComparison: Sendable {
    /// What is compared.
    public enum Scope: Sendable {
        /// All that the manager's next runs would change.
        case plan
        /// What differs of that which was provisioned.
        case diff
    }

    public var scope: Scope

    public init(_ scope: Scope) {
        self.scope = scope
    }

    /// Starts the plugins of the list with their settings in this process (or in children, where their entries say so),
    /// asks them, and ends them. Reads the objects as `host.yaml` says; writes nothing.
    ///
    /// - Parameters:
    ///   - kubeconfig: taken instead of the file's own.
    ///   - timeout: of each call to a plugin.
    /// - Throws: ``HostError``, `KubernetesError` or ``ProviderError`` if nothing could be compared.
    public func run(
        configuration: HostConfiguration, kubeconfig: String? = nil, timeout: Duration, logger: Logger
    ) async throws -> CloudPlan {
        guard configuration.role == .manager else {
            throw HostError(
                .configuration,
                "role is \"\(configuration.role.rawValue)\"; the cloud is compared with the host.yaml of a manager")
        }
        let plugins = try await PluginRuntime(
            configuration.plugins, directory: configuration.effectivePluginDirectory, trust: configuration.trust,
            role: configuration.role, logger: logger)
        let outcome: Result<CloudPlan, any Error>
        do {
            outcome = .success(try await run(configuration, kubeconfig, plugins, timeout, logger))
        } catch {
            outcome = .failure(error)
        }
        plugins.close()
        await plugins.ended()
        return try outcome.get()
    }

    private func run(
        _ configuration: HostConfiguration, _ kubeconfig: String?, _ plugins: PluginRuntime, _ timeout: Duration,
        _ logger: Logger
    ) async throws -> CloudPlan {
        let loadBalancer = try plugins.require(LoadBalancer.self, timeout: timeout)
        let nodePool = try plugins.require(NodePool.self, timeout: timeout)
        let client = try KubernetesClient(
            configuration: configuration.kubernetesClient(kubeconfig: kubeconfig), logger: logger)
        let review = CloudReview(
            client: client, loadBalancer: loadBalancer, nodePool: nodePool, settings: configuration.manager)
        let outcome: Result<CloudPlan, any Error>
        do {
            outcome = .success(scope == .plan ? try await review.plan() : try await review.diff())
        } catch {
            outcome = .failure(error)
        }
        try? await client.shutdown()
        return try outcome.get()
    }
}
