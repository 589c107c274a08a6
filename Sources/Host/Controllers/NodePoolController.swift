import Foundation
import Kubernetes
import Logging
import ProviderKit
import Reconcile

/// GatewayVMConfiguration -> the provider's node pool: prefix and secondary addresses (upstream behaviour section 3.3).
struct NodePoolController: Sendable {
    let objects: GatewayObjects
    let nodePool: any CapabilityClient<NodePool>
    let events: EventRecorder
    let settings: ManagerSettings
    /// The wall clock, for conditions.
    var now: @Sendable () -> Date = { Date() }

    func reconcile(_ key: ObjectKey) async -> Outcome {
        let later = Duration.seconds(settings.resyncSeconds)
        do {
            guard
                let configuration = try await objects.find(
                    GatewayVMConfiguration.self, namespace: key.namespace, name: key.name)
            else { return .done }
            return configuration.metadata.deletionTimestamp == nil
                ? try await provision(configuration) : try await delete(configuration)
        } catch {
            return Outcome(error, later: later)
        }
    }

    private func provision(_ found: GatewayVMConfiguration) async throws -> Outcome {
        let configuration = try await objects.addFinalizer(GatewayNames.nodePoolFinalizer, to: found)
        do {
            try admitPrefix(of: configuration)
            let observed = try await nodePool.ensureOne(Self.desired(configuration))
            var status = Self.status(configuration.status, observed)
            status.conditions = FailureCondition.setting(
                FailureCondition.success(
                    "every node has its egress address", generation: configuration.metadata.generation),
                in: status.conditions, now: now())
            if try await objects.setStatus(status, replacing: configuration.status, on: configuration) {
                await events.normal(
                    reference(configuration), reason: "ReconcileGatewayVMConfigurationSuccess",
                    message: "egress prefix \(status.egressIpPrefix) on \(status.gatewayVMProfiles.count) nodes")
            }
            return .done
        } catch {
            await tell(error, about: configuration)
            throw error
        }
    }

    /// The owner is refused the same way; this is the last gate before the cloud, also for an object that somebody made
    /// by hand.
    ///
    /// - Throws: ``ProviderError`` if the operator has not opened the prefix to the object's namespace.
    func admitPrefix(of configuration: GatewayVMConfiguration) throws {
        let prefixID = configuration.spec.publicIpPrefixId
        guard !prefixID.isEmpty,
            let refusal = settings.broughtPrefixes?.refusal(of: prefixID, in: configuration.metadata.namespace)
        else { return }
        var error = ProviderError(.invalid, "spec.publicIpPrefixId \(refusal)")
        error.reason = PrefixAllowList.reason
        throw error
    }

    /// A failure that a person can mend goes into the condition, and into one Event when the condition changes.
    private func tell(_ error: any Error, about configuration: GatewayVMConfiguration) async {
        if let condition = FailureCondition.condition(error, generation: configuration.metadata.generation) {
            var status = configuration.status ?? GatewayVMConfigurationStatus()
            status.conditions = FailureCondition.setting(condition, in: status.conditions, now: now())
            // A condition that could not be written is tried again with the next run.
            let isNews = try? await objects.setStatus(status, replacing: configuration.status, on: configuration)
            if isNews == false { return }
        }
        await events.warning(
            reference(configuration), reason: "ReconcileGatewayVMConfigurationError",
            message: String(describing: error))
    }

    /// The batch item of a configuration.
    static func desired(_ configuration: GatewayVMConfiguration) -> NodePool.Desired {
        let spec = configuration.spec
        let size = Int(spec.gatewayVmssProfile.publicIpPrefixSize)
        return NodePool.Desired(
            id: configuration.metadata.uid, pool: spec.pool, publicIPs: spec.provisionPublicIps,
            prefixLength: spec.gatewayNodepoolName.isEmpty && spec.provisionPublicIps ? size : nil,
            prefixID: spec.publicIpPrefixId.isEmpty ? nil : spec.publicIpPrefixId,
            ipFamilies: spec.ipFamilies.isEmpty ? nil : spec.ipFamilies.compactMap(NodePool.IPFamily.init))
    }

    /// The status to write, nodes in a stable order.
    static func status(
        _ old: GatewayVMConfigurationStatus?, _ observed: NodePool.Observed
    ) -> GatewayVMConfigurationStatus {
        var status = old ?? GatewayVMConfigurationStatus()
        status.egressIpPrefix = observed.egressPrefix
        status.egressIpv6Prefix = observed.egressPrefixV6 ?? ""
        status.gatewayVMProfiles = observed.nodes.map {
            GatewayVMProfile(
                nodeName: $0.nodeName, primaryIP: $0.primaryIP, secondaryIP: $0.secondaryIP,
                secondaryIPv6: $0.secondaryIPv6 ?? "")
        }.sorted { $0.nodeName < $1.nodeName }
        return status
    }

    private func delete(_ configuration: GatewayVMConfiguration) async throws -> Outcome {
        guard configuration.metadata.finalizers.contains(GatewayNames.nodePoolFinalizer) else { return .done }
        do {
            try await nodePool.removeOne(configuration.poolReference)
        } catch {
            await events.warning(
                reference(configuration), reason: "EnsureDeleteGatewayVMConfigurationError",
                message: String(describing: error))
            throw error
        }
        try await objects.removeFinalizer(GatewayNames.nodePoolFinalizer, from: configuration)
        return .done
    }

    /// Events go to the object the user made, which has the same name.
    private func reference(_ configuration: GatewayVMConfiguration) -> ObjectReference {
        let kind = StaticGatewayConfiguration.resourceType
        return ObjectReference(
            apiVersion: kind.apiVersion, kind: kind.kind, namespace: configuration.metadata.namespace,
            name: configuration.metadata.name)
    }
}
