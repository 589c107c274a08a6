import LinuxNet
import ProviderKit

/// The verbs of `tunnel/1`. Items of a batch are independent: each succeeds or fails alone.
struct TunnelService: CapabilityProvider {
    typealias Contract = Tunnel

    /// Items under way at a time in one call. Each has a thread while it runs; starting a userspace process is the
    /// most of it and bound by the processor.
    private static let parallelism = 4

    let offeredVerbs: Set<Verb> = [.ensure, .remove, .check, .prune, .status]
    private let worker: TunnelWorker
    private let watcher: TunnelWatcher
    /// The work of a cancelled call goes on to its end; a removal that follows must find all of it.
    private let turns = KeyedSerializer()

    init(worker: TunnelWorker) {
        self.worker = worker
        watcher = TunnelWatcher(host: worker.host, node: worker.node, settings: worker.settings)
    }

    func ensure(_ items: [Tunnel.Desired], _ context: CallContext) async throws -> [ItemResult<Tunnel.Observed>] {
        await context.each(items, parallelism: Self.parallelism, describe: ProviderError.from) {
            [worker, watcher] item in
            let spec = try TunnelSpec(item, settings: worker.settings.current)
            return try await turns.attempt("\(item.namespace) \(item.link)") {
                let (observed, address) = try await worker.node.run { try worker.ensure(spec) }
                switch spec.end {
                case .pod: watcher.watch(address)
                case .gateway: watcher.start()
                }
                return observed
            }
        }
    }

    func check(_ items: [Tunnel.Desired], _ context: CallContext) async throws -> [ItemResult<Tunnel.Observed>] {
        await context.eachResult(items, parallelism: Self.parallelism, describe: ProviderError.from) { [worker] item in
            let spec = try TunnelSpec(item, settings: worker.settings.current)
            let (drift, observed) = try await turns.attempt("\(item.namespace) \(item.link)") {
                try await worker.node.run { try worker.check(spec) }
            }
            return drift.isEmpty ? .ok(item.id, observed) : .drifted(item.id, drift, observed)
        }
    }

    func remove(_ items: [Tunnel.Reference], _ context: CallContext) async throws -> [ItemResult<Nothing>] {
        await context.each(items, parallelism: Self.parallelism, describe: ProviderError.from) {
            [worker, watcher] item in
            let namespace = try TunnelSpec.namespace(item.namespace)
            return try await turns.attempt("\(item.namespace) \(item.link)") {
                watcher.forget(namespace, item.link)
                try await worker.node.run { try worker.remove(namespace: namespace, link: item.link) }
                return nil
            }
        }
    }

    func status(_ items: [Tunnel.Reference], _ context: CallContext) async throws -> [ItemResult<Tunnel.Observed>] {
        await context.each(items, parallelism: Self.parallelism, describe: ProviderError.from) {
            [worker, watcher] item in
            let namespace = try TunnelSpec.namespace(item.namespace)
            return try await turns.attempt("\(item.namespace) \(item.link)") {
                let (observed, podEnd) = try await worker.node.run {
                    try worker.status(namespace: namespace, link: item.link)
                }
                if let podEnd { watcher.watch(podEnd) }
                return observed
            }
        }
    }

    func prune(
        keeping items: [Tunnel.Reference], namespaces: [String], _ context: CallContext
    ) async throws -> [ItemResult<Nothing>] {
        var unwanted: [Tunnel.Reference] = []
        for path in Set(namespaces).sorted() {
            let namespace = try TunnelSpec.namespace(path)
            let links = try await convertingErrors { [worker] in
                try await worker.node.run { try worker.ownLinks(in: namespace) }
            }
            let kept = Set(items.filter { $0.namespace == path }.map(\.link))
            unwanted += links.filter { !kept.contains($0) }.map {
                Tunnel.Reference(id: "\(path)/\($0)", namespace: path, link: $0)
            }
        }
        try await convertingErrors { [worker] in
            try await worker.node.run { try worker.removeLeftovers() }
        }
        for reference in unwanted {
            worker.host.log(
                .notice, "removing a tunnel that nobody wants",
                ["link": reference.link, "namespace": reference.namespace])
        }
        return try await remove(unwanted, context)
    }

    private func convertingErrors<R: Sendable>(_ body: @Sendable () async throws -> R) async throws -> R {
        do {
            return try await body()
        } catch {
            throw ProviderError.from(error)
        }
    }
}
