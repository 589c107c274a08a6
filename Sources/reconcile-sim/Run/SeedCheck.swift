/// Judges one seed: its run with faults must keep all rules, and come to the same end as its run without.
struct SeedCheck {
    let seed: UInt64
    let failures: [String]
    let report: Simulation.Report

    init(seed: UInt64, plant: Plant, trace: Trace = Trace()) {
        self.seed = seed
        let clean = Simulation.run(.clean(seed: seed))
        let faulty = Simulation.run(.faulty(seed: seed, plant: plant), trace: trace)
        var failures = clean.violations.map { "without faults: \($0)" } + faulty.violations
        let (expected, found) = (Set(clean.endState), Set(faulty.endState))
        failures += found.subtracting(expected).sorted().map { "the end differs from the clean run's, found: \($0)" }
        failures += expected.subtracting(found).sorted().map { "the end differs from the clean run's, missing: \($0)" }
        self.failures = failures
        report = faulty
    }
}
