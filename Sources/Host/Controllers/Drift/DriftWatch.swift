import Kubernetes
import Logging
import ProviderKit
import Reconcile

/// Compares the cloud with all objects of one kind, again and again, and has repaired what differs in the same pass.
///
/// One pass is one `check` of everything that is provisioned, whatever the number of objects, and one `ensure` of what
/// drifted. What is not provisioned yet, is being changed, or has a failure to tell is its controller's affair.
struct DriftWatch<Object: ProvidedObject>: Sendable {
    let store: ObjectStore<Object>
    let capability: BatchingCapability<Object.Contract>
    let teller: DriftTeller
    let settings: ManagerSettings
    let logger: Logger
    let environment: ReconcileEnvironment
    /// Brings an object to its controller.
    let enqueue: @Sendable (ObjectKey) -> Void
    /// Whether a failure that an object tells was met by another object, and copied.
    var isInherited: @Sendable (Object, Condition) -> Bool = { _, _ in false }

    /// Objects that are read and told of at a time.
    private static var parallelism: Int { 16 }

    /// What came of one pass.
    enum Pass: Sendable, Equatable {
        case compared
        /// The provider does not offer `check`.
        case notOffered
        /// The cloud asked for less.
        case throttled(Duration)
    }

    /// Works until its task is cancelled. Passes begin at a steady pace, from a moment of chance on, so that the managers
    /// of many clusters do not meet; the pace itself is kept, because it is what reads are budgeted by.
    func run() async throws {
        try await store.waitUntilSynced()
        let interval = Duration.seconds(settings.drift.checkSeconds) / Object.looksPerInterval
        var random = environment.random
        try await environment.clock.sleep(for: interval * Double.random(in: 0..<1, using: &random))
        var untilResync = Duration.seconds(settings.resyncSeconds)
        while true {
            let elapsed = environment.stopwatch()
            var wait = interval
            switch await pass() {
            case .compared: break
            case .throttled(let least): wait = max(interval, least)
            case .notOffered:
                // All are brought to their controller now and then instead: its ensure compares as well, if dearly.
                if untilResync <= .zero {
                    for key in store.keys { enqueue(key) }
                    untilResync = .seconds(settings.resyncSeconds)
                }
                untilResync -= wait
            }
            try await environment.clock.sleep(for: max(wait - elapsed(), .zero))
        }
    }

    func pass() async -> Pass {
        let objects = store.all.filter(isWatched)
        let watched = Dictionary(objects.map { ($0.metadata.uid, $0) }) { first, _ in first }
        let items = objects.compactMap { $0.desired(settings) }
        guard !items.isEmpty else { return .compared }
        do {
            let mending = try await capability.checkAndMend(items) { await confirm($0, watched) }
            report(mending)
            for result in mending.checked {
                guard let object = watched[result.id], needsController(result, object) else { continue }
                enqueue(ObjectKey(object))
            }
            return .compared
        } catch {
            let error = ProviderError(error)
            switch error.code {
            case .unsupported: return .notOffered
            case .throttled: return .throttled(.milliseconds(error.retryAfterMilliseconds ?? 0))
            default:
                log(.warning, "the cloud cannot be compared", ["error": .string(error.message)])
                return .compared
            }
        }
    }

    /// Of an object that is provisioned the controller only hears of changes; any other it is at work on.
    private func isWatched(_ object: Object) -> Bool {
        guard object.metadata.deletionTimestamp == nil, object.isProvisioned,
            object.metadata.finalizers.contains(Object.providerFinalizer)
        else { return false }
        guard let failure = object.failure, failure.reason != FailureCondition.driftReason else { return true }
        return isInherited(object, failure)
    }

    /// Tells of each difference, and says what is wanted by now: the object may have changed or gone since the store
    /// heard of it.
    private func confirm(
        _ results: [ItemResult<Object.Contract.Observed>], _ watched: [String: Object]
    ) async -> [Object.Contract.Desired] {
        await withTaskGroup(of: Object.Contract.Desired?.self) { group in
            var wanted: [Object.Contract.Desired] = []
            for (index, result) in results.enumerated() {
                if index >= Self.parallelism, let next = await group.next() { wanted += next.map { [$0] } ?? [] }
                guard let known = watched[result.id] else { continue }
                group.addTask { await confirm(result, known) }
            }
            for await next in group { wanted += next.map { [$0] } ?? [] }
            return wanted
        }
    }

    private func confirm(
        _ result: ItemResult<Object.Contract.Observed>, _ known: Object
    ) async -> Object.Contract.Desired? {
        let metadata = known.metadata
        guard
            let object = try? await teller.objects.find(
                Object.self, namespace: metadata.namespace, name: metadata.name),
            object.metadata.uid == result.id, object.metadata.deletionTimestamp == nil,
            // One that was changed is its controller's.
            object.metadata.generation == metadata.generation
        else { return nil }
        let drift = result.drift ?? [result.message ?? "the cloud differs"]
        log(
            .warning, "the cloud has drifted",
            ["object": .string("\(ObjectKey(object))"), "drift": .string(drift.joined(separator: "; "))])
        await teller.tell(drift, of: object)
        return object.desired(settings)
    }

    /// Whether the controller has something to do: to write down what a repair made, to clear what was told, or to tell
    /// what `ensure` would meet.
    private func needsController(_ result: ItemResult<Object.Contract.Observed>, _ object: Object) -> Bool {
        switch result.code {
        case .conflict: true
        case .ok: object.failure?.reason == FailureCondition.driftReason
        case .invalid, .terminal, .unsupported: true
        case .retry: result.reason != nil
        case .throttled, .cancelled: false
        }
    }

    private func report(_ mending: Mending<Object.Contract>) {
        if let failure = mending.failure {
            log(.warning, "the repair failed; it will be tried again", ["error": .string(failure.message)])
        }
        for result in mending.mended where result.code != .ok {
            log(
                .warning, "the repair failed; it will be tried again",
                ["item": .string(result.id), "error": .string(result.error.message)])
        }
        let repaired = mending.mended.count { $0.code == .ok }
        if repaired > 0 { log(.notice, "drift was repaired", ["items": .stringConvertible(repaired)]) }
    }

    private func log(_ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata) {
        logger.log(
            level: level, message, metadata: metadata.merging(["kind": .string(Object.resourceType.kind)]) { $1 })
    }
}
