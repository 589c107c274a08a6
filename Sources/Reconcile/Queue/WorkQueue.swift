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
/// Times are durations since an arbitrary start, given by the caller. The queue holds one state per key that waits, runs
/// or failed, and of keys that were done lately at most three times as many and a few more; so it is bounded by the
/// number of objects.
public struct WorkQueue<Key: Hashable & Sendable>: Sendable {
    /// A key that was handed out.
    public struct Run: Sendable {
        /// What is to be worked on.
        public let key: Key
        /// How long the key was ready.
        public let waited: Duration
        /// Where the key's state is; it stays there while the key runs.
        fileprivate let place: Int
    }

    private let policy: WorkQueuePolicy
    /// Where the state of each key is. Lanes, timers and runs name a key by its place, because a look-up by key costs
    /// more than all the rest.
    private var places = PlaceTable()
    /// Places of keys that are idle and well. They are given up together, when they are most of all.
    private var idleCount = 0
    private var keys: [Key?] = []
    private var states: [KeyState] = []
    private var freePlaces: [Int] = []
    private var live = WorkLane()
    private var background = WorkLane()
    private var quarantine = WorkLane()
    private var timers = TimerHeap<Int>()
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
    public func failureCount(_ key: Key) -> Int {
        places.find(key.hashValue) { keys[$0] == key }.map { states[$0].failures } ?? 0
    }

    /// Whether the key failed too often to be treated as the others.
    public func isQuarantined(_ key: Key) -> Bool { failureCount(key) >= policy.quarantineAfter }

    /// Entries in memory, stale ones and free places included; a few more than the keys that wait, run or failed.
    var storedEntries: Int {
        states.count + timers.count + live.entryCount + background.entryCount + quarantine.entryCount
    }

    /// Adds a key for now.
    public mutating func add(_ key: Key, priority: WorkPriority = .live, now: Duration) {
        add(at: place(of: key), priority: priority, now: now)
    }

    /// Adds a key for a later time, unless it is due earlier anyway.
    public mutating func add(_ key: Key, at time: Duration, priority: WorkPriority = .live) {
        add(at: place(of: key), due: time, priority: priority)
    }

    /// Hands out the next key, if one is due. The caller must end the run with ``finish(_:outcome:now:using:)``.
    public mutating func next(now: Duration) -> Run? {
        promote(now: now)
        guard readyCount > 0, let (lane, place) = pick(now: now), let key = keys[place] else { return nil }
        switch lane {
        case .live: live.removeFirst()
        case .background: background.removeFirst()
        case .quarantine:
            quarantine.removeFirst()
            runningInQuarantine += 1
        }
        livePicks = lane == .live ? livePicks + 1 : 0
        states[place].lane = nil
        states[place].isRunning = true
        states[place].runsInQuarantine = lane == .quarantine
        readyCount -= 1
        runningCount += 1
        return Run(key: key, waited: max(now - states[place].readySince, .zero), place: place)
    }

    /// When the next delayed key is due; nil if none waits.
    public mutating func nextDue() -> Duration? {
        while let timer = timers.first {
            if states[timer.value].isHeld(by: timer) { return timer.due }
            timers.removeFirst()
        }
        return nil
    }

    /// Ends a run; to be called once for each.
    public mutating func finish(
        _ run: Run, outcome: Outcome, now: Duration, using random: inout some RandomNumberGenerator
    ) {
        let place = run.place
        states[place].isRunning = false
        runningCount -= 1
        if states[place].runsInQuarantine { runningInQuarantine -= 1 }
        let wasQuarantined = states[place].failures >= policy.quarantineAfter
        var (failures, conflicts) = (states[place].failures, states[place].conflicts)
        let delay = policy.delay(after: outcome, failures: &failures, conflicts: &conflicts, &random)
        (states[place].failures, states[place].conflicts) = (failures, conflicts)
        quarantinedCount += (failures >= policy.quarantineAfter ? 1 : 0) - (wasQuarantined ? 1 : 0)
        // A delayed add during the run stands beside the outcome's own delay; the earlier counts.
        if let again = states[place].again {
            states[place].again = nil
            add(at: place, priority: again, now: now)
        } else if let delay {
            var priority = states[place].priority
            if case .requeue = outcome { priority = .background }
            add(at: place, due: now + delay, priority: priority)
        } else if states[place].isIdle {
            idleCount += 1
            sweep()
        }
    }

    // MARK: Places

    private mutating func place(of key: Key) -> Int {
        let hash = key.hashValue
        if let place = places.find(hash, { keys[$0] == key }) {
            if states[place].isIdle { idleCount -= 1 }
            return place
        }
        let place = freePlaces.popLast() ?? states.count
        if place == states.count {
            states.append(KeyState())
            keys.append(key)
        } else {
            keys[place] = key
        }
        places.insert(hash, place)
        return place
    }

    /// Gives up the places of keys that are idle and well, if they are three of four.
    private mutating func sweep() {
        guard idleCount > Self.idleKept, idleCount > 3 * (places.count - idleCount) else { return }
        let isAny = places.count > idleCount
        idleCount = 0
        places = PlaceTable()
        guard isAny else {
            // What a list of everything took is given back.
            (keys, states, freePlaces) = ([], [], [])
            (live, background, quarantine, timers) = (WorkLane(), WorkLane(), WorkLane(), TimerHeap())
            return
        }
        for place in states.indices {
            guard let key = keys[place] else { continue }
            if states[place].isIdle {
                // Tickets are never given twice, so what still names the place is stale for its next key.
                states[place] = KeyState()
                keys[place] = nil
                freePlaces.append(place)
            } else {
                places.insert(key.hashValue, place)
            }
        }
    }

    /// Idle keys whose places are kept in any case.
    private static var idleKept: Int { 256 }

    // MARK: Adding

    private mutating func add(at place: Int, priority: WorkPriority, now: Duration) {
        if states[place].due != nil {
            states[place].due = nil
            delayedCount -= 1
        }
        if states[place].isRunning {
            states[place].again = max(states[place].again ?? priority, priority)
        } else {
            makeReady(place, priority, now)
        }
        compact()
    }

    private mutating func add(at place: Int, due time: Duration, priority: WorkPriority) {
        let state = states[place]
        guard state.lane == nil, state.again == nil, state.due.map({ time < $0 }) ?? true else { return }
        if state.due == nil { delayedCount += 1 }
        if !state.isRunning || state.due == nil { states[place].priority = priority }
        let ticket = takeTicket()
        states[place].due = time
        states[place].dueTicket = ticket
        timers.push(.init(due: time, ticket: ticket, value: place))
        compact()
    }

    // MARK: Lanes

    private mutating func makeReady(_ place: Int, _ priority: WorkPriority, _ now: Duration) {
        let wanted: LaneName
        if states[place].failures >= policy.quarantineAfter {
            wanted = .quarantine
        } else {
            wanted = priority == .live ? .live : .background
        }
        if let lane = states[place].lane {
            // What waits in the background becomes live; its old entry goes stale.
            guard lane == .background, wanted == .live else { return }
        } else {
            states[place].readySince = now
            readyCount += 1
        }
        let ticket = takeTicket()
        states[place].lane = wanted
        states[place].priority = priority
        states[place].laneTicket = ticket
        let entry = WorkLane.Entry(place: place, ticket: ticket)
        switch wanted {
        case .live: live.append(entry)
        case .background: background.append(entry)
        case .quarantine: quarantine.append(entry)
        }
    }

    private mutating func pick(now: Duration) -> (LaneName, place: Int)? {
        let states = states
        let urgent = live.first { states[$0.place].isHeld(by: $0) }
        var low = background.first { states[$0.place].isHeld(by: $0) }.map { (LaneName.background, $0.place) }
        if runningInQuarantine < policy.quarantineRuns,
            let failing = quarantine.first(where: { states[$0.place].isHeld(by: $0) }),
            low.map({ states[failing.place].readySince < states[$0.1].readySince }) ?? true
        {
            low = (.quarantine, failing.place)
        }
        guard let urgent else { return low }
        if let low, livePicks >= policy.livePerAged, now - states[low.1].readySince >= policy.agedAfter { return low }
        return (.live, urgent.place)
    }

    // MARK: Delays

    private mutating func promote(now: Duration) {
        while let timer = timers.first, timer.due <= now {
            timers.removeFirst()
            guard states[timer.value].isHeld(by: timer) else { continue }
            // Due while it runs: it runs once more afterwards, as if it had been added now.
            add(at: timer.value, priority: states[timer.value].priority, now: now)
        }
    }

    /// Stale entries are never more than the real ones and a few.
    private mutating func compact() {
        guard timers.count > 2 * delayedCount + 64 || background.entryCount > 2 * readyCount + 64 else { return }
        let states = states
        timers.keep { states[$0.value].isHeld(by: $0) }
        background.keep { states[$0.place].isHeld(by: $0) }
    }

    private mutating func takeTicket() -> UInt64 {
        nextTicket += 1
        return nextTicket
    }
}

private enum LaneName: Sendable {
    case quarantine, background, live
}

/// All that is known of one key; no state is kept for a key that is idle and well. Without the key, so that it is plain
/// data: it is read and written several times in each run.
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

    /// Whether the entry is the one that stands for this key; others are stale.
    func isHeld(by entry: WorkLane.Entry) -> Bool { lane != nil && laneTicket == entry.ticket }
    func isHeld(by timer: TimerHeap<Int>.Timer) -> Bool { due != nil && dueTicket == timer.ticket }
}
