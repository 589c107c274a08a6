/// Whether a provider can do its work now (`probe`, schema `probe-result`).
public struct ProbeResult: Codable, Sendable, Equatable {
    public var ready: Bool
    /// One line for a person: why it cannot, or under which reserve it can.
    public var reason: String?
    /// What was found, for people and for labels of metrics; holds no secret. At most 100, each of 1,024 characters.
    public var facts: [String: String]?

    public init(ready: Bool, reason: String? = nil, facts: [String: String]? = nil) {
        self.ready = ready
        self.reason = reason
        self.facts = facts
    }
}
