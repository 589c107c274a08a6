import Kubernetes
import Logging

/// Waits until the gateways know a new peer, because what it sends before that is lost: a TCP connection waits a second
/// for its next try, and a handshake of WireGuard 5 seconds (REKEY_TIMEOUT of its paper, section 6.1).
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
        var pause = Duration.milliseconds(30)
        var gateways = Gateways()
        while true {
            // A pod is attached in any case by now: an API that fails here only ends the waiting.
            guard let statuses = try? await api.gatewayStatuses() else { return }
            gateways = Gateways(statuses, configuration: configuration, publicKey: publicKey)
            let now = clock.now
            laggards = laggards.filter { $0.value > now }
            if !gateways.informed.isEmpty, gateways.missing.isSubset(of: laggards.keys) { return }
            guard now < end, !Task.isCancelled else { break }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(400))
        }
        for name in gateways.missing { laggards[name] = clock.now.advanced(by: .seconds(60)) }
        logger.warning(
            "not all gateways list the new peer yet",
            metadata: [
                "configuration": .string(configuration),
                "missing": .array(gateways.missing.sorted().map { .string($0) }),
                "informed": .array(gateways.informed.sorted().map { .string($0) }),
            ])
    }

    /// The gateways that serve a configuration, by whether they list a peer.
    struct Gateways {
        var informed: Set<String> = []
        var missing: Set<String> = []

        init() {}

        init(_ statuses: [GatewayStatus], configuration: String, publicKey: String) {
            for status in statuses
            where status.spec.readyGatewayConfigurations.contains(where: {
                $0.staticGatewayConfiguration == configuration
            }) {
                if status.spec.readyPeerConfigurations.contains(where: { $0.publicKey == publicKey }) {
                    informed.insert(status.metadata.name)
                } else {
                    missing.insert(status.metadata.name)
                }
            }
        }
    }
}
