/// What a running daemon says of itself on its status socket, as JSON.
public struct DaemonStatus: Codable, Sendable, Equatable {
    public var role: String
    public var isReady: Bool
    /// Why it is not; empty if it is.
    public var reasons: [String]
    public var plugins: [PluginStatus]
    /// Fields of host.yaml whose values in the file are in force only after a restart.
    public var restartNeeded: [String]
    /// Mistakes of host.yaml as it is now, at most 20; while there are any, nothing of it is applied.
    public var configurationMistakes: [String]

    public init(
        role: String, isReady: Bool, reasons: [String], plugins: [PluginStatus], restartNeeded: [String] = [],
        configurationMistakes: [String] = []
    ) {
        self.role = role
        self.isReady = isReady
        self.reasons = reasons
        self.plugins = plugins
        self.restartNeeded = restartNeeded
        self.configurationMistakes = configurationMistakes
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
    /// `healthy`, `quarantined`, `on trial`; or, of a healthy one that runs with other settings than host.yaml has,
    /// `restart needed` or `settings refused`.
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
    /// A daemon is ready when none of its plugins is out. One that works with older settings than the
    /// file has is not out.
    init(role: Role, plugins: PluginRuntime, configuration: ConfigurationDifference) {
        var statuses = plugins.instances.map(\.status)
        let reasons = statuses.filter { $0.state != "healthy" }
            .map { "plugin \($0.name): \($0.state): \($0.reason ?? "no reason known")" }
        for index in statuses.indices where statuses[index].state == "healthy" {
            guard let difference = configuration.plugins[statuses[index].name] else { continue }
            statuses[index].state = difference.state
            statuses[index].reason = difference.reason
        }
        self.init(
            role: role.rawValue, isReady: reasons.isEmpty, reasons: reasons, plugins: statuses,
            restartNeeded: configuration.restartNeeded, configurationMistakes: configuration.mistakes)
    }
}
