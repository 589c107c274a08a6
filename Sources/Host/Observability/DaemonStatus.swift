/// What a running daemon says of itself on its status socket, as JSON.
public struct DaemonStatus: Codable, Sendable, Equatable {
    public var role: String
    public var isReady: Bool
    /// Why it is not; empty if it is.
    public var reasons: [String]
    public var plugins: [PluginStatus]

    public init(role: String, isReady: Bool, reasons: [String], plugins: [PluginStatus]) {
        self.role = role
        self.isReady = isReady
        self.reasons = reasons
        self.plugins = plugins
    }
}

/// One plugin of a running daemon.
public struct PluginStatus: Codable, Sendable, Equatable {
    /// Its name in the list.
    public var name: String
    /// The provider's own name.
    public var provider: String
    public var version: String
    public var capabilities: [String]
    public var file: String
    /// `in-process` or `process`.
    public var isolation: String
    /// `healthy`, `quarantined`, `on trial`, or `restart needed`.
    public var state: String
    /// What led to a state other than healthy.
    public var reason: String?
    /// Seconds until a quarantined plugin gets its trial call.
    public var retryInSeconds: Int?
    /// Verb calls since the daemon started.
    public var calls: UInt64
    /// Faults since the daemon started, by kind (``PluginFault``).
    public var faults: [String: UInt64]

    public init(
        name: String, provider: String, version: String, capabilities: [String], file: String, isolation: String,
        state: String, reason: String? = nil, retryInSeconds: Int? = nil, calls: UInt64, faults: [String: UInt64]
    ) {
        self.name = name
        self.provider = provider
        self.version = version
        self.capabilities = capabilities
        self.file = file
        self.isolation = isolation
        self.state = state
        self.reason = reason
        self.retryInSeconds = retryInSeconds
        self.calls = calls
        self.faults = faults
    }
}

extension DaemonStatus {
    /// A daemon is ready when none of its plugins is out.
    init(role: Role, plugins: PluginRuntime) {
        let statuses = plugins.instances.map(\.status)
        let reasons = statuses.filter { $0.state != "healthy" }
            .map { "plugin \($0.name): \($0.state): \($0.reason ?? "no reason known")" }
        self.init(role: role.rawValue, isReady: reasons.isEmpty, reasons: reasons, plugins: statuses)
    }
}
