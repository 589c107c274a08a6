import Kubernetes

/// The queue of one controller, as pure state: keys in, work out, no clock and no randomness of its own.
///
/// - A key waits at most once, however often it is added.
/// - A key is handed to one worker at a time; added meanwhile, it runs exactly once more.
/// - Of several delayed adds of a key the earliest counts; an immediate add overrides a delay. It leaves the count of
///   failures: the next failure waits longer still.
/// - Live keys go before background keys, in each class the first come first. A background key that waited for
///   ``WorkQueuePolicy/agedAfter`` gets every ``WorkQueuePolicy/livePerAged``-th turn, so it never starves.
/// - A key that failed too often, or whose run did not end in time, is quarantined until a run succeeds: such keys share
///   a few workers, so that keys which only fail or hang cannot hold all of them. None is ever dropped.
///
/// Times are durations since an arbitrary start, given by the caller. The queue holds one state per key that waits,
/// runs or failed, so it is bounded by the number of objects.
public struct WorkQueue<Key: Hashable & Sendable>: Sendable {
    private enum LaneName: Int, Sendable, CaseIterable {
        case quarantine, background, live
    }

    /// All that is known of one key; no state is kept for a key that is idle and well.
    private struct KeyState: Sendable {
        var lane: LaneName?
        var laneTicket: UInt64 = 0
        var readySince: Duration = .zero
        var priority = WorkPriority.background
        var isRunning = false
        var runsInQuarantine = false
        var again: WorkPriority?
        var due: Duration?
        var dueTicket: UInt64 = 0
        var failures = 0
        var conflicts = 0

        var isIdle: Bool { lane == nil && !isRunning && due == nil && failures == 0 && conflicts == 0 }
    }

    private let policy: WorkQueuePolicy
    private var states: [Key: KeyState] = [:]
    private var lanes: [WorkLane<Key>] = LaneName.allCases.map { _ in WorkLane() }
    private var timers = TimerHeap<Key>()
    private var nextTicket: UInt64 = 0
    private var livePicks = 0
    private var runningInQuarantine = 0

    /// Keys that wait for a worker now.
    public private(set) var readyCount = 0
    /// Keys that wait for their time.
    public private(set) var delayedCount = 0
    /// Keys that a worker holds.
    public private(set) var runningCount = 0
    /// Keys that are quarantined.
    public private(set) var quarantinedCount = 0

    /// Starts empty.
    public init(policy: WorkQueuePolicy = WorkQueuePolicy()) {
        self.policy = policy
    }

    /// Failures in a row of a key.
    public func failureCount(_ key: Key) -> Int { states[key]?.failures ?? 0 }

    /// Whether the key failed too often to be treated as the others.
    public func isQuarantined(_ key: Key) -> Bool { failureCount(key) >= policy.quarantineAfter }

    /// Entries in memory, stale ones included; a few more than the keys that wait, run or failed.
    var storedEntries: Int { states.count + timers.count + lanes.reduce(0) { $0 + $1.entryCount } }

    /// Adds a key for now.
    public mutating func add(_ key: Key, priority: WorkPriority = .live, now: Duration) {
        var state = states[key] ?? KeyState()
        if state.due != nil {
            state.due = nil
            delayedCount -= 1
        }
        if state.isRunning {
            state.again = max(state.again ?? priority, priority)
        } else {
            makeReady(&state, key, priority, now)
        }
        states[key] = state
        compact()
    }

    /// Adds a key for a later time, unless it is due earlier anyway.
    public mutating func add(_ key: Key, at time: Duration, priority: WorkPriority = .live) {
        var state = states[key] ?? KeyState()
        guard state.lane == nil, state.again == nil, state.due.map({ time < $0 }) ?? true else { return }
        if state.due == nil { delayedCount += 1 }
        if !state.isRunning || state.due == nil { state.priority = priority }
        state.due = time
        state.dueTicket = takeTicket()
        states[key] = state
        timers.push(.init(due: time, ticket: state.dueTicket, value: key))
        compact()
    }

    /// Hands out the next key, if one is due. The caller must end the run with ``finish(_:outcome:now:using:)``.
    ///
    /// - Returns: the key, and how long it was ready.
    public mutating func next(now: Duration) -> (key: Key, waited: Duration)? {
        promote(now: now)
        guard readyCount > 0, let (lane, key) = pick(now: now), var state = states[key] else { return nil }
        lanes[lane.rawValue].removeFirst()
        livePicks = lane == .live ? livePicks + 1 : 0
        state.lane = nil
        state.isRunning = true
        state.runsInQuarantine = lane == .quarantine
        states[key] = state
        readyCount -= 1
        runningCount += 1
        if lane == .quarantine { runningInQuarantine += 1 }
        return (key, max(now - state.readySince, .zero))
    }

    /// When the next delayed key is due; nil if none waits.
    public mutating func nextDue() -> Duration? {
        while let timer = timers.first {
            if isCurrent(timer) { return timer.due }
            timers.removeFirst()
        }
        return nil
    }

    /// Ends a run.
    public mutating func finish(
        _ key: Key, outcome: Outcome, now: Duration, using random: inout some RandomNumberGenerator
    ) {
        guard var state = states[key], state.isRunning else { return }
        state.isRunning = false
        runningCount -= 1
        if state.runsInQuarantine { runningInQuarantine -= 1 }
        let wasQuarantined = state.failures >= policy.quarantineAfter
        let delay = policy.delay(after: outcome, failures: &state.failures, conflicts: &state.conflicts, &random)
        quarantinedCount += (state.failures >= policy.quarantineAfter ? 1 : 0) - (wasQuarantined ? 1 : 0)
        // A delayed add during the run stands beside the outcome's own delay; the earlier counts.
        let again = state.again
        state.again = nil
        states[key] = state.isIdle ? nil : state
        if let again {
            add(key, priority: again, now: now)
        } else if let delay {
            var priority = state.priority
            if case .requeue = outcome { priority = .background }
            add(key, at: now + delay, priority: priority)
        }
    }

    // MARK: Lanes

    private mutating func makeReady(_ state: inout KeyState, _ key: Key, _ priority: WorkPriority, _ now: Duration) {
        let wanted: LaneName
        if state.failures >= policy.quarantineAfter {
            wanted = .quarantine
        } else {
            wanted = priority == .live ? .live : .background
        }
        if let lane = state.lane {
            // What waits in the background becomes live; its old entry goes stale.
            guard lane == .background, wanted == .live else { return }
        } else {
            state.readySince = now
            readyCount += 1
        }
        state.lane = wanted
        state.priority = priority
        state.laneTicket = takeTicket()
        lanes[wanted.rawValue].append(.init(key: key, ticket: state.laneTicket))
    }

    private mutating func pick(now: Duration) -> (LaneName, Key)? {
        let live = head(of: .live)
        var low = head(of: .background).map { (LaneName.background, $0) }
        if runningInQuarantine < policy.quarantineRuns, let quarantined = head(of: .quarantine),
            low.map({ quarantined.since < $0.1.since }) ?? true
        {
            low = (.quarantine, quarantined)
        }
        guard let live else { return low.map { ($0.0, $0.1.key) } }
        if let low, livePicks >= policy.livePerAged, now - low.1.since >= policy.agedAfter {
            return (low.0, low.1.key)
        }
        return (.live, live.key)
    }

    private mutating func head(of lane: LaneName) -> (key: Key, since: Duration)? {
        let states = states
        var since = Duration.zero
        let entry = lanes[lane.rawValue].first { entry in
            guard let state = states[entry.key], state.laneTicket == entry.ticket else { return false }
            since = state.readySince
            return true
        }
        return entry.map { ($0.key, since) }
    }

    // MARK: Delays

    private mutating func promote(now: Duration) {
        while let timer = timers.first, timer.due <= now {
            timers.removeFirst()
            guard isCurrent(timer), var state = states[timer.value], !state.isRunning else {
                // Due while it runs: it runs once more afterwards, as if it had been added now.
                if isCurrent(timer), let priority = states[timer.value]?.priority {
                    add(timer.value, priority: priority, now: now)
                }
                continue
            }
            state.due = nil
            delayedCount -= 1
            makeReady(&state, timer.value, state.priority, now)
            states[timer.value] = state
        }
    }

    private func isCurrent(_ timer: TimerHeap<Key>.Timer) -> Bool {
        guard let state = states[timer.value] else { return false }
        return state.due != nil && state.dueTicket == timer.ticket
    }

    /// Stale entries are never more than the real ones and a few.
    private mutating func compact() {
        if timers.count > 2 * delayedCount + 64 {
            let states = states
            timers.keep { states[$0.value]?.due != nil && states[$0.value]?.dueTicket == $0.ticket }
        }
        if lanes[LaneName.background.rawValue].entryCount > 2 * readyCount + 64 {
            let states = states
            lanes[LaneName.background.rawValue].keep {
                states[$0.key]?.lane == .background && states[$0.key]?.laneTicket == $0.ticket
            }
        }
    }

    private mutating func takeTicket() -> UInt64 {
        nextTicket += 1
        return nextTicket
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
