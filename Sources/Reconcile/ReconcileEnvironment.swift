import CoreMetrics
import FoundationEssentials
import Synchronization

/// What a reconcile loop takes from the machine it runs on. A simulation brings all of it.
public struct ReconcileEnvironment: Sendable {
    /// For delays, deadlines and measured times.
    public var clock: any Clock<Duration>
    /// The wall clock; only for times that are written for people to read.
    public var now: @Sendable () -> Date
    /// For jitter and for suffixes of names.
    public var random: RandomSource
    /// Where figures go.
    public var metrics: any MetricsFactory

    /// The defaults are the machine's own.
    public init(
        clock: any Clock<Duration> = ContinuousClock(), now: @escaping @Sendable () -> Date = { Date() },
        random: RandomSource = .system, metrics: any MetricsFactory = MetricsSystem.factory
    ) {
        self.clock = clock
        self.now = now
        self.random = random
        self.metrics = metrics
    }
}

extension ReconcileEnvironment {
    /// Tells the time since this call by the clock.
    public func stopwatch() -> @Sendable () -> Duration {
        // The machine's clock is read several times for each run, and through an existential that costs more than the
        // reading.
        if let clock = clock as? ContinuousClock {
            let begin = clock.now
            return { begin.duration(to: ContinuousClock.now) }
        }
        return Self.stopwatch(clock)
    }

    private static func stopwatch(_ clock: some Clock<Duration>) -> @Sendable () -> Duration {
        let begin = clock.now
        return { begin.duration(to: clock.now) }
    }
}

/// Random numbers that many tasks draw from.
public struct RandomSource: RandomNumberGenerator, Sendable {
    private let draw: @Sendable () -> UInt64

    /// Wraps a source; it must stand calls from any thread.
    public init(_ draw: @escaping @Sendable () -> UInt64) {
        self.draw = draw
    }

    /// The machine's source.
    public static let system = RandomSource {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }

    /// Numbers that follow from the seed alone (SplitMix64; Steele, Lea and Flood, "Fast splittable pseudorandom
    /// number generators", 2014). For simulations and tests, never for keys.
    public static func seeded(_ seed: UInt64) -> RandomSource {
        let state = SeededState(seed)
        return RandomSource { state.next() }
    }

    public func next() -> UInt64 { draw() }
}

private final class SeededState: Sendable {
    private let state: Mutex<UInt64>

    init(_ seed: UInt64) { state = Mutex(seed) }

    func next() -> UInt64 {
        state.withLock { state in
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
