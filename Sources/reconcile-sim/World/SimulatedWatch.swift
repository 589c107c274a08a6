import FoundationEssentials
import JSONModel
import Kubernetes
import NIOCore
import Reconcile

/// One watch of one process, from the server's history to the bytes the client reads.
///
/// `@unchecked Sendable`: touched by the main thread alone (``JobQueue``).
final class SimulatedWatch: AsyncSequence, @unchecked Sendable {
    typealias Element = ByteBuffer
    typealias Failure = any Error

    private enum Delivery {
        case bytes(String)
        case end
        case failure(KubernetesError)
    }

    private let target: SimulatedServer.Target
    private let process: SimulatedProcess
    private var deliveries: [Delivery] = []
    private var reader: CheckedContinuation<Void, Never>?
    private(set) var isOver = false

    /// - Parameter process: whose network and faults the watch has.
    init(target: SimulatedServer.Target, process: SimulatedProcess) {
        self.target = target
        self.process = process
        let seconds = Int64(target.query["timeoutSeconds"] ?? "") ?? 300
        process.world.clock.schedule(after: .seconds(seconds)) { [weak self] in self?.finish(.end) }
        scheduleBookmark()
    }

    /// The server tells of a change.
    func offer(_ change: SimulatedServer.Change) {
        guard !isOver, change.plural == target.plural, target.selects(change.object) else { return }
        // A server whose network is cut writes into a connection that nobody reads.
        guard !process.isCutOff else { return isolate() }
        deliver(.bytes(Self.line(change.type, change.object)))
        switch process.faults.watchFault() {
        case .none: break
        case .duplicate: deliver(.bytes(Self.line(change.type, change.object)))
        case .breakOff: finish(.failure(KubernetesError(.unavailable, "the watch broke off")))
        case .halfLine:
            deliver(.bytes(#"{"type":"MODIFIED","object":{"metadata":{"na"#))
            finish(.end)
        case .html:
            deliver(.bytes("<html><body>502 Bad Gateway</body></html>\n"))
            finish(.end)
        case .lose: isolate()
        }
    }

    /// All objects there are, and the bookmark that ends them.
    func begin(with objects: [JSONValue], version: Int) {
        for object in objects where target.selects(object) {
            guard !isOver else { return }
            deliver(.bytes(Self.line("ADDED", object)))
            if case .breakOff = process.faults.watchFault() {
                finish(.failure(KubernetesError(.unavailable, "the watch broke off")))
            }
        }
        guard !isOver else { return }
        deliver(
            .bytes(
                Self.line(
                    "BOOKMARK",
                    [
                        "metadata": [
                            "resourceVersion": .string(String(version)),
                            "annotations": ["k8s.io/initial-events-end": "true"],
                        ]
                    ])))
    }

    /// The version asked for is not in the history any more.
    func expire() {
        deliver(
            .bytes(
                Self.line("ERROR", SimulatedServer.Answer.failure(410, "Expired", "too old resource version").body)))
        finish(.end)
    }

    /// The process died or the run is over.
    func abandon() { finish(.failure(KubernetesError(.unavailable, "the connection is gone"))) }

    /// Nothing comes any more, and nobody says so, until the client's patience for silence is over.
    private func isolate() {
        guard !isOver else { return }
        isOver = true
        process.world.clock.schedule(after: .seconds(30)) { [weak self] in
            self?.deliver(.failure(KubernetesError(.timeout, "nothing came in the allowed time")))
        }
    }

    private func scheduleBookmark() {
        process.world.clock.schedule(after: .seconds(60)) { [weak self] in
            guard let self, !isOver else { return }
            let version = String(process.world.server.version)
            deliver(.bytes(Self.line("BOOKMARK", ["metadata": ["resourceVersion": .string(version)]])))
            scheduleBookmark()
        }
    }

    private func finish(_ last: Delivery) {
        guard !isOver else { return }
        deliver(last)
        isOver = true
    }

    private func deliver(_ delivery: Delivery) {
        deliveries.append(delivery)
        wake()
    }

    private func wake() {
        let waiting = reader
        reader = nil
        waiting?.resume()
    }

    private static func line(_ type: String, _ object: JSONValue) -> String {
        let event: JSONValue = ["type": .string(type), "object": object]
        // Encoding fails for infinite numbers only, and there are none.
        return String(decoding: (try? event.json()) ?? Data(), as: UTF8.self) + "\n"
    }

    func makeAsyncIterator() -> Iterator { Iterator(watch: self) }

    struct Iterator: AsyncIteratorProtocol {
        let watch: SimulatedWatch

        mutating func next() async throws -> ByteBuffer? { try await watch.next() }
    }

    private func next() async throws -> ByteBuffer? {
        while deliveries.isEmpty {
            guard !Task.isCancelled else { throw CancellationError() }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    if Task.isCancelled { continuation.resume() } else { reader = continuation }
                }
            } onCancel: {
                wake()
            }
        }
        try Task.checkCancellation()
        // The way from the server takes its time; what comes later waits behind.
        try await process.travel()
        guard !deliveries.isEmpty else { return nil }
        switch deliveries.removeFirst() {
        case .bytes(let text): return ByteBuffer(string: text)
        case .end: return nil
        case .failure(let error): throw error
        }
    }
}
