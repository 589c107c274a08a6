import Kubernetes

/// The queue of one controller, as pure state: keys in, work out, no clock of its own.
///
/// - A key waits at most once, however often it is added.
/// - A key is handed to one worker at a time; added meanwhile, it runs exactly once more.
/// - Of several delayed adds of a key the earliest counts; an immediate add overrides a delay.
/// - Ready keys are handed out in the order in which they became ready.
///
/// Times are durations since an arbitrary start, given by the caller. The queue holds at most one entry per key, so it
/// is bounded by the number of objects.
public struct WorkQueue<Key: Hashable & Sendable>: Sendable {
    private var ready: [Key] = []
    private var head = 0
    private var isReady: Set<Key> = []
    private var running: Set<Key> = []
    private var again: Set<Key> = []
    private var delayed: [Key: Duration] = [:]
    private var failures: [Key: Int] = [:]
    private let backoff: BackoffPolicy

    /// Waits of controller-runtime's item limiter, 5 ms to 1000 s; that one has no jitter.
    public static var defaultBackoff: BackoffPolicy {
        BackoffPolicy(base: .milliseconds(5), cap: .seconds(1000), jitter: 0.1)
    }

    /// Starts empty.
    public init(backoff: BackoffPolicy = Self.defaultBackoff) {
        self.backoff = backoff
    }

    /// Keys that wait for a worker now.
    public var readyCount: Int { ready.count - head }
    /// Keys that wait for their time.
    public var delayedCount: Int { delayed.count }
    /// Keys that a worker holds.
    public var runningCount: Int { running.count }

    /// Failures in a row of a key.
    public func failureCount(_ key: Key) -> Int { failures[key] ?? 0 }

    /// Adds a key for now.
    public mutating func add(_ key: Key) {
        delayed[key] = nil
        if running.contains(key) {
            again.insert(key)
        } else if isReady.insert(key).inserted {
            ready.append(key)
        }
    }

    /// Adds a key for a later time, unless it is due earlier anyway.
    public mutating func add(_ key: Key, at time: Duration) {
        guard !isReady.contains(key), !again.contains(key) else { return }
        delayed[key] = min(delayed[key] ?? time, time)
    }

    /// Hands out the next key, if one is due. The caller must end the run with ``finish(_:outcome:now:random:)``.
    public mutating func next(now: Duration) -> Key? {
        promote(now: now)
        guard head < ready.count else { return nil }
        let key = ready[head]
        head += 1
        if head > 1024, head * 2 > ready.count {
            ready.removeFirst(head)
            head = 0
        }
        isReady.remove(key)
        running.insert(key)
        return key
    }

    /// When the next delayed key is due; nil if none waits.
    public var nextDue: Duration? { delayed.values.min() }

    /// Ends a run.
    public mutating func finish(
        _ key: Key, outcome: Outcome, now: Duration, using random: inout some RandomNumberGenerator
    ) {
        running.remove(key)
        switch outcome {
        case .done, .terminal:
            failures[key] = nil
        case .requeue(let delay):
            failures[key] = nil
            add(key, at: now + delay)
        case .conflict:
            add(key, at: now + backoff.base)
        case .retry:
            let count = failures[key] ?? 0
            failures[key] = count + 1
            add(key, at: now + backoff.delay(failures: count, using: &random))
        }
        if again.remove(key) != nil { add(key) }
    }

    private mutating func promote(now: Duration) {
        let due = delayed.filter { $0.value <= now }.sorted { $0.value < $1.value }
        for (key, _) in due { add(key) }
    }
}
