import ProviderKit

/// The fields of the cloud configuration about retries and the client's own rate limit.
///
/// Upstream reads the backoff fields and does nothing with them (behaviour section 6.1); here they say what their names
/// say. Three retries and no rate limit are the defaults of the Kubernetes Azure client (azclient `utils/options.go`,
/// `policy/ratelimit`); its base of 5 s counts where `cloudProviderBackoff` is true, else ours of 1 s, since the host
/// tries again by itself.
public struct RequestPace: Sendable, Equatable {
    /// Requests and burst of one kind of request.
    public struct Rate: Sendable, Equatable {
        /// Requests per second, above 0.
        public var perSecond: Double
        /// Requests at once, 1 or more.
        public var burst: Double
    }

    /// How often a request is sent again after 408, 500, 502, 503 or 504; 0..10.
    public var retries = 3
    /// Wait before the first of them; doubled each time.
    public var retryBase = Duration.seconds(1)
    /// Nil: no limit of our own.
    public var reads: Rate?
    public var writes: Rate?
    /// A Retry-After of an answer that is no refusal, and shorter than ``retryBase``, is not heeded.
    public var ignoresShortRetryAfter = false

    /// Longest wait between two tries of one request (azclient).
    static let longestRetryWait = Duration.seconds(60)

    public init() {}

    init(_ reader: FieldReader) throws(ProviderError) {
        if try reader.flag("cloudProviderBackoff") {
            retries = Int(try reader.number("cloudProviderBackoffRetries", in: 0...10) ?? 3)
            retryBase = .seconds(try reader.number("cloudProviderBackoffDuration", in: 0...3600) ?? 5)
        }
        if try reader.flag("cloudProviderRateLimit") {
            reads = Rate(
                perSecond: try reader.number("cloudProviderRateLimitQPS", in: 0.001...10_000) ?? 1,
                burst: try reader.number("cloudProviderRateLimitBucket", in: 1...100_000) ?? 5)
            writes = Rate(
                perSecond: try reader.number("cloudProviderRateLimitQPSWrite", in: 0.001...10_000) ?? 1,
                burst: try reader.number("cloudProviderRateLimitBucketWrite", in: 1...100_000) ?? 5)
        }
        ignoresShortRetryAfter = try reader.flag("enableMinimumRetryAfter")
    }
}
