import ProviderKit

/// What one group of requests may do now: a state machine without clock, sleep or sockets of its own.
///
/// Azure refuses with 429 and a Retry-After, and tells beforehand, by `x-ms-ratelimit-remaining-*`, how much is left.
/// After a refusal nothing is sent until the pause is over; then one request goes as a probe, and each one that passes
/// lets one more go at a time (slow start). A refusal of the probe means that the pause was too short: the next one is
/// at least twice as long. The number of requests that are refused so grows with the logarithm of a shortage's length,
/// whatever the number of callers.
public struct RequestBudget: Sendable {
    public struct Limits: Sendable, Equatable {
        /// Requests under way at a time while all is well.
        public var concurrency = 16
        /// Pause after a 429 that names none (azclient's base delay).
        public var pause = Duration.seconds(5)
        /// Pauses of ours grow to this; a longer Retry-After is still heeded.
        public var longestGrownPause = Duration.seconds(60)
        /// The longest Retry-After that is believed.
        public var longestPause = Duration.seconds(3600)
        /// Share of a pause that chance may add, so that many processes do not come back at one moment.
        public var jitter = 0.1
        /// With this many requests left or fewer, they go one by one and ``spacing`` apart, so that other clients of the
        /// subscription find something left. ARM's buckets refill by 10 to 25 a second (request limits and throttling).
        public var reserve = 20
        public var spacing = Duration.milliseconds(500)
        /// Our own limit; nil: none.
        public var rate: RequestPace.Rate?

        public init() {}
    }

    /// Leave for one request; to be handed back with its answer.
    public struct Ticket: Sendable, Equatable {
        let epoch: Int
    }

    public enum Admission: Sendable, Equatable {
        case go(Ticket)
        /// Ask again after this time.
        case wait(Duration)
        /// Ask again when a request that is under way was answered.
        case busy
    }

    /// What an answer says about the budget.
    public enum Answer: Sendable, Equatable {
        /// Not throttled; the least number that a header says is left, if one does.
        case passed(remaining: Int?)
        /// 429 for want of budget; how long it asks to wait, if it does.
        case throttled(retryAfter: Duration?)
        /// No answer came, or one that says nothing.
        case unknown
    }

    public let limits: Limits
    /// Counts pauses: a refusal of a request that was sent before the last pause began is no news.
    private var epoch = 0
    private var strikes = 0
    private var window: Int
    private var underWay = 0
    private var pausedUntil: HostInstant?
    private var remaining: Int?
    private var lastStart: HostInstant?
    private var tokens: Double
    private var filledAt: HostInstant?

    public init(limits: Limits = Limits()) {
        self.limits = limits
        window = limits.concurrency
        tokens = limits.rate?.burst ?? 0
    }

    /// How long nothing may be sent; nil if something may.
    public func pause(at now: HostInstant) -> Duration? {
        guard let pausedUntil, now < pausedUntil else { return nil }
        return now.duration(to: pausedUntil)
    }

    /// Asks for leave to send one request.
    public mutating func admit(at now: HostInstant) -> Admission {
        if let pause = pause(at: now) { return .wait(pause) }
        let isLow = remaining.map { $0 <= limits.reserve } ?? false
        guard underWay < (isLow ? 1 : window) else { return .busy }
        if isLow, let lastStart, now < lastStart.advanced(by: limits.spacing) {
            return .wait(now.duration(to: lastStart.advanced(by: limits.spacing)))
        }
        if let wait = refill(now) { return .wait(wait) }
        if limits.rate != nil { tokens -= 1 }
        underWay += 1
        lastStart = now
        return .go(Ticket(epoch: epoch))
    }

    /// Takes a request's answer.
    ///
    /// - Parameter random: 0..<1, for jitter.
    public mutating func answered(_ ticket: Ticket, _ answer: Answer, at now: HostInstant, random: Double) {
        underWay = max(0, underWay - 1)
        switch answer {
        case .unknown: break
        case .passed(let remaining):
            self.remaining = remaining ?? self.remaining
            guard ticket.epoch == epoch, window < limits.concurrency else { return }
            window += 1
            if window == limits.concurrency { strikes = 0 }
        case .throttled(let retryAfter):
            throttle(retryAfter, isNews: ticket.epoch == epoch, at: now, random: random)
        }
    }

    /// Takes a refusal that another group met but that counts for this one, too.
    public mutating func throttledElsewhere(retryAfter: Duration?, at now: HostInstant, random: Double) {
        throttle(retryAfter, isNews: pause(at: now) == nil, at: now, random: random)
    }

    private mutating func throttle(_ retryAfter: Duration?, isNews: Bool, at now: HostInstant, random: Double) {
        // The clock of an instance that the host ended stands at its last moment; others may share this budget.
        guard now < HostInstant(nanoseconds: .max) else { return }
        var wait = min(retryAfter ?? limits.pause, limits.longestPause)
        if isNews {
            epoch += 1
            strikes = min(strikes + 1, 16)
            window = 1
            remaining = nil
            if strikes > 1 {
                let grown = limits.pause * (1 << (strikes - 1))
                wait = max(wait, min(grown, limits.longestGrownPause))
            }
        }
        let end = now.advanced(by: wait * (1 + limits.jitter * random))
        pausedUntil = max(pausedUntil ?? end, end)
    }

    /// Fills our own bucket; the wait for its next token, nil if there is one.
    private mutating func refill(_ now: HostInstant) -> Duration? {
        guard let rate = limits.rate else { return nil }
        if let filledAt {
            let gained = max(.zero, filledAt.duration(to: now)) / .seconds(1) * rate.perSecond
            tokens = min(rate.burst, tokens + gained)
        }
        filledAt = now
        return tokens >= 1 ? nil : .seconds((1 - tokens) / rate.perSecond)
    }
}
