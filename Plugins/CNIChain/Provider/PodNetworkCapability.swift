import LinuxNet
import ProviderKit

/// `pod-network/1`. Stateless: what was done is read back from the pod's namespace, so a restarted host, or another
/// one, goes on where this one stopped.
public struct PodNetworkCapability: CapabilityProvider {
    public typealias Contract = PodNetwork

    /// Each item in work holds one operating-system thread for a few milliseconds.
    private static let itemsAtOnce = 8

    /// The work of a cancelled call goes on to its end; a removal that follows must find all of it.
    private let turns = KeyedSerializer()

    public init() {}

    public func ensure(
        _ items: [PodNetwork.Desired], _ context: CallContext
    ) async -> [ItemResult<PodNetwork.Observed>] {
        await each(items, context) { item in
            let attachment = try PodAttachment(item)
            return try await inside(attachment.pod) { pod in
                try pod.attach(attachment)
                return PodNetwork.Observed(routes: try pod.read().observedRoutes)
            }
        }
    }

    /// Gives the pods their ordinary network back. The sysctls stay: their former values are not known.
    public func remove(_ items: [PodNetwork.Reference], _ context: CallContext) async -> [ItemResult<Nothing>] {
        await each(items, context) { item in
            do {
                try await inside(try PodReference(item)) { try $0.detach() }
            } catch let error as ProviderError where error == .namespaceMissing(item.namespace) {
                // Routes, rules and rulesets went with the namespace.
            }
            return Nothing()
        }
    }

    public func status(
        _ items: [PodNetwork.Reference], _ context: CallContext
    ) async -> [ItemResult<PodNetwork.Observed>] {
        await each(items, context) { item in
            try await inside(try PodReference(item)) { pod in
                let state = try pod.read()
                let missing = state.missingParts
                guard missing.isEmpty else {
                    throw ProviderError(
                        .retry, "\(item.namespace): \(missing.joined(separator: ", ")) missing; ensure it again")
                }
                // Nothing observed: the schema's way to say that there is no attachment.
                return state.isAttached ? PodNetwork.Observed(routes: state.observedRoutes) : nil
            }
        }
    }

    /// Does `body` for every item, a few at a time; an error is that item's result.
    private func each<Item: Identified & Sendable, Observed>(
        _ items: [Item], _ context: CallContext, _ body: @escaping @Sendable (Item) async throws -> Observed?
    ) async -> [ItemResult<Observed>] {
        @Sendable func result(_ item: Item) async -> ItemResult<Observed> {
            guard context.host.now < context.deadline else {
                return .failed(item.id, ProviderError(.cancelled, "the deadline passed before the item's turn"))
            }
            do {
                return .ok(item.id, try await body(item))
            } catch {
                return .failed(item.id, ProviderError(error))
            }
        }
        return await withTaskGroup(of: (Int, ItemResult<Observed>).self) { group in
            var results: [(Int, ItemResult<Observed>)] = []
            for (index, item) in items.enumerated() {
                if index >= Self.itemsAtOnce, let finished = await group.next() { results.append(finished) }
                group.addTask { (index, await result(item)) }
            }
            for await finished in group { results.append(finished) }
            return results.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    /// Runs `body` on a thread inside the pod's namespace, after all earlier work there, with this module's errors in the
    /// border's terms.
    private func inside<R: Sendable>(
        _ pod: PodReference, _ body: @escaping @Sendable (PodNamespace) throws -> R
    ) async throws -> R {
        try await turns.run(pod.namespace) {
            do {
                try Task.checkCancellation()
                return Result<R, any Error>.success(
                    try await NetworkNamespace(path: pod.namespace).run {
                        try body(PodNamespace(pod, routes: try RouteSocket()))
                    })
            } catch let error as LinuxNetError {
                return .failure(ProviderError(error, namespace: pod.namespace))
            } catch {
                return .failure(error)
            }
        }.get()
    }
}

extension ProviderError {
    static func namespaceMissing(_ path: String) -> ProviderError {
        ProviderError(.terminal, "namespace: \"\(path)\" does not exist; the pod is gone")
    }

    /// A kernel refusal as what the host does next.
    init(_ error: LinuxNetError, namespace: String) {
        switch error.code {
        case .namespaceMissing: self = .namespaceMissing(namespace)
        case .invalidValue: self.init(.invalid, "\(namespace): \(error)")
        case .notPermitted, .unsupported: self.init(.terminal, "\(namespace): \(error)")
        default: self.init(.retry, "\(namespace): \(error)")
        }
    }
}
