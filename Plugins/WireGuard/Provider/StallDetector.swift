import ProviderKit

/// Decides when a pod end should shake hands anew. Pure: counters and time in, a decision out.
///
/// WireGuard keeps a session as long as it can. When a load balancer moves a pod's flow to another gateway, that one
/// does not know the session and drops its packets; WireGuard notices after 15 s without an answer. A tunnel that sends
/// but receives nothing for a shorter while is suspicious already: real traffic is answered, if only by TCP.
///
/// A flow that really goes one way looks the same, as WireGuard answers it with a keepalive each 10 s only. So a new
/// handshake that was answered, but followed by another silence, doubles the patience, until it is WireGuard's own.
struct StallDetector: Sendable {
    /// WireGuard's own patience: KEEPALIVE_TIMEOUT + REKEY_TIMEOUT of its paper, section 6.5.
    static let longestPatience = Duration.seconds(15)
    /// Patience with a peer that never answered, as that of a pod whose gateways do not know it yet, or one whose
    /// session was just dropped.
    static let firstPatience = Duration.seconds(1)
    /// New handshakes in a row without any answer; after them WireGuard's own repetition (each 5 s) has to do.
    static let maximumUnanswered = 10
    /// Bytes of messages that carry no data: keepalive, cookie reply, handshake response, and sums of them.
    private static let signalling: Set<UInt64> = [32, 64, 92, 124, 156]

    private var shortestPatience: Duration
    private(set) var patience: Duration
    private var received: UInt64?
    private var sent: UInt64 = 0
    private var silentSince: HostInstant?
    private var unanswered = 0
    /// The last silence was ended by a new handshake, and no data came since.
    private var handshakeOnly = false

    init(patience: Duration) {
        shortestPatience = patience
        self.patience = patience
    }

    /// Takes a reading of the peer's counters.
    ///
    /// - Parameters:
    ///   - hasSession: Whether there was a handshake since the peer was added.
    ///   - patience: The configured one, if it may have changed; nil: as at the start.
    /// - Returns: Whether to shake hands anew now. The peer's counters start at zero then.
    mutating func observe(
        received: UInt64, sent: UInt64, hasSession: Bool, patience configured: Duration? = nil, at now: HostInstant
    ) -> Bool {
        if let configured, configured != shortestPatience {
            shortestPatience = configured
            patience = configured
        }
        guard let lastReceived = self.received, received >= lastReceived, sent >= self.sent else {
            // The first reading, or somebody else made the peer anew.
            remember(received, sent)
            silentSince = received == 0 && sent > 0 ? now : nil
            return false
        }
        let gained = received - lastReceived
        let sends = sent > self.sent
        remember(received, sent)
        if gained > 0 {
            if unanswered > 0 { handshakeOnly = true }
            unanswered = 0
            silentSince = nil
            if !Self.signalling.contains(gained) {
                handshakeOnly = false
                patience = shortestPatience
            }
            return false
        }
        if silentSince == nil, sends { silentSince = now }
        let limit = hasSession ? patience : min(patience, Self.firstPatience)
        guard let since = silentSince, since.duration(to: now) >= limit, unanswered < Self.maximumUnanswered else {
            return false
        }
        if handshakeOnly {
            patience = min(patience * 2, Self.longestPatience)
            handshakeOnly = false
        }
        unanswered += 1
        silentSince = now
        remember(0, 0)
        return true
    }

    private mutating func remember(_ received: UInt64, _ sent: UInt64) {
        self.received = received
        self.sent = sent
    }
}
