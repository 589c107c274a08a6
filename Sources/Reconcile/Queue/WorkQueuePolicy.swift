import Kubernetes

/// How urgent an added key is. Few fixed classes, so that they can be labels of a metric.
public enum WorkPriority: Int, Sendable, Comparable, CaseIterable {
    /// The first list, a resync: all keys at once, none of them news.
    case background
    /// Something changed just now.
    case live

    public static func < (left: WorkPriority, right: WorkPriority) -> Bool { left.rawValue < right.rawValue }
}

/// The figures of a ``WorkQueue``.
public struct WorkQueuePolicy: Sendable, Equatable {
    /// Waits of controller-runtime's item limiter, 5 ms to 1000 s; that one has no jitter.
    public static let defaultBackoff = BackoffPolicy(base: .milliseconds(5), cap: .seconds(1000), jitter: 0.1)

    /// Waits after failures.
    public var backoff: BackoffPolicy
    /// Waits after conflicts in a row: they are no failures, and yet two writers must not race for ever.
    public var conflictBackoff = BackoffPolicy(base: .milliseconds(5), cap: .seconds(1), jitter: 0.5)
    /// A requeue comes up to this part of its delay later, so that keys that were made together do not stay together;
    /// 0...1.
    public var requeueSpread = 0.1
    /// Background work that waited this long gets its share even while live work never ends.
    public var agedAfter = Duration.seconds(5)
    /// That share: one aged background key after so many live ones; 1 or more.
    public var livePerAged = 3
    /// Failures in a row after which a key is quarantined.
    public var quarantineAfter = 10
    /// Runs of quarantined keys at a time; 1 or more.
    public var quarantineRuns = 1

    /// Makes a policy; what is not named has its default.
    public init(backoff: BackoffPolicy = Self.defaultBackoff) {
        self.backoff = backoff
    }
}

extension WorkQueuePolicy {
    /// How long a key waits after a run, and what the run does to its counts; nil: until it is added.
    func delay(
        after outcome: Outcome, failures: inout Int, conflicts: inout Int, _ random: inout some RandomNumberGenerator
    ) -> Duration? {
        switch outcome {
        case .done, .terminal:
            failures = 0
            conflicts = 0
            return nil
        case .requeue(let delay):
            failures = 0
            conflicts = 0
            return delay + delay * (requeueSpread * Double.random(in: 0...1, using: &random))
        case .throttled(let delay):
            return delay + delay * (requeueSpread * Double.random(in: 0...1, using: &random))
        case .conflict:
            conflicts += 1
            return conflictBackoff.delay(failures: conflicts - 1, using: &random)
        case .retry(let error):
            let wait = backoff.delay(failures: failures, using: &random)
            failures += 1
            // A run that held its worker to the deadline has cost enough to be quarantined at once.
            if (error as? ReconcileError)?.code == .runDeadlineExceeded { failures = max(failures, quarantineAfter) }
            return wait
        }
    }
}
