import Reconcile

/// All that decides a run.
struct RunPlan: Sendable {
    let seed: UInt64
    let profile: FaultProfile
    let plant: Plant

    /// How long faults happen; users act during the first half of it.
    static let faultTime = Duration.seconds(90)
    /// By then everything must have settled; the longest backoff of a key is 1000 s.
    static let limit = Duration.seconds(2 * 3600)

    /// Random numbers for one purpose; what one purpose draws does not move another's.
    func random(_ purpose: String) -> RandomSource { Self.random(seed, purpose) }

    static func random(_ seed: UInt64, _ purpose: String) -> RandomSource {
        // FNV-1a over the purpose; hashes of the standard library differ between processes.
        var mixed: UInt64 = 0xCBF2_9CE4_8422_2325 ^ seed
        for byte in purpose.utf8 { mixed = (mixed ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return RandomSource.seeded(mixed)
    }

    /// The plan of a seed with its own mixture of faults.
    static func faulty(seed: UInt64, plant: Plant) -> RunPlan {
        var random = Self.random(seed, "profile")
        return RunPlan(seed: seed, profile: FaultProfile.draw(using: &random), plant: plant)
    }

    /// The same users, and a world in which nothing goes wrong.
    static func clean(seed: UInt64) -> RunPlan {
        RunPlan(seed: seed, profile: .none, plant: .none)
    }
}
