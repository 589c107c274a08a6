/// How long to wait after the n-th failure in a row: `base * 2^n`, never above `cap`, then shortened by up to `jitter`
/// so that many waiters spread.
///
/// With base 1 s, cap 30 s and jitter 0.5: 0.5...1, 1...2, 2...4, 4...8, 8...16, 15...30, 15...30 s.
public struct BackoffPolicy: Sendable, Equatable {
    /// Longest wait after the first failure; above zero.
    public let base: Duration
    /// Longest wait ever; at least `base`.
    public let cap: Duration
    /// Largest part cut off at random, 0...1.
    public let jitter: Double

    /// Makes a policy; values out of range are moved into it.
    public init(base: Duration, cap: Duration, jitter: Double = 0.5) {
        self.base = max(base, .nanoseconds(1))
        self.cap = max(cap, self.base)
        self.jitter = min(max(jitter, 0), 1)
    }

    /// The wait after `failures` failures before this one.
    public func delay(failures: Int, using random: inout some RandomNumberGenerator) -> Duration {
        // Doubling is done on seconds as a Double and capped before it becomes a Duration, so nothing overflows.
        let exponent = min(max(failures, 0), 128)
        let full = min(base.seconds * Double(sign: .plus, exponent: exponent, significand: 1), cap.seconds)
        return .seconds(full * (1 - jitter * Double.random(in: 0...1, using: &random)))
    }
}

extension Duration {
    /// The length in seconds, as exact as a Double is.
    var seconds: Double {
        let (whole, attoseconds) = components
        return Double(whole) + Double(attoseconds) * 1e-18
    }
}
