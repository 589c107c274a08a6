import FoundationEssentials
import Kubernetes
import Logging
import Reconcile
import Synchronization

/// This project's side: PodEndpoints followed by a ``Reflector`` and reconciled by a ``Controller`` with one worker,
/// all of it the code that the daemon runs.
final class BenchClient: Sendable {
    static let roundAnnotation = "bench.egress-gateway/round"

    private let client: KubernetesClient
    private let reflector: Reflector<PodEndpoint>
    private let controller: Controller
    private let progress: Progress
    private let server: String
    private let relay = Relay()

    init(server: String, wait: Duration) throws {
        var logger = Logger(label: "kubernetes-bench")
        logger.logLevel = .warning
        self.server = server
        client = try KubernetesClient(configuration: ClientConfiguration(server: server), logger: logger)
        let relay = relay
        reflector = Reflector(
            PodEndpoint.self, client: client,
            indexes: ["namespace": { [$0.metadata.namespace] }], logger: logger
        ) { relay.pass($0) }
        let (store, progress) = (reflector.store, Progress())
        self.progress = progress
        controller = Controller(name: "pod-endpoints", concurrency: 1, logger: logger) { key in
            await progress.reconcile(key, in: store, wait: wait)
        }
    }

    /// Runs one job from the first request to the end.
    func run(_ job: ClientJob, keys: Int, rounds: Int) async throws -> ClientResult {
        try await withThrowingTaskGroup(of: Void.self) { group in
            if job != .cold {
                relay.connect(to: controller)
                group.addTask { await self.controller.run() }
            }
            group.addTask { try await self.reflector.run() }
            try await reflector.store.waitUntilSynced()
            var result = ClientResult()
            result.syncedAt = monotonic()
            if job == .cold {
                try await Task.sleep(for: .seconds(2))
                // Before the benchmark itself needs memory for a sum over all objects.
                result.peakKiB = try memory("VmHWM")
                result.settledKiB = try memory("VmRSS")
            }
            (result.objects, result.checksum) = summary()
            switch job {
            case .cold: break
            case .noOp:
                result.reconcilesPerSecond = try await measureNoOps(result.objects)
            case .burst:
                try await measureBurst(keys: keys, rounds: rounds, &result)
            }
            group.cancelAll()
            return result
        }
    }

    func close() async throws { try await client.shutdown() }

    /// Counts the objects and joins their checksums.
    private func summary() -> (count: Int, checksum: String) {
        let objects = reflector.store.all
        return (objects.count, String(objects.reduce(UInt64(0)) { $0 ^ checksum($1) }, radix: 16))
    }

    /// Waits until the first list is reconciled.
    private func settle(_ count: Int) async throws {
        while progress.runs < count { try await Task.sleep(for: .milliseconds(10)) }
        try await Task.sleep(for: .milliseconds(500))
    }

    /// Adds all keys at once, as a resync does, until all are reconciled, round by round; the median round counts.
    private func measureNoOps(_ count: Int) async throws -> Double {
        try await settle(count)
        let keys = reflector.store.keys
        var rates: [Double] = []
        for _ in 0..<11 {
            let (before, began) = (progress.runs, monotonic())
            controller.enqueue(keys, priority: .background)
            while progress.runs < before + keys.count { try await Task.sleep(for: .milliseconds(1)) }
            rates.append(Double(keys.count) / Double(monotonic() - began) * 1e9)
        }
        return rates.sorted()[rates.count / 2]
    }

    /// Asks the server for a burst and waits until each key's last state is reconciled.
    private func measureBurst(keys: Int, rounds: Int, _ result: inout ClientResult) async throws {
        try await settle(result.objects)
        progress.beginBurst()
        let burst = try await BurstAnswer.ask(server, keys: keys, rounds: rounds)
        for _ in 0..<6000 where !progress.isOver(keys: keys, rounds: rounds) {
            try await Task.sleep(for: .milliseconds(10))
        }
        // What would still run for nothing counts, too.
        try await Task.sleep(for: .seconds(1))
        progress.report(into: &result, since: burst.began)
        result.expectedChecksum = burst.checksum
    }
}

/// Hands changes to a controller that is made after the reflector.
private final class Relay: Sendable {
    private let controller = Mutex<Controller?>(nil)

    func connect(to controller: Controller) { self.controller.withLock { $0 = controller } }

    func pass(_ change: StoreChange) { controller.withLock { $0 }?.enqueue(change) }
}

/// FNV-1a of what tells one state of an object from others; those of a store are joined by exclusive or.
func checksum(_ endpoint: PodEndpoint) -> UInt64 {
    let round = endpoint.metadata.annotations[BenchClient.roundAnnotation] ?? ""
    let text =
        "\(endpoint.metadata.namespace)/\(endpoint.metadata.name) \(endpoint.spec.podIpAddress) "
        + "\(endpoint.spec.podPublicKey) \(round)"
    return text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
