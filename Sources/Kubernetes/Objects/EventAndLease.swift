/// A core/v1 Event: something that happened to an object, for people. It shows those of events.k8s.io/v1, too
/// (``ObservedEvent``).
public struct Event: KubernetesResource {
    public static let resourceType = ResourceType(
        group: "", version: "v1", kind: "Event", plural: "events", namespaced: true)

    public var metadata: ObjectMeta
    /// The object it is about.
    public var involvedObject: ObjectReference
    /// One CamelCase word, such as `InvalidSpec`.
    public var reason: String
    /// A sentence.
    public var message: String
    /// `Normal` or `Warning`.
    public var type: String
    /// Who reports.
    public var source: EventSource
    /// When it was seen first.
    public var firstTimestamp: Timestamp?
    /// When it was seen last.
    public var lastTimestamp: Timestamp?
    /// How often it was seen; of an event of the other group, what its series says.
    public var count: Int32

    /// Makes an object that no server knows yet.
    public init(
        metadata: ObjectMeta, involvedObject: ObjectReference, reason: String, message: String,
        type: String = "Normal", source: EventSource = EventSource(), firstTimestamp: Timestamp? = nil,
        lastTimestamp: Timestamp? = nil, count: Int32 = 1
    ) {
        self.metadata = metadata
        self.involvedObject = involvedObject
        self.reason = reason
        self.message = message
        self.type = type
        self.source = source
        self.firstTimestamp = firstTimestamp
        self.lastTimestamp = lastTimestamp
        self.count = count
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.value(.metadata, default: ObjectMeta())
        involvedObject = try container.value(.involvedObject, default: ObjectReference())
        reason = try container.value(.reason, default: "")
        message = try container.value(.message, default: "")
        type = try container.value(.type, default: "")
        source = try container.value(.source, default: EventSource())
        firstTimestamp = try container.decodeIfPresent(Timestamp.self, forKey: .firstTimestamp)
        lastTimestamp = try container.decodeIfPresent(Timestamp.self, forKey: .lastTimestamp)
        count = try container.value(.count, default: 0)
        let shared = try decoder.container(keyedBy: SharedKeys.self)
        guard try shared.decodeIfPresent(String.self, forKey: .eventTime) != nil else { return }
        count = try shared.decodeIfPresent(ObservedEvent.Series.self, forKey: .series)?.count ?? 1
        source.component = try shared.decodeIfPresent(String.self, forKey: .reportingComponent)
    }
}

extension Event {
    /// What events of events.k8s.io/v1 have in the place of a count and a source.
    private enum SharedKeys: String, CodingKey {
        case eventTime, series, reportingComponent
    }
}

/// Who reports an ``Event``.
public struct EventSource: Codable, Sendable, Equatable {
    /// Program or controller.
    public var component: String?
    /// Node, if the report is about one.
    public var host: String?

    /// Makes a source.
    public init(component: String? = nil, host: String? = nil) {
        self.component = component
        self.host = host
    }
}

/// A coordination.k8s.io/v1 Lease, which leader election uses.
public struct Lease: KubernetesResource {
    public static let resourceType = ResourceType(
        group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases", namespaced: true)

    public var metadata: ObjectMeta
    /// Who holds it and since when.
    public var spec: LeaseSpec

    /// Makes an object that no server knows yet.
    public init(metadata: ObjectMeta, spec: LeaseSpec = LeaseSpec()) {
        self.metadata = metadata
        self.spec = spec
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.value(.metadata, default: ObjectMeta())
        spec = try container.value(.spec, default: LeaseSpec())
    }
}

/// State of a ``Lease``.
public struct LeaseSpec: Codable, Sendable, Equatable {
    /// Holder; nil or empty when free.
    public var holderIdentity: String?
    /// Seconds after the last renewal until others may take it.
    public var leaseDurationSeconds: Int32?
    /// When the holder took it.
    public var acquireTime: MicroTimestamp?
    /// When the holder renewed it last, by the holder's clock.
    public var renewTime: MicroTimestamp?
    /// How often the holder changed.
    public var leaseTransitions: Int32?

    /// The default is a free lease.
    public init(
        holderIdentity: String? = nil, leaseDurationSeconds: Int32? = nil, acquireTime: MicroTimestamp? = nil,
        renewTime: MicroTimestamp? = nil, leaseTransitions: Int32? = nil
    ) {
        self.holderIdentity = holderIdentity
        self.leaseDurationSeconds = leaseDurationSeconds
        self.acquireTime = acquireTime
        self.renewTime = renewTime
        self.leaseTransitions = leaseTransitions
    }
}
