import FoundationEssentials
import JSONModel
import Logging

/// Posts Events about objects (events.k8s.io/v1, which servers since Kubernetes 1.19 have). A report is queued and posted in the background, so a reconcile never waits for
/// it; reports that the API server does not take are logged at debug level and lost.
public actor EventRecorder {
    /// Reports that may wait; what comes above is dropped and counted.
    public static let maximumPending = 1000

    private let client: KubernetesClient
    private let component: String
    private let instance: String
    private let logger: Logger
    private let now: @Sendable () -> Date
    private var random: any RandomNumberGenerator & Sendable
    private var aggregator = EventAggregator()
    private var pending: [EventAggregator.Report] = []
    private var worker: Task<Void, Never>?
    /// Reports not posted because of the rate limit or a full queue.
    public private(set) var dropped = 0

    /// What the reporters do; an Event names its action, and theirs is one.
    static let action = "Reconcile"

    /// - Parameters:
    ///   - component: name of the reporter as `kubectl describe` shows it; a qualified name.
    ///   - instance: which of the reporters; nil: the host's name.
    ///   - now: the wall clock; tests give their own.
    ///   - random: for the suffixes of names.
    public init(
        client: KubernetesClient, component: String, instance: String? = nil, logger: Logger,
        now: @escaping @Sendable () -> Date = { Date() },
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) {
        self.client = client
        self.component = component
        // The server's limit (core validation of Events).
        self.instance = String(
            decoding: (instance ?? ProcessInfo.processInfo.hostName).utf8.prefix(128), as: UTF8.self)
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
        // An API server refuses notes above 1024 bytes (core validation of Events).
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
        let suffix = String(random.next(), radix: 16)
        // Names of objects may be as long as names of Events, so there must be room for the suffix.
        let metadata = ObjectMeta(
            name: "\(report.object.name.prefix(200)).\(suffix)", namespace: namespace(of: report))
        let event = ObservedEvent(
            metadata: metadata, eventTime: MicroTimestamp(now()), reportingController: component,
            reportingInstance: instance.isEmpty ? component : instance, action: Self.action, reason: report.reason,
            regarding: report.object, note: report.message, type: report.type)
        let stored = try await client.create(event)
        aggregator.posted(report, name: stored.metadata.name)
    }

    private func raise(_ report: EventAggregator.Report, name: String, count: Int32) async throws {
        let series = ObservedEvent.Series(count: count, lastObservedTime: MicroTimestamp(now()))
        let patch: JSONValue = ["series": try JSONValue(encoding: series)]
        do {
            _ = try await client.mergePatch(
                ObservedEvent.self, namespace: namespace(of: report), name: name, patch: patch)
        } catch let error as KubernetesError where error.code == .notFound {
            try await post(report)
        }
    }

    /// Events about objects without a namespace go to `default`, as client-go does.
    private func namespace(of report: EventAggregator.Report) -> String {
        report.object.namespace.isEmpty ? "default" : report.object.namespace
    }
}
