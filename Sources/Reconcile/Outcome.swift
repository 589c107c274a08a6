/// How one reconcile run of one key ended, and so when the next one is due.
public enum Outcome: Sendable {
    /// Nothing is left to do until something changes.
    case done
    /// Look again after this time, or a little later (``WorkQueuePolicy/requeueSpread``); not an error.
    case requeue(after: Duration)
    /// The other side asks for patience: again after this time; neither success nor failure, so the count of failures
    /// stays.
    case throttled(after: Duration)
    /// A passing fault: again with the key's growing backoff.
    case retry(any Error)
    /// Repetition does not help: wait until the object changes.
    case terminal(any Error)
    /// The object changed between reading and writing: again soon; not an error.
    case conflict
}
