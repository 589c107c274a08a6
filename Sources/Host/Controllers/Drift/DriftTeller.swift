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
    /// Writes of one condition while others write the same object.
    private static let attempts = 3

    /// - Parameter drift: at least one line of the provider's.
    func tell<Object: ProvidedObject>(_ drift: [String], of object: Object) async {
        let found = FailureCondition.drift(Self.message(drift), generation: object.metadata.generation)
        let isNews = await set(found, on: object) { $0.conditions }
        let (namespace, name) = (object.metadata.namespace, object.metadata.name)
        if Object.isBelowLoadBalancer,
            let balancer = try? await objects.find(GatewayLBConfiguration.self, namespace: namespace, name: name)
        {
            var condition = found
            condition.observedGeneration = balancer.metadata.generation
            _ = await set(condition, on: balancer) { $0.status?.conditions }
        }
        guard
            let gateway = try? await objects.find(StaticGatewayConfiguration.self, namespace: namespace, name: name)
        else { return }
        let condition = StaticGatewayController.readiness(
            gateway.status ?? .init(), failure: found, generation: gateway.metadata.generation)
        _ = await set(condition, on: gateway) { $0.status?.conditions }
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
    /// - Returns: whether the condition is news. One that could not be written is: the repair comes at once, so that
    ///   there is no later comparison to tell of it.
    private func set<Object: KubernetesResource>(
        _ condition: Condition, on object: Object, conditions: @Sendable (Object) -> [Condition]?
    ) async -> Bool {
        var object = object
        for _ in 0..<Self.attempts {
            let current = conditions(object)
            if let old = Conditions.find(condition.type, in: current), old.status == "False",
                old.reason != condition.reason
            {
                return false
            }
            let wanted = FailureCondition.setting(condition, in: current, now: now())
            guard wanted != current, let list = try? JSONValue(encoding: wanted) else { return false }
            let metadata = object.metadata
            do {
                _ = try await objects.client.mergePatch(
                    Object.self, namespace: metadata.namespace, name: metadata.name,
                    patch: ["status": ["conditions": list]], resourceVersion: metadata.resourceVersion,
                    subresource: .status)
                return true
            } catch let error as KubernetesError where error.code == .conflict {
                guard
                    let newer = try? await objects.find(
                        Object.self, namespace: metadata.namespace, name: metadata.name)
                else { return true }
                object = newer
            } catch {
                return true
            }
        }
        return true
    }
}
