import Kubernetes
import ProviderKit
import Reconcile

/// Compares a cluster's objects with the cloud, and writes to neither.
struct CloudReview: Sendable {
    let client: KubernetesClient
    let loadBalancer: any CapabilityClient<LoadBalancer>
    let nodePool: any CapabilityClient<NodePool>
    let settings: ManagerSettings

    /// What the manager's next runs change: for every StaticGatewayConfiguration as it is now, whether or not the manager
    /// has seen it, for objects on their way out, and for what belongs to no object.
    func plan() async throws -> CloudPlan {
        let gateways = try await list(StaticGatewayConfiguration.self)
        let balancers = try await list(GatewayLBConfiguration.self)
        let machines = try await list(GatewayVMConfiguration.self)
        var refused: [CloudPlan.Entry] = []
        var wanted: [StaticGatewayConfiguration] = []
        for gateway in gateways where gateway.metadata.deletionTimestamp == nil {
            guard let refusal = StaticGatewayController.refusal(of: gateway, settings) else {
                wanted.append(gateway)
                continue
            }
            refused.append(
                CloudPlan.Entry(
                    .fail, StaticGatewayConfiguration.resourceType.kind, namespace: gateway.metadata.namespace,
                    name: gateway.metadata.name, message: refusal.message, reason: refusal.reason))
        }
        let leaving = Set(gateways.filter { $0.metadata.deletionTimestamp != nil }.map { ObjectKey($0) })
        let rules = ObjectReview(found: balancers, capability: loadBalancer, settings: settings)
        let addresses = ObjectReview(found: machines, capability: nodePool, settings: settings)
        return CloudPlan(entries: refused, asDesired: 0)
            + (await rules.plan(wanted: wanted, leaving: leaving))
            + (await addresses.plan(wanted: wanted, leaving: leaving))
    }

    /// What somebody else has changed of that which was provisioned.
    func diff() async throws -> CloudPlan {
        let rules = ObjectReview(
            found: try await list(GatewayLBConfiguration.self), capability: loadBalancer, settings: settings)
        let addresses = ObjectReview(
            found: try await list(GatewayVMConfiguration.self), capability: nodePool, settings: settings)
        return await rules.diff() + (await addresses.diff())
    }

    /// - Throws: ``HostError`` for an object that cannot be read: what it asks for, nobody knows.
    private func list<Object: KubernetesResource>(_ type: Object.Type) async throws -> [Object] {
        let list = try await client.list(type)
        if let object = list.undecodable.first {
            throw HostError(
                .invalidObject,
                "\(type.resourceType.kind) \(object.namespace)/\(object.name): cannot be read: \(object.reason)")
        }
        return list.items.sorted { ObjectKey($0) < ObjectKey($1) }
    }
}

/// The review of one kind of objects, through one capability.
struct ObjectReview<Object: ProvidedObject>: Sendable {
    let found: [Object]
    let capability: any CapabilityClient<Object.Contract>
    let settings: ManagerSettings

    private var kind: String { Object.resourceType.kind }

    func diff() async -> CloudPlan {
        await compare(found.filter { $0.isProvisioned && $0.metadata.deletionTimestamp == nil })
    }

    /// - Parameters:
    ///   - wanted: configurations that shall be provisioned.
    ///   - leaving: configurations that are being deleted, and what was made for them with them.
    func plan(wanted: [StaticGatewayConfiguration], leaving: Set<ObjectKey>) async -> CloudPlan {
        let known = Dictionary(found.map { (ObjectKey($0), $0) }) { first, _ in first }
        let isLeaving = { (object: Object) in
            object.metadata.deletionTimestamp != nil || leaving.contains(ObjectKey(object))
        }
        var staying = wanted.compactMap { gateway -> Object? in
            guard let object = known[ObjectKey(gateway)] else { return Self.future(of: gateway) }
            guard !isLeaving(object) else { return nil }
            var metadata = object.metadata
            if metadata.ownerReferences.isEmpty { metadata.ownerReferences = [gateway.ownerReference()] }
            return object.isProvisioned && object.spec == GatewayConfigurationSpec(gateway.spec)
                ? object : Object(metadata: metadata, spec: GatewayConfigurationSpec(gateway.spec))
        }
        // One whose owner is refused, or is gone without it, is compared as it is.
        let owned = Set(wanted.map { ObjectKey($0) })
        staying += found.filter { !isLeaving($0) && !owned.contains(ObjectKey($0)) }
        return await compare(staying) + (await removals(found.filter(isLeaving))) + (await strays())
    }

    /// The object that the manager will make. Its UID, by which the cloud's resources are named, is not known yet.
    private static func future(of gateway: StaticGatewayConfiguration) -> Object {
        Object(
            metadata: ObjectMeta(
                name: gateway.metadata.name, namespace: gateway.metadata.namespace,
                uid: "uid-of-\(gateway.metadata.namespace)-\(gateway.metadata.name)",
                ownerReferences: [gateway.ownerReference()]),
            spec: GatewayConfigurationSpec(gateway.spec))
    }

    private func compare(_ objects: [Object]) async -> CloudPlan {
        let items = objects.compactMap { $0.desired(settings) }
        guard !items.isEmpty else { return CloudPlan(entries: [], asDesired: 0) }
        let provisioned = Set(found.filter(\.isProvisioned).map(\.metadata.uid))
        do {
            let answers = try await capability.check(items)
            let results = Dictionary(answers.map { ($0.id, $0) }) { first, _ in first }
            var plan = CloudPlan(entries: [], asDesired: 0)
            for object in objects {
                let action: CloudPlan.Action = provisioned.contains(object.metadata.uid) ? .change : .create
                switch results[object.metadata.uid] {
                case nil: plan.entries.append(entry(.unknown, object, message: "the provider says nothing about it"))
                case let result? where result.code == .ok: plan.asDesired += 1
                case let result? where result.code == .conflict:
                    plan.entries.append(entry(action, object, details: result.drift ?? []))
                case let result?:
                    var failed = entry(
                        result.reason == nil ? .unknown : .fail, object, details: result.drift ?? [],
                        message: result.message ?? result.code.rawValue)
                    failed.reason = result.reason
                    plan.entries.append(failed)
                }
            }
            return plan
        } catch {
            return CloudPlan(entries: objects.map { unknown($0, ProviderError(error)) }, asDesired: 0)
        }
    }

    /// What objects on their way out still have.
    private func removals(_ objects: [Object]) async -> CloudPlan {
        guard !objects.isEmpty else { return CloudPlan(entries: [], asDesired: 0) }
        do {
            let answers = try await capability.status(objects.map(\.poolReference))
            let results = Dictionary(answers.map { ($0.id, $0) }) { first, _ in first }
            let entries = objects.compactMap { object -> CloudPlan.Entry? in
                guard let result = results[object.metadata.uid], result.code == .ok else {
                    return entry(
                        .unknown, object,
                        message: results[object.metadata.uid]?.message ?? "the provider says nothing about it")
                }
                return result.observed.map { entry(.remove, object, details: [Object.describe($0)]) }
            }
            return CloudPlan(entries: entries, asDesired: 0)
        } catch {
            return CloudPlan(entries: objects.map { unknown($0, ProviderError(error)) }, asDesired: 0)
        }
    }

    /// What a prune takes: asked for everything, a provider lists what it would remove if nobody wanted it.
    private func strays() async -> CloudPlan {
        guard settings.drift.pruneSeconds > 0 else { return CloudPlan(entries: [], asDesired: 0) }
        do {
            let known = Set(found.map { $0.metadata.uid.lowercased() })
            let strays = try await capability.status([]).filter { !known.contains($0.id.lowercased()) }
            return CloudPlan(
                entries: strays.map { stray in
                    CloudPlan.Entry(
                        stray.code == .ok ? .prune : .unknown, kind, name: stray.id,
                        details: stray.observed.map { [Object.describe($0)] } ?? [], message: stray.message)
                }, asDesired: 0)
        } catch {
            let message = "what belongs to no object: \(ProviderError(error).message)"
            return CloudPlan(entries: [CloudPlan.Entry(.unknown, kind, name: "-", message: message)], asDesired: 0)
        }
    }

    private func unknown(_ object: Object, _ error: ProviderError) -> CloudPlan.Entry {
        var unknown = entry(.unknown, object, message: error.message)
        unknown.reason = error.reason
        return unknown
    }

    private func entry(
        _ action: CloudPlan.Action, _ object: Object, details: [String] = [], message: String? = nil
    ) -> CloudPlan.Entry {
        CloudPlan.Entry(
            action, kind, namespace: object.metadata.namespace, name: object.metadata.name, details: details,
            message: message)
    }
}
