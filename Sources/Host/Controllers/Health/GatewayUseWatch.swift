import Foundation
import Kubernetes
import Reconcile

/// Brings a configuration to its controller when its ``GatewayUse`` is not what its status says.
///
/// Changes are gathered: however many pods come and go, a configuration is looked at once per ``interval``, and written
/// at most as often.
struct GatewayUseWatch: Sendable {
    /// From one look at everything to the next.
    static let interval = Duration.seconds(5)

    let watches: ManagerWatches
    let uses: GatewayUses
    /// Raised by every change.
    let signal: ChangeSignal
    let environment: ReconcileEnvironment
    let enqueue: @Sendable (ObjectKey) -> Void

    /// Works until its task is cancelled.
    func run() async throws {
        try await watches.waitUntilSynced()
        try await watches.reports.store.waitUntilSynced()
        try await watches.pods.store.waitUntilSynced()
        for node in watches.nodes { try await node.store.waitUntilSynced() }
        var told: [ObjectKey: GatewayUse] = [:]
        signal.raise()
        for await _ in signal.changes {
            pass(&told)
            try await environment.clock.sleep(for: Self.interval)
        }
        try Task.checkCancellation()
    }

    /// Each difference is told once: a configuration that is refused keeps the status it has.
    private func pass(_ told: inout [ObjectKey: GatewayUse]) {
        let gateways = watches.gateways.store.all.filter { $0.metadata.deletionTimestamp == nil }
            .map { (key: ObjectKey($0), object: $0) }
        let silent = GatewayUse.silentNodes(watches.nodes.flatMap(\.store.all))
        let current = Dictionary(uniqueKeysWithValues: gateways.map { ($0.key, use(of: $0.key, silent)) })
        uses.replaceAll(current)
        for (key, gateway) in gateways {
            guard let use = current[key], told[key] != use, !use.isTold(by: gateway) else { continue }
            enqueue(key)
        }
        told = current
    }

    private func use(of key: ObjectKey, _ silent: Set<String>) -> GatewayUse {
        GatewayUse(
            profiles: watches.machines.store[key]?.status?.gatewayVMProfiles ?? [],
            reporting: watches.reports.store.objects(inIndex: GatewayUse.index, value: key.description)
                .map(\.metadata.name),
            silent: silent,
            pods: watches.pods.store.count(inIndex: GatewayUse.index, value: key.description))
    }
}
