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

    /// How a state of the Lease came to be known.
    public enum Source: Sendable {
        case read, watch
    }

    private let settings: LeaderElectionSettings
    /// What was last seen of the Lease, and when it was seen to change.
    private var seen: LeaseSpec?
    private var seenAt: Duration = .zero
    /// When its state was last told, changed or not.
    private var heardAt: Duration = .zero
    /// Whether the last change was told by the watch. One that had to be read shows a watch that is not to be relied on,
    /// whatever its connection says.
    private var isFollowed = false
    /// When an attempt last failed: no answer, or somebody else was faster.
    private var failedAt: Duration?
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

    /// How long a standby may sleep before it reads the Lease, if it hears nothing of it before; zero: it reads now.
    ///
    /// A Lease that is free is tried at once, one that is held at the moment it runs out, and after a failure not before
    /// `retryPeriod` is over. Until then the holder's renewals are heard of: what is silent for `retryPeriod`, or for
    /// twice that where the watch has told of the last renewal, is read.
    public func untilLook(local: Duration) -> Duration {
        if local >= freeAt {
            guard let failedAt, failedAt >= freeAt else { return .zero }
            return max(.zero, failedAt + settings.retryPeriod - local)
        }
        let patience = isFollowed ? settings.retryPeriod * 2 : settings.retryPeriod
        let quietAt = max(heardAt, failedAt ?? .zero) + patience
        return max(.zero, min(freeAt, quietAt) - local)
    }

    /// From when on the Lease may be taken, as far as it is known. Counted from this process's own observation, which
    /// is later than the renewal: however late a state is told, the holder's deadline is over before.
    private var freeAt: Duration {
        guard let seen, isForeign(seen) else { return seen == nil ? .zero : seenAt }
        return seenAt + held(by: seen)
    }

    private func isForeign(_ lease: LeaseSpec) -> Bool {
        guard let holder = lease.holderIdentity, !holder.isEmpty else { return false }
        return holder != settings.identity
    }

    /// Takes note of the Lease as it was told just now; nil: it is gone.
    ///
    /// One that was deleted stays held for as long as it was: its holder may not know yet, and makes it anew.
    public mutating func observe(_ lease: LeaseSpec?, local: Duration, by source: Source) {
        heardAt = local
        if source == .watch { isFollowed = true }
        guard let lease, lease != seen else { return }
        seen = lease
        seenAt = local
        isFollowed = source == .watch
    }

    /// An attempt to read or write the Lease failed.
    public mutating func failed(local: Duration) {
        failedAt = local
    }

    /// Decides about the Lease that was read; nil if there is none.
    ///
    /// - Parameter wall: wall-clock time to be written for people and other holders to read.
    public mutating func decide(_ lease: LeaseSpec?, local: Duration, wall: MicroTimestamp) -> Action {
        observe(lease, local: local, by: .read)
        guard local >= freeAt else { return .wait }
        return lease.map { .write(spec(after: $0, wall)) } ?? .create(spec(after: nil, wall))
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
