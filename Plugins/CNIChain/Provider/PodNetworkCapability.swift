import LinuxNet
import ProviderKit

/// `pod-network/1`. Stateless: what was done is read back from the pod's namespace, so a restarted host, or another
/// one, goes on where this one stopped.
public struct PodNetworkCapability: CapabilityProvider {
    public typealias Contract = PodNetwork

    public let offeredVerbs: Set<Verb> = [.ensure, .remove, .check, .status]

    /// Each item in work holds one operating-system thread for a few milliseconds.
    private static let itemsAtOnce = 8

    /// The work of a cancelled call goes on to its end; a removal that follows must find all of it.
    private let turns = KeyedSerializer()

    public init() {}

    public func ensure(
        _ items: [PodNetwork.Desired], _ context: CallContext
    ) async -> [ItemResult<PodNetwork.Observed>] {
        await context.eachResult(items, parallelism: Self.itemsAtOnce) { item in
            let attachment = try PodAttachment(item)
            return .ok(
                item.id,
                try await inside(attachment.pod) { pod in
                    try pod.attach(attachment)
                    return PodNetwork.Observed(routes: try pod.read().observedRoutes)
                })
        }
    }

    /// Reads only.
    public func check(
        _ items: [PodNetwork.Desired], _ context: CallContext
    ) async -> [ItemResult<PodNetwork.Observed>] {
        await context.eachResult(items, parallelism: Self.itemsAtOnce) { item in
            let attachment = try PodAttachment(item)
            return try await inside(attachment.pod) { pod in
                let state = try pod.read()
                guard state.isAttached else { return .drifted(item.id, ["the pod is not attached"], nil) }
                let differences = try pod.differences(attachment, state)
                let observed = PodNetwork.Observed(routes: state.observedRoutes)
                return differences.isEmpty ? .ok(item.id, observed) : .drifted(item.id, differences, observed)
            }
        }
    }

    /// Gives the pods their ordinary network back. The sysctls stay: their former values are not known.
    public func remove(_ items: [PodNetwork.Reference], _ context: CallContext) async -> [ItemResult<Nothing>] {
        await context.eachResult(items, parallelism: Self.itemsAtOnce) { item in
            do {
                try await inside(try PodReference(item)) { try $0.detach() }
            } catch let error as ProviderError where error == .namespaceMissing(item.namespace) {
                // Routes, rules and rulesets went with the namespace.
            }
            return .ok(item.id, Nothing())
        }
    }

    public func status(
        _ items: [PodNetwork.Reference], _ context: CallContext
    ) async -> [ItemResult<PodNetwork.Observed>] {
        await context.eachResult(items, parallelism: Self.itemsAtOnce) { item in
            try await inside(try PodReference(item)) { pod in
                let state = try pod.read()
                let missing = state.missingParts
                guard missing.isEmpty else {
                    throw ProviderError(
                        .retry, "\(item.namespace): \(missing.joined(separator: ", ")) missing; ensure it again")
                }
                // Nothing observed: the schema's way to say that there is no attachment.
                return .ok(item.id, state.isAttached ? PodNetwork.Observed(routes: state.observedRoutes) : nil)
            }
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
