/// Where the daemon can be looked at; section `observability` of host.yaml. What is absent is not served.
public struct ObservabilitySettings: Sendable, Equatable {
    /// Address that both ports listen on.
    public var address = "127.0.0.1"
    /// TCP port of `/metrics`, 1..65535 (upstream flag `--metrics-bind-port`, 8080).
    public var metricsPort: Int?
    /// TCP port of `/healthz` and `/readyz`, 1..65535 (upstream flag `--health-probe-bind-port`, 8081).
    public var healthPort: Int?
    /// Absolute path of the unix socket that `egressctl plugins list` asks, at most 107 bytes (`sockaddr_un`). Its folder
    /// must exist; only the daemon's user can open it.
    public var statusSocket: String?

    public init() {}
}

extension ObservabilitySettings {
    static func read(_ reader: SettingsReader) -> ObservabilitySettings {
        var settings = ObservabilitySettings()
        guard let section = reader.nested("observability") else { return settings }
        section.allowOnly(["address", "metricsPort", "healthPort", "statusSocket"])
        settings.address = section.string("address") ?? settings.address
        settings.metricsPort = section.integer("metricsPort", in: 1...65_535)
        settings.healthPort = section.integer("healthPort", in: 1...65_535)
        if let port = settings.healthPort, port == settings.metricsPort {
            section.report("healthPort", "is \(port), the same as metricsPort; they must differ")
        }
        settings.statusSocket = section.string("statusSocket")
        if let path = settings.statusSocket, !path.hasPrefix("/") || path.utf8.count > 107 {
            section.report("statusSocket", "is \"\(path)\"; allowed is an absolute path of at most 107 bytes")
        }
        return settings
    }
}
