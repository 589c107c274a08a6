import FoundationEssentials

/// Decides which reports become Events, which only raise the count of a series, which are not posted. Pure; the caller
/// has the clock.
///
/// Per object at most 25 reports in a burst and one more per 5 minutes, and repetitions of one reason and message are
/// one Event for 10 minutes: client-go's figures (tools/record, EventSourceObjectSpamFilter and EventAggregator). A
/// repetition that is not posted is counted all the same, and shows with the next one that is.
struct EventAggregator {
    struct Report: Sendable, Hashable {
        var object: ObjectReference
        var type: String
        var reason: String
        var message: String

        /// Reports of one object count together although its version changes.
        var withoutVersion: Report {
            var copy = self
            copy.object.resourceVersion = ""
            return copy
        }
    }

    enum Decision: Equatable {
        case post
        case raise(name: String, count: Int32)
        case drop
    }

    private struct Series {
        var name: String?
        var count: Int32
        var lastSeen: Date
    }

    private struct Bucket {
        var tokens: Double
        var filledAt: Date
    }

    static let window: TimeInterval = 600
    static let burst = 25.0
    static let refillSeconds: TimeInterval = 300

    private let maximumSeries: Int
    private var series: [Report: Series] = [:]
    private var buckets: [ObjectReference: Bucket] = [:]

    init(maximumSeries: Int = 4096) {
        self.maximumSeries = maximumSeries
    }

    mutating func decide(_ report: Report, at now: Date) -> Decision {
        let key = report.withoutVersion
        let hasToken = takeToken(key.object, now)
        if var known = series[key], let name = known.name, now.timeIntervalSince(known.lastSeen) < Self.window {
            known.count = known.count == .max ? .max : known.count + 1
            known.lastSeen = now
            series[key] = known
            return hasToken ? .raise(name: name, count: known.count) : .drop
        }
        guard hasToken else { return .drop }
        makeRoom(now)
        series[key] = Series(name: nil, count: 1, lastSeen: now)
        return .post
    }

    /// The Event is stored under this name; later repetitions raise its count.
    mutating func posted(_ report: Report, name: String) {
        series[report.withoutVersion]?.name = name
    }

    /// The Event is not there (any more); the next repetition posts a new one.
    mutating func lost(_ report: Report) {
        series[report.withoutVersion] = nil
    }

    private mutating func takeToken(_ object: ObjectReference, _ now: Date) -> Bool {
        var bucket = buckets[object] ?? Bucket(tokens: Self.burst, filledAt: now)
        let gained = max(0, now.timeIntervalSince(bucket.filledAt)) / Self.refillSeconds
        bucket.tokens = min(Self.burst, bucket.tokens + gained)
        bucket.filledAt = now
        let hasToken = bucket.tokens >= 1
        if hasToken { bucket.tokens -= 1 }
        if buckets[object] == nil, buckets.count >= maximumSeries { buckets = [:] }
        buckets[object] = bucket
        return hasToken
    }

    /// Old series go first; if all are fresh, all go: a lost count is cheaper than unbounded memory.
    private mutating func makeRoom(_ now: Date) {
        guard series.count >= maximumSeries else { return }
        series = series.filter { now.timeIntervalSince($0.value.lastSeen) < Self.window }
        if series.count >= maximumSeries { series = [:] }
    }
}
