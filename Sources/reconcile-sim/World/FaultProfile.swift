import Reconcile

/// Which faults a run has, and how often. Each seed draws its own mixture, so that some runs are about one kind of
/// fault and some about many (swarm testing: Groce and others, "Swarm Testing", 2012).
struct FaultProfile {
    /// Chances per request, 0...1.
    var unavailable = 0.0
    var lostAnswer = 0.0
    var conflict = 0.0
    var throttled = 0.0
    var slow = 0.0
    /// Chance per read that its answer comes long after it was true.
    var stale = 0.0
    /// Chance per event of a watch.
    var watch = 0.0
    /// Chance per operation of the cloud, for each of its faults.
    var cloud = 0.0
    var cloudSlow = 0.0
    /// What becomes of every write of the cloud; nil: the chances say it.
    var cloudAnswer: FaultSource.CloudFault?
    /// Writes until a process dies between two of them, on average; nil: never.
    var writesPerCrash: Int?
    /// Happenings during the time of faults.
    var pauses = 0
    var stops = 0
    var partitions = 0
    var compactions = 0
    /// Two managers that elect a leader, instead of one.
    var twoManagers = false
    /// Whether the server streams lists; no fault, but another way through the client.
    var streamsLists = false

    static let none = FaultProfile()

    static func draw(using random: inout RandomSource) -> FaultProfile {
        func chance(_ most: Double) -> Double {
            Bool.random(using: &random) ? Double.random(in: 0...most, using: &random) : 0
        }
        func count(_ most: Int) -> Int {
            Bool.random(using: &random) ? Int.random(in: 1...most, using: &random) : 0
        }
        var profile = FaultProfile()
        profile.unavailable = chance(0.15)
        profile.lostAnswer = chance(0.15)
        profile.conflict = chance(0.2)
        profile.throttled = chance(0.1)
        profile.slow = chance(0.05)
        profile.stale = chance(0.1)
        profile.watch = chance(0.3)
        profile.cloud = chance(0.15)
        profile.cloudSlow = chance(0.2)
        profile.writesPerCrash = Bool.random(using: &random) ? Int.random(in: 2...25, using: &random) : nil
        profile.pauses = count(4)
        profile.stops = count(3)
        profile.partitions = count(4)
        profile.compactions = count(6)
        profile.streamsLists = Bool.random(using: &random)
        profile.twoManagers = Int.random(in: 0..<3, using: &random) == 0
        return profile
    }
}

/// What goes wrong next for one process.
///
/// `@unchecked Sendable`: touched by the main thread alone (``JobQueue``).
final class FaultSource: @unchecked Sendable {
    enum RequestFault { case none, unavailable, lostAnswer, conflict, throttled }
    enum WatchFault { case none, duplicate, breakOff, halfLine, html, lose }
    enum CloudFault { case none, refused, lostAnswer, throttled, conflict }

    var profile: FaultProfile
    private var random: RandomSource
    /// False once the time of faults is over.
    var isActive = true

    init(profile: FaultProfile, random: RandomSource) {
        self.profile = profile
        self.random = random
    }

    func requestFault() -> RequestFault {
        guard isActive else { return .none }
        if happens(profile.unavailable) { return .unavailable }
        if happens(profile.lostAnswer) { return .lostAnswer }
        if happens(profile.conflict) { return .conflict }
        return happens(profile.throttled) ? .throttled : .none
    }

    func watchFault() -> WatchFault {
        guard isActive, happens(profile.watch) else { return .none }
        return [.duplicate, .breakOff, .halfLine, .html, .lose][Int.random(in: 0..<5, using: &random)]
    }

    func cloudFault() -> CloudFault {
        guard isActive else { return .none }
        if let answer = profile.cloudAnswer { return answer }
        if happens(profile.cloud) { return .refused }
        if happens(profile.cloud) { return .lostAnswer }
        if happens(profile.cloud / 2) { return .throttled }
        return happens(profile.cloud / 2) ? .conflict : .none
    }

    /// How many writes the process lives for; nil: it does not die by itself.
    func writesToLive() -> Int? {
        guard isActive, let mean = profile.writesPerCrash else { return nil }
        return Int.random(in: 1...2 * mean, using: &random)
    }

    /// How long the answer to a read is held up after it was read; nil: not at all.
    func staleness() -> Duration? {
        guard isActive, happens(profile.stale) else { return nil }
        return .milliseconds(number(1000...20_000))
    }

    /// One way over the network.
    func latency() -> Duration {
        if isActive, happens(profile.slow) { return .milliseconds(Int.random(in: 1000...20_000, using: &random)) }
        return .microseconds(Int.random(in: 500...8000, using: &random))
    }

    /// One write of the cloud.
    func cloudLatency() -> Duration {
        if isActive, happens(profile.cloudSlow) {
            return .milliseconds(Int.random(in: 2000...40_000, using: &random))
        }
        return .milliseconds(Int.random(in: 50...900, using: &random))
    }

    func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    func happens(_ chance: Double) -> Bool { chance > 0 && Double.random(in: 0..<1, using: &random) < chance }
}
