/// Waiting for the outside world: always with an end.
public enum BoundedWait {
    /// Asks again and again until there is an answer.
    ///
    /// - Parameters:
    ///   - what: Completes "waited for ...".
    ///   - hint: Where to look if it never comes, such as a log file.
    ///   - probe: Nil: not yet. An error ends the wait.
    /// - Throws: `timeout` that says what was waited for and where to look.
    public static func until<Value>(
        _ what: String, within limit: Duration, every interval: Duration = .milliseconds(50), hint: String,
        isolation: isolated (any Actor)? = #isolation, probe: () async throws -> Value?
    ) async throws -> Value {
        let clock = ContinuousClock()
        let deadline = clock.now + limit
        while true {
            if let value = try await probe() { return value }
            guard clock.now < deadline else {
                throw LabError(
                    code: .timeout, message: "waited \(limit.components.seconds) s for \(what) in vain",
                    advice: "see \(hint)")
            }
            try await Task.sleep(for: interval)
        }
    }
}
