import LinuxNet

/// One health probe of one backend for one load-balancing rule. Two equal targets are the same probe, so a topology
/// that changes elsewhere leaves a backend's health as it is.
public struct ProbeTarget: Sendable, Hashable {
    /// `LOADBALANCER/RULE`.
    public var rule: String
    public var node: String
    /// The backend's primary address.
    public var address: IPAddress
    public var port: UInt16
    /// Request path of an HTTP probe.
    public var path: String
    public var interval: Duration
    /// Equal results in a row that flip the state, at least 1.
    public var threshold: Int

    /// How long an answer may take: Azure's 30 seconds, or the interval if that is shorter.
    public var timeout: Duration { min(interval, .seconds(30)) }
}

extension AzureTopology {
    /// The probes that the rules ask for. Rules without a probe, or with one the fabric cannot carry out, have none.
    var probeTargets: Set<ProbeTarget> {
        Set(rules.flatMap { rule in rule.backends.compactMap { probeTarget(of: $0, rule: rule) } })
    }

    /// The probe of one backend; nil if the rule has none or the backend's address is malformed.
    func probeTarget(of backend: Backend, rule: Rule) -> ProbeTarget? {
        guard let probe = rule.probe, probe.protocolName.lowercased() == "http",
            let address = IPAddress(backend.address), let port = UInt16(exactly: probe.port)
        else { return nil }
        return ProbeTarget(
            rule: "\(rule.loadBalancer)/\(rule.name)", node: backend.computerName, address: address, port: port,
            path: probe.path ?? "/", interval: .seconds(max(probe.intervalSeconds, 1)),
            threshold: max(probe.threshold, 1))
    }
}
