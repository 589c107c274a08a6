/// One observation about an object (`metav1.Condition`; Pods and Nodes use the same shape with fewer fields).
public struct Condition: Codable, Sendable, Equatable {
    /// What is observed, such as `Ready`; at most one condition per type.
    public var type: String
    /// `True`, `False` or `Unknown`.
    public var status: String
    /// `metadata.generation` the observation is about; nil if not said.
    public var observedGeneration: Int64?
    /// When `status` last changed.
    public var lastTransitionTime: Timestamp?
    /// One CamelCase word that programs may match.
    public var reason: String
    /// A sentence for people.
    public var message: String

    /// Makes a condition.
    public init(
        type: String, status: String, observedGeneration: Int64? = nil, lastTransitionTime: Timestamp? = nil,
        reason: String = "", message: String = ""
    ) {
        self.type = type
        self.status = status
        self.observedGeneration = observedGeneration
        self.lastTransitionTime = lastTransitionTime
        self.reason = reason
        self.message = message
    }

    /// True exactly when `status` is `True`.
    public var isTrue: Bool { status == "True" }

    private enum CodingKeys: String, CodingKey {
        case type, status, observedGeneration, lastTransitionTime, reason, message
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        type = try container.decode(String.self, forKey: .type)
        status = try container.value(.status, default: "Unknown")
        observedGeneration = try container.decodeIfPresent(Int64.self, forKey: .observedGeneration)
        lastTransitionTime = try container.decodeIfPresent(Timestamp.self, forKey: .lastTransitionTime)
        reason = try container.value(.reason, default: "")
        message = try container.value(.message, default: "")
    }
}
