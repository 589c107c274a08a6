import Foundation
import JSONModel
import Kubernetes
import ProviderKit
import Reconcile

/// Tells that the cloud is not as desired any more: by a condition on the object that drifted and on those above it,
/// and by one Event.
///
/// The condition is the one that the controllers write, so that the run after the repair clears it.
struct DriftTeller: Sendable {
    let objects: GatewayObjects
    let events: EventRecorder
    /// The wall clock, for conditions.
    var now: @Sendable () -> Date = { Date() }

    /// Differences told in one condition; the log has all.
    private static let shownLines = 10

    /// - Parameter drift: at least one line of the provider's.
    func tell<Object: ProvidedObject>(_ drift: [String], of object: Object) async {
        let found = FailureCondition.drift(Self.message(drift), generation: object.metadata.generation)
        let isNews = await set(found, on: object, current: object.conditions)
        let (namespace, name) = (object.metadata.namespace, object.metadata.name)
        if Object.isBelowLoadBalancer,
            let balancer = try? await objects.find(GatewayLBConfiguration.self, namespace: namespace, name: name)
        {
            var condition = found
            condition.observedGeneration = balancer.metadata.generation
            _ = await set(condition, on: balancer, current: balancer.status?.conditions)
        }
        guard
            let gateway = try? await objects.find(StaticGatewayConfiguration.self, namespace: namespace, name: name)
        else { return }
        let condition = StaticGatewayController.readiness(
            gateway.status ?? .init(), failure: found, generation: gateway.metadata.generation)
        _ = await set(condition, on: gateway, current: gateway.status?.conditions)
        guard isNews else { return }
        await events.warning(
            gateway.objectReference, reason: FailureCondition.driftReason,
            message: "\(Object.resourceType.kind): \(found.message); it is being repaired")
    }

    static func message(_ drift: [String]) -> String {
        let rest = drift.count - shownLines
        return drift.prefix(shownLines).joined(separator: "; ") + (rest > 0 ? "; and \(rest) more" : "")
    }

    /// A failure that only a person can mend is not covered up.
    ///
    /// - Returns: whether the condition is new. One that cannot be written is told with the next comparison.
    private func set<Object: KubernetesResource>(
        _ condition: Condition, on object: Object, current: [Condition]?
    ) async -> Bool {
        if let old = Conditions.find(condition.type, in: current), old.status == "False",
            old.reason != condition.reason
        {
            return false
        }
        let conditions = FailureCondition.setting(condition, in: current, now: now())
        guard conditions != current, let list = try? JSONValue(encoding: conditions) else { return false }
        let patch: JSONValue = ["status": ["conditions": list]]
        let written = try? await objects.client.mergePatch(
            Object.self, namespace: object.metadata.namespace, name: object.metadata.name, patch: patch,
            resourceVersion: object.metadata.resourceVersion, subresource: .status)
        return written != nil
    }
}
