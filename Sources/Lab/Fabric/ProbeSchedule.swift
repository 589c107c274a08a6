/// When to probe which target, and what its results make of it. Pure: time and results come in, decisions go out.
struct ProbeSchedule {
    private struct Entry {
        var isHealthy = false
        /// Results in a row that contradict the present state.
        var contradictions = 0
        var nextStart: ContinuousClock.Instant
        var isRunning = false
    }

    private var entries: [ProbeTarget: Entry] = [:]

    /// Makes these the targets. New ones are unhealthy until proven otherwise and are probed at once; those that stay
    /// keep their state.
    mutating func setTargets(_ targets: Set<ProbeTarget>, now: ContinuousClock.Instant) {
        entries = entries.filter { targets.contains($0.key) }
        for target in targets where entries[target] == nil { entries[target] = Entry(nextStart: now) }
    }

    func contains(_ target: ProbeTarget) -> Bool { entries[target] != nil }

    /// Takes the targets whose time has come; each counts as running until `finished`.
    mutating func takeDue(now: ContinuousClock.Instant) -> [ProbeTarget] {
        let due = entries.filter { !$0.value.isRunning && $0.value.nextStart <= now }.map(\.key)
        for target in due {
            entries[target]?.isRunning = true
            entries[target]?.nextStart = now + target.interval
        }
        return due
    }

    /// Records a result.
    ///
    /// - Returns: The target's new state if this result flipped it, else nil.
    mutating func finished(_ target: ProbeTarget, success: Bool) -> Bool? {
        guard var entry = entries[target] else { return nil }
        defer { entries[target] = entry }
        entry.isRunning = false
        guard success != entry.isHealthy else {
            entry.contradictions = 0
            return nil
        }
        entry.contradictions += 1
        guard entry.contradictions >= target.threshold else { return nil }
        entry.contradictions = 0
        entry.isHealthy = success
        return success
    }

    /// When the next probe is due; nil if there is nothing to start.
    var nextStart: ContinuousClock.Instant? {
        entries.values.filter { !$0.isRunning }.map(\.nextStart).min()
    }
}
