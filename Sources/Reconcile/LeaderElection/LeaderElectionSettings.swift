/// Something that a person has to correct, or that ends the work of a leader.
public struct ReconcileError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of failure it is.
    public enum Code: String, Sendable {
        /// A setting is out of its range; correct it.
        case invalidSetting
        /// Another process may lead now; end this process or stand again.
        case leadershipLost
        /// A run took longer than it may; it is tried again.
        case runDeadlineExceeded
    }

    /// What kind of failure it is.
    public let code: Code
    /// One line for a log.
    public let message: String

    /// Makes an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}

/// Who stands for election on which Lease, and how long things last.
public struct LeaderElectionSettings: Sendable {
    /// Namespace of the Lease.
    public let namespace: String
    /// Name of the Lease.
    public let name: String
    /// This process; unique, such as host name and a random part.
    public let identity: String
    /// How long others wait after the last change of the Lease they saw before they take it.
    public let leaseDuration: Duration
    /// How long after the last renewal the leader stops by itself.
    public let renewDeadline: Duration
    /// Pause between renewals, between attempts that fail, and between a standby's looks at a Lease that its watch does
    /// not tell of.
    public let retryPeriod: Duration

    /// The defaults are controller-runtime's.
    ///
    /// - Throws: ``ReconcileError`` unless `1.2 * retryPeriod < renewDeadline < leaseDuration` (client-go's rule) and
    ///   the Lease and this process have names.
    public init(
        namespace: String, name: String, identity: String, leaseDuration: Duration = .seconds(15),
        renewDeadline: Duration = .seconds(10), retryPeriod: Duration = .seconds(2)
    ) throws {
        guard !namespace.isEmpty, !name.isEmpty, !identity.isEmpty else {
            throw ReconcileError(
                .invalidSetting, "leader election: namespace, name or identity is empty; allowed: all three named")
        }
        guard leaseDuration >= .seconds(1), renewDeadline < leaseDuration, retryPeriod * 1.2 < renewDeadline,
            retryPeriod > .zero
        else {
            throw ReconcileError(
                .invalidSetting,
                "leader election: leaseDuration \(leaseDuration), renewDeadline \(renewDeadline), retryPeriod "
                    + "\(retryPeriod); allowed: 1.2 * retryPeriod < renewDeadline < leaseDuration, at least 1 s")
        }
        self.namespace = namespace
        self.name = name
        self.identity = identity
        self.leaseDuration = leaseDuration
        self.renewDeadline = renewDeadline
        self.retryPeriod = retryPeriod
    }
}
