import Kubernetes
import Logging

/// Waits until the gateways know a new peer, because a handshake that comes before that is lost and WireGuard repeats
/// it only after 5 seconds (REKEY_TIMEOUT of the WireGuard paper, section 6.1).
///
/// A gateway that did not follow in time (it may be dead) is not waited for during the next minute, so that one lost
/// gateway does not slow down every pod start.
actor GatewayReadiness {
    private let api: any NodeAPI
    private let limit: Duration
    private let logger: Logger
    private let clock = ContinuousClock()
    private var laggards: [String: ContinuousClock.Instant] = [:]

    init(api: any NodeAPI, limit: Duration, logger: Logger) {
        self.api = api
        self.limit = limit
        self.logger = logger
    }

    /// - Parameters:
    ///   - configuration: `namespace/name` of the StaticGatewayConfiguration.
    ///   - publicKey: the peer's key, base64.
    func wait(configuration: String, publicKey: String) async {
        guard limit > .zero else { return }
        let end = clock.now.advanced(by: limit)
        var pause = Duration.milliseconds(50)
        var missing: Set<String> = []
        while true {
            // A pod is attached in any case by now: an API that fails here only ends the waiting.
            guard let statuses = try? await api.gatewayStatuses() else { return }
            missing = Self.missing(statuses, configuration: configuration, publicKey: publicKey)
            let now = clock.now
            laggards = laggards.filter { $0.value > now }
            if missing.subtracting(laggards.keys).isEmpty, statuses.count > missing.count { return }
            guard now < end, !Task.isCancelled else { break }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(400))
        }
        for name in missing { laggards[name] = clock.now.advanced(by: .seconds(60)) }
        logger.warning(
            "gateways do not list the new peer yet",
            metadata: [
                "configuration": .string(configuration), "gateways": .array(missing.sorted().map { .string($0) }),
            ])
    }

    /// Names of the gateways that serve the configuration but do not list the peer.
    static func missing(_ statuses: [GatewayStatus], configuration: String, publicKey: String) -> Set<String> {
        Set(
            statuses.filter { status in
                status.spec.readyGatewayConfigurations.contains { $0.staticGatewayConfiguration == configuration }
                    && !status.spec.readyPeerConfigurations.contains { $0.publicKey == publicKey }
            }.map(\.metadata.name))
    }
}
