import Kubernetes

/// Decides when a Lease may be taken and when leadership is over. Pure.
///
/// Times called `local` are readings of this process's steady clock; the times written in the Lease are never compared
/// with it, so clocks that disagree do no harm (client-go, tools/leaderelection).
public struct LeaderElectionMachine: Sendable {
    /// What to do with the Lease that was just read.
    public enum Action: Sendable, Equatable {
        /// There is none: create one with this spec.
        case create(LeaseSpec)
        /// Take or renew it, if its version is still the one read.
        case write(LeaseSpec)
        /// Somebody else holds it: look again later.
        case wait
    }

    private let settings: LeaderElectionSettings
    /// What was last seen of somebody else's Lease, and when it was seen to change.
    private var seen: LeaseSpec?
    private var seenAt: Duration = .zero
    /// Local time before the last successful write was sent; nil while not leading.
    private var renewedAt: Duration?

    /// Starts without leadership.
    public init(settings: LeaderElectionSettings) {
        self.settings = settings
    }

    /// Whether this process may act as the leader now.
    public func isLeading(local: Duration) -> Bool {
        guard let renewedAt else { return false }
        return local - renewedAt < settings.renewDeadline
    }

    /// How long until leadership ends unless it is renewed; nil while not leading.
    public func remaining(local: Duration) -> Duration? {
        renewedAt.map { max(.zero, settings.renewDeadline - (local - $0)) }
    }

    /// How long until a Lease that somebody else holds may be taken, as far as it is known; nil if none is.
    public func untilFree(local: Duration) -> Duration? {
        guard renewedAt == nil, let seen, seen.holderIdentity?.isEmpty == false else { return nil }
        return max(.zero, held(by: seen) - (local - seenAt))
    }

    /// Decides about the Lease that was read; nil if there is none.
    ///
    /// - Parameter wall: wall-clock time to be written for people and other holders to read.
    public mutating func decide(_ lease: LeaseSpec?, local: Duration, wall: MicroTimestamp) -> Action {
        guard let lease else { return .create(spec(after: nil, wall)) }
        if lease != seen {
            seen = lease
            seenAt = local
        }
        let holder = lease.holderIdentity ?? ""
        if holder == settings.identity || holder.isEmpty { return .write(spec(after: lease, wall)) }
        return local - seenAt >= held(by: lease) ? .write(spec(after: lease, wall)) : .wait
    }

    /// A holder's own figure counts, but never for less than ours: it may run with other settings.
    private func held(by lease: LeaseSpec) -> Duration {
        max(settings.leaseDuration, .seconds(Int64(lease.leaseDurationSeconds ?? 0)))
    }

    /// A write went through that was sent at this local time.
    public mutating func wrote(_ spec: LeaseSpec, sentAt local: Duration) {
        seen = spec
        seenAt = local
        renewedAt = local
    }

    /// Somebody else changed the Lease first, so this process does not lead.
    public mutating func lost() {
        renewedAt = nil
    }

    /// The spec that frees the Lease at once: others need not wait.
    public func released(_ lease: LeaseSpec, wall: MicroTimestamp) -> LeaseSpec {
        LeaseSpec(
            holderIdentity: "", leaseDurationSeconds: 1, acquireTime: wall, renewTime: wall,
            leaseTransitions: lease.leaseTransitions)
    }

    private func spec(after lease: LeaseSpec?, _ wall: MicroTimestamp) -> LeaseSpec {
        let isMine = lease?.holderIdentity == settings.identity
        let transitions = lease?.leaseTransitions ?? 0
        let seconds = Int32(clamping: settings.leaseDuration.components.seconds)
        return LeaseSpec(
            holderIdentity: settings.identity, leaseDurationSeconds: seconds,
            acquireTime: isMine ? lease?.acquireTime ?? wall : wall, renewTime: wall,
            leaseTransitions: lease == nil || isMine ? transitions : transitions &+ 1)
    }
}
