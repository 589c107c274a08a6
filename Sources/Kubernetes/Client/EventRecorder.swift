import FoundationEssentials
import JSONModel
import Logging

/// Posts core/v1 Events about objects. A report is queued and posted in the background, so a reconcile never waits for
/// it; reports that the API server does not take are logged at debug level and lost.
public actor EventRecorder {
    /// Reports that may wait; what comes above is dropped and counted.
    public static let maximumPending = 1000

    private let client: KubernetesClient
    private let component: String
    private let host: String?
    private let logger: Logger
    private let now: @Sendable () -> Date
    private var random: any RandomNumberGenerator & Sendable
    private var aggregator = EventAggregator()
    private var pending: [EventAggregator.Report] = []
    private var worker: Task<Void, Never>?
    /// Reports not posted because of the rate limit or a full queue.
    public private(set) var dropped = 0

    /// - Parameters:
    ///   - component: name of the reporter as `kubectl describe` shows it.
    ///   - host: node the reporter speaks for.
    ///   - now: the wall clock; tests give their own.
    ///   - random: for the suffixes of names.
    public init(
        client: KubernetesClient, component: String, host: String? = nil, logger: Logger,
        now: @escaping @Sendable () -> Date = { Date() },
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) {
        self.client = client
        self.component = component
        self.host = host
        self.logger = logger
        self.now = now
        self.random = random
    }

    /// Reports something expected.
    public func normal(_ object: ObjectReference, reason: String, message: String) {
        record(object, type: "Normal", reason: reason, message: message)
    }

    /// Reports something a person should look at.
    public func warning(_ object: ObjectReference, reason: String, message: String) {
        record(object, type: "Warning", reason: reason, message: message)
    }

    /// Waits until everything reported so far was posted or given up; call it before the client is shut down.
    public func flush() async {
        while let worker { await worker.value }
    }

    private func record(_ object: ObjectReference, type: String, reason: String, message: String) {
        guard pending.count < Self.maximumPending else {
            dropped += 1
            return
        }
        // An API server refuses messages above 1024 bytes (core/v1 Event validation).
        let text = String(decoding: message.utf8.prefix(1000), as: UTF8.self)
        pending.append(EventAggregator.Report(object: object, type: type, reason: reason, message: text))
        if worker == nil { worker = Task { await self.work() } }
    }

    private func work() async {
        while !pending.isEmpty {
            let reports = pending
            pending = []
            for report in reports { await handle(report) }
        }
        worker = nil
    }

    private func handle(_ report: EventAggregator.Report) async {
        do {
            switch aggregator.decide(report, at: now()) {
            case .drop: dropped += 1
            case .post: try await post(report)
            case .raise(let name, let count): try await raise(report, name: name, count: count)
            }
        } catch {
            aggregator.lost(report)
            logger.debug(
                "event not posted",
                metadata: ["reason": .string(report.reason), "error": .string("\(error)")])
        }
    }

    private func post(_ report: EventAggregator.Report) async throws {
        let time = Timestamp(now())
        let suffix = String(random.next(), radix: 16)
        // Names of objects may be as long as names of Events, so there must be room for the suffix.
        let metadata = ObjectMeta(
            name: "\(report.object.name.prefix(200)).\(suffix)", namespace: namespace(of: report))
        let event = Event(
            metadata: metadata, involvedObject: report.object, reason: report.reason, message: report.message,
            type: report.type, source: EventSource(component: component, host: host), firstTimestamp: time,
            lastTimestamp: time, count: 1)
        let stored = try await client.create(event)
        aggregator.posted(report, name: stored.metadata.name)
    }

    private func raise(_ report: EventAggregator.Report, name: String, count: Int32) async throws {
        let patch: JSONValue = [
            "count": .integer(Int64(count)), "lastTimestamp": .string(Timestamp(now()).text),
        ]
        do {
            _ = try await client.mergePatch(
                Event.self, namespace: namespace(of: report), name: name, patch: patch)
        } catch let error as KubernetesError where error.code == .notFound {
            try await post(report)
        }
    }

    /// Events about objects without a namespace go to `default`, as client-go does.
    private func namespace(of report: EventAggregator.Report) -> String {
        report.object.namespace.isEmpty ? "default" : report.object.namespace
    }
}
