import LinuxNet
import ProviderKit

/// The verbs of `tunnel/1`. Items of a batch are independent: each succeeds or fails alone.
struct TunnelService: CapabilityProvider {
    typealias Contract = Tunnel

    /// Items under way at a time in one call. Each has a thread while it runs, for some milliseconds.
    private static let parallelism = 8

    let offeredVerbs: Set<Verb> = [.ensure, .remove, .check, .prune, .status]
    private let worker: TunnelWorker
    /// The work of a cancelled call goes on to its end; a removal that follows must find all of it.
    private let turns = KeyedSerializer()

    init(worker: TunnelWorker) {
        self.worker = worker
    }

    func ensure(_ items: [Tunnel.Desired], _ context: CallContext) async throws -> [ItemResult<Tunnel.Observed>] {
        await each(items, context) { [worker] item in
            let spec = try TunnelSpec(item, settings: worker.settings)
            return try await onNode(item.namespace, item.link) { try worker.ensure(spec) }
        }
    }

    func check(_ items: [Tunnel.Desired], _ context: CallContext) async throws -> [ItemResult<Tunnel.Observed>] {
        await context.eachResult(items, parallelism: Self.parallelism, describe: ProviderError.from) { [worker] item in
            let spec = try TunnelSpec(item, settings: worker.settings)
            let (drift, observed) = try await onNode(item.namespace, item.link) { try worker.check(spec) }
            return drift.isEmpty ? .ok(item.id, observed) : .drifted(item.id, drift, observed)
        }
    }

    func remove(_ items: [Tunnel.Reference], _ context: CallContext) async throws -> [ItemResult<Nothing>] {
        await each(items, context) { [worker] item in
            let namespace = try TunnelSpec.namespace(item.namespace)
            try await onNode(item.namespace, item.link) {
                try worker.remove(namespace: namespace, link: item.link)
            }
            return nil
        }
    }

    func status(_ items: [Tunnel.Reference], _ context: CallContext) async throws -> [ItemResult<Tunnel.Observed>] {
        await each(items, context) { [worker] item in
            let namespace = try TunnelSpec.namespace(item.namespace)
            return try await onNode(item.namespace, item.link) {
                try worker.status(namespace: namespace, link: item.link)
            }
        }
    }

    func prune(
        keeping items: [Tunnel.Reference], namespaces: [String], _ context: CallContext
    ) async throws -> [ItemResult<Nothing>] {
        var unwanted: [Tunnel.Reference] = []
        do {
            for path in Set(namespaces).sorted() {
                let namespace = try TunnelSpec.namespace(path)
                let links = try await worker.node.run { [worker] in try worker.ownLinks(in: namespace) }
                let kept = Set(items.filter { $0.namespace == path }.map(\.link))
                unwanted += links.filter { !kept.contains($0) }.map {
                    Tunnel.Reference(id: "\(path)/\($0)", namespace: path, link: $0)
                }
            }
            try await worker.node.run { [worker] in try worker.removeLeftovers() }
        } catch {
            throw ProviderError.from(error)
        }
        for reference in unwanted {
            worker.host.log(
                .notice, "removing a tunnel that nobody wants",
                ["link": reference.link, "namespace": reference.namespace])
        }
        return try await remove(unwanted, context)
    }

    private func each<Item: Identified & Sendable, Observed: Codable & Sendable & Equatable>(
        _ items: [Item], _ context: CallContext, _ work: @escaping @Sendable (Item) async throws -> Observed?
    ) async -> [ItemResult<Observed>] {
        await context.each(items, parallelism: Self.parallelism, describe: ProviderError.from, work)
    }

    /// Does `work` on a thread in the node's namespace, after all earlier work for that link.
    private func onNode<R: Sendable>(
        _ namespace: String, _ link: String, _ work: @escaping @Sendable () throws -> R
    ) async throws -> R {
        try await turns.attempt("\(namespace) \(link)") { [worker] in try await worker.node.run(work) }
    }
}
