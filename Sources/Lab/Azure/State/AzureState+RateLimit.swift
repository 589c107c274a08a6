/// Throttling: token buckets per kind of call.
extension AzureState {
    /// A bucket that fills with time.
    struct Bucket: Sendable {
        let limit: AzureSimulator.RateLimits.Bucket
        private var left: Double
        private var filledAt = Duration.zero

        init(_ limit: AzureSimulator.RateLimits.Bucket) {
            self.limit = limit
            left = limit.size
        }

        /// Takes one call.
        ///
        /// - Returns: whole calls left, or nil if there was none; then ``secondsToNext`` says when to come again.
        mutating func take(now: Duration) -> Int? {
            left = min(limit.size, left + max(0, (now - filledAt) / .seconds(1)) * limit.perSecond)
            filledAt = now
            guard left >= 1 else { return nil }
            left -= 1
            return Int(left)
        }

        /// Whole seconds until a call is free again, 1 or more.
        var secondsToNext: Int { limit.perSecond > 0 ? max(1, Int(((1 - left) / limit.perSecond).rounded(.up))) : 60 }
    }

    struct Buckets: Sendable {
        var reads: Bucket
        var writes: Bucket
        var deletes: Bucket

        init(_ limits: AzureSimulator.RateLimits) {
            reads = Bucket(limits.reads)
            writes = Bucket(limits.writes)
            deletes = Bucket(limits.deletes)
        }
    }

    /// Counts a call against its bucket.
    ///
    /// - Returns: the header that tells what is left.
    mutating func takeFromBucket(_ method: String, now: Duration) throws(ARMFault) -> (name: String, value: String) {
        let (path, word): (WritableKeyPath<Buckets, Bucket>, String) =
            switch method {
            case "GET", "HEAD": (\.reads, "reads")
            case "DELETE": (\.deletes, "deletes")
            default: (\.writes, "writes")
            }
        guard let left = buckets[keyPath: path].take(now: now) else {
            var fault = ARMFault(
                429, "SubscriptionRequestsThrottled",
                "Number of '\(word)' requests for subscription '\(configuration.subscription)' exceeded the limit of "
                    + "'\(Int(buckets[keyPath: path].limit.size))'. Please try again after "
                    + "'\(buckets[keyPath: path].secondsToNext)' seconds.", isGateway: true)
            fault.retryAfter = buckets[keyPath: path].secondsToNext
            throw fault
        }
        return ("x-ms-ratelimit-remaining-subscription-global-\(word)", String(left))
    }
}
