import ProviderKit

/// What a plugin instance did wrong.
public enum PluginFault: String, Sendable, CaseIterable, Codable {
    /// A call did not complete by its deadline.
    case overrun
    /// A requirement of the ABI was broken: a double completion, a wrong result, a call after the end.
    case violation
    /// Its process ended by itself (`isolation: process`).
    case crash
    /// A function did not return, and holds a thread.
    case stuck
}

/// Decides when an instance is kept from further calls, and when it gets another chance. Pure: events and times in,
/// verdicts out.
///
/// A healthy instance that collects too many faults is quarantined: its calls fail at once instead of waiting for their
/// deadlines. When the time is over, one call is let through. If it ends well the instance is healthy again; if not, the
/// next quarantine lasts twice as long.
public struct QuarantinePolicy: Sendable {
    /// How many faults within how long are too many, and how long a quarantine lasts.
    public struct Limits: Sendable, Equatable {
        /// Calls in a row that ended by their deadline.
        public var overruns = 3
        /// Broken requirements within ``window``.
        public var violations = 3
        /// Ends of the process within ``window``.
        public var crashes = 3
        public var window = Duration.seconds(10 * 60)
        /// The first quarantine; each one that follows a failed trial is twice as long.
        public var shortest = Duration.seconds(10)
        public var longest = Duration.seconds(30 * 60)

        public init() {}
    }

    /// What becomes of a call.
    public enum Verdict: Sendable, Equatable {
        case allowed
        /// The one call that decides whether the quarantine ends.
        case trial
        case refused(until: HostInstant)
    }

    /// What people see.
    public enum State: Sendable, Equatable {
        case healthy
        case quarantined(until: HostInstant, reason: String)
        /// The time is over; a trial call is awaited or under way.
        case onTrial(reason: String)
    }

    private let limits: Limits
    private var overrunsInARow = 0
    private var violations: [HostInstant] = []
    private var crashes: [HostInstant] = []
    private var until: HostInstant?
    private var reason = ""
    /// Quarantines since the instance was last healthy.
    private var level = 0
    private var isTrialUnderWay = false

    public init(limits: Limits = Limits()) {
        self.limits = limits
    }

    public func state(now: HostInstant) -> State {
        guard let until else { return .healthy }
        return now < until ? .quarantined(until: until, reason: reason) : .onTrial(reason: reason)
    }

    /// Asks for one call. Who gets `allowed` or `trial` tells its end by ``completed()``, ``failed(_:_:now:)`` or
    /// ``abandoned()``.
    public mutating func admit(now: HostInstant) -> Verdict {
        guard let until else { return .allowed }
        guard now >= until, !isTrialUnderWay else { return .refused(until: max(until, now)) }
        isTrialUnderWay = true
        return .trial
    }

    /// A call completed in time; whether with success is the plugin's own affair.
    public mutating func completed() {
        overrunsInARow = 0
        guard isTrialUnderWay else { return }
        self = Self(limits: limits)
    }

    /// The call under trial was given up by its caller: the next one tries.
    public mutating func abandoned() {
        isTrialUnderWay = false
    }

    /// - Parameter detail: what happened, for people.
    /// - Returns: whether this fault begins a quarantine.
    @discardableResult
    public mutating func failed(_ fault: PluginFault, _ detail: String, now: HostInstant) -> Bool {
        if let until, now < until { return false }
        if isTrialUnderWay || until != nil {
            begin("\(fault.rawValue) during the trial call: \(detail)", now: now)
            return true
        }
        guard let cause = count(fault, now: now) else { return false }
        begin("\(cause); the last: \(detail)", now: now)
        return true
    }

    /// - Returns: why it is too many, if it is.
    private mutating func count(_ fault: PluginFault, now: HostInstant) -> String? {
        switch fault {
        case .overrun:
            overrunsInARow += 1
            return overrunsInARow >= limits.overruns ? "\(overrunsInARow) calls in a row overran their deadline" : nil
        case .violation:
            Self.add(now, to: &violations, limits)
            return violations.count >= limits.violations
                ? "\(violations.count) contract violations within \(limits.window)" : nil
        case .crash:
            Self.add(now, to: &crashes, limits)
            return crashes.count >= limits.crashes ? "\(crashes.count) crashes within \(limits.window)" : nil
        case .stuck:
            return "a function of the plugin does not return"
        }
    }

    /// Keeps the times within the window; bounded, since a quarantine begins at the limit.
    private static func add(_ now: HostInstant, to times: inout [HostInstant], _ limits: Limits) {
        times.removeAll { $0.duration(to: now) > limits.window }
        times.append(now)
    }

    private mutating func begin(_ reason: String, now: HostInstant) {
        let factor = 1 << min(level, 20)
        let length = min(limits.shortest * factor, limits.longest)
        self.reason = reason
        until = now.advanced(by: length)
        level += 1
        isTrialUnderWay = false
        overrunsInARow = 0
        violations = []
        crashes = []
    }
}
