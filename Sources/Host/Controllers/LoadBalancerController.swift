import Foundation
import Kubernetes
import Logging
import ProviderKit
import Reconcile

/// GatewayLBConfiguration -> the provider's load balancer, GatewayVMConfiguration, and the status back up
/// (upstream behaviour section 3.2).
struct LoadBalancerController: Sendable {
    let objects: GatewayObjects
    let loadBalancer: any CapabilityClient<LoadBalancer>
    let events: EventRecorder
    let settings: ManagerSettings
    /// The wall clock, for conditions.
    var now: @Sendable () -> Date = { Date() }

    func reconcile(_ key: ObjectKey) async -> Outcome {
        do {
            guard
                let balancer = try await objects.find(
                    GatewayLBConfiguration.self, namespace: key.namespace, name: key.name)
            else { return .done }
            return balancer.metadata.deletionTimestamp == nil
                ? try await provision(balancer) : try await delete(balancer)
        } catch {
            return Outcome(error, later: .seconds(settings.resyncSeconds))
        }
    }

    private func provision(_ found: GatewayLBConfiguration) async throws -> Outcome {
        guard let owner = found.staticGatewayOwner, let desired = found.desired(settings) else {
            throw HostError(
                .invalidObject,
                "GatewayLBConfiguration \(found.qualifiedName): has no StaticGatewayConfiguration of its name as owner")
        }
        let balancer = try await objects.addFinalizer(GatewayNames.loadBalancerFinalizer, to: found)
        do {
            let observed = try await loadBalancer.ensureOne(desired)
            let nodePool = try await ensureNodePool(of: balancer)
            var status = Self.status(balancer.status, observed, nodePool.status)
            status.conditions = FailureCondition.setting(
                Self.readiness(of: balancer, nodePool), in: status.conditions, now: now())
            if try await objects.setStatus(status, replacing: balancer.status, on: balancer) {
                await events.normal(
                    reference(owner, balancer), reason: "ReconcileGatewayLBConfigurationSuccess",
                    message: "load balancer frontend \(status.frontendIp), port \(status.serverPort)")
            }
            return .done
        } catch {
            await tell(error, about: balancer, owner)
            throw error
        }
    }

    /// What the load balancer's own run achieved is told only if the nodes have no failure to tell.
    private static func readiness(of balancer: GatewayLBConfiguration, _ nodePool: GatewayVMConfiguration) -> Condition
    {
        let failure = FailureCondition.failure(
            in: nodePool.status?.conditions, generation: nodePool.metadata.generation)
        guard var failure else {
            return FailureCondition.success(
                "the load balancer has a rule for this configuration", generation: balancer.metadata.generation)
        }
        failure.observedGeneration = balancer.metadata.generation
        return failure
    }

    /// A failure that a person can mend goes into the condition, and into one Event when the condition changes.
    private func tell(_ error: any Error, about balancer: GatewayLBConfiguration, _ owner: OwnerReference) async {
        if let condition = FailureCondition.condition(error, generation: balancer.metadata.generation) {
            var status = balancer.status ?? GatewayLBConfigurationStatus()
            status.conditions = FailureCondition.setting(condition, in: status.conditions, now: now())
            // A condition that could not be written is tried again with the next run.
            let isNews = try? await objects.setStatus(status, replacing: balancer.status, on: balancer)
            if isNews == false { return }
        }
        await events.warning(
            reference(owner, balancer), reason: "ReconcileGatewayLBConfigurationError",
            message: String(describing: error))
    }

    /// The status to write: what was there, with what was observed now.
    static func status(
        _ old: GatewayLBConfigurationStatus?, _ observed: LoadBalancer.Observed,
        _ nodePool: GatewayVMConfigurationStatus?
    ) -> GatewayLBConfigurationStatus {
        var status = old ?? GatewayLBConfigurationStatus()
        status.frontendIp = observed.frontendIP
        status.serverPort = Int32(observed.port)
        status.egressIpPrefix = nodePool?.egressIpPrefix ?? ""
        status.egressIpv6Prefix = nodePool?.egressIpv6Prefix ?? ""
        return status
    }

    private func ensureNodePool(of balancer: GatewayLBConfiguration) async throws -> GatewayVMConfiguration {
        try await objects.ensure(
            GatewayVMConfiguration(
                metadata: ObjectMeta(
                    name: balancer.metadata.name, namespace: balancer.metadata.namespace,
                    ownerReferences: [balancer.ownerReference()]),
                spec: balancer.spec),
            spec: \.spec)
    }

    /// First the node pool, whose addresses use the load balancer's pool; then the rule.
    private func delete(_ balancer: GatewayLBConfiguration) async throws -> Outcome {
        guard balancer.metadata.finalizers.contains(GatewayNames.loadBalancerFinalizer) else { return .done }
        if try await objects.deleteChild(GatewayVMConfiguration.self, of: balancer) {
            // The deletion event of the GatewayVMConfiguration brings this key back.
            return .requeue(after: .seconds(10))
        }
        do {
            try await loadBalancer.removeOne(balancer.poolReference)
        } catch {
            if let owner = balancer.staticGatewayOwner {
                await events.warning(
                    reference(owner, balancer), reason: "EnsureDeleteGatewayLBConfigurationError",
                    message: String(describing: error))
            }
            throw error
        }
        try await objects.removeFinalizer(GatewayNames.loadBalancerFinalizer, from: balancer)
        return .done
    }

    private func reference(_ owner: OwnerReference, _ balancer: GatewayLBConfiguration) -> ObjectReference {
        owner.reference(namespace: balancer.metadata.namespace)
    }
}

extension GatewayLBConfiguration {
    /// The configuration this object was made for: the owner with the same name (upstream behaviour section 2.2).
    var staticGatewayOwner: OwnerReference? {
        metadata.ownerReferences.first {
            $0.kind == StaticGatewayConfiguration.resourceType.kind && $0.name == metadata.name
        }
    }
}

extension OwnerReference {
    /// The owner as the object of an Event.
    func reference(namespace: String) -> ObjectReference {
        ObjectReference(apiVersion: apiVersion, kind: kind, namespace: namespace, name: name, uid: uid)
    }
}
