/// An events.k8s.io/v1 Event: something that happened to an object, for people. API servers since Kubernetes 1.19 show
/// it as a core/v1 ``Event``, too.
public struct ObservedEvent: KubernetesResource {
    public static let resourceType = ResourceType(
        group: "events.k8s.io", version: "v1", kind: "Event", plural: "events", namespaced: true)

    /// Repetitions of an event.
    public struct Series: Codable, Sendable, Equatable {
        /// How often it was seen, the first time included; at least 2.
        public var count: Int32
        /// When it was seen last.
        public var lastObservedTime: MicroTimestamp

        /// Makes a series.
        public init(count: Int32, lastObservedTime: MicroTimestamp) {
            self.count = count
            self.lastObservedTime = lastObservedTime
        }
    }

    public var metadata: ObjectMeta
    /// When it was seen first.
    public var eventTime: MicroTimestamp?
    /// Set from the second time on.
    public var series: Series?
    /// Who reports: a qualified name, such as `example.com/controller`.
    public var reportingController: String
    /// Which of the reporters, at most 128 bytes.
    public var reportingInstance: String
    /// What was done, one CamelCase word of at most 128 bytes.
    public var action: String
    /// Why, one CamelCase word of at most 128 bytes, such as `InvalidSpec`.
    public var reason: String
    /// The object it is about.
    public var regarding: ObjectReference
    /// A sentence of at most 1024 bytes.
    public var note: String
    /// `Normal` or `Warning`.
    public var type: String

    /// Makes an object that no server knows yet.
    public init(
        metadata: ObjectMeta, eventTime: MicroTimestamp?, series: Series? = nil, reportingController: String,
        reportingInstance: String, action: String, reason: String, regarding: ObjectReference, note: String,
        type: String = "Normal"
    ) {
        self.metadata = metadata
        self.eventTime = eventTime
        self.series = series
        self.reportingController = reportingController
        self.reportingInstance = reportingInstance
        self.action = action
        self.reason = reason
        self.regarding = regarding
        self.note = note
        self.type = type
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.value(.metadata, default: ObjectMeta())
        eventTime = try container.decodeIfPresent(MicroTimestamp.self, forKey: .eventTime)
        series = try container.decodeIfPresent(Series.self, forKey: .series)
        reportingController = try container.value(.reportingController, default: "")
        reportingInstance = try container.value(.reportingInstance, default: "")
        action = try container.value(.action, default: "")
        reason = try container.value(.reason, default: "")
        regarding = try container.value(.regarding, default: ObjectReference())
        note = try container.value(.note, default: "")
        type = try container.value(.type, default: "")
    }
}
