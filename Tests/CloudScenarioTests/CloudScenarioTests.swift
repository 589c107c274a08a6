import CloudScenarios
import Testing

/// The figures that `make bench` prints, held in every test run: they are counts and virtual times, the same on any
/// machine.
@Suite(.serialized) struct CloudScenarioTests {
    /// Fewer than in the benchmark, because debug builds compute slowly; the counts do not depend on it.
    private static let count = 30

    @Test func `many configurations cost few writes, when made and when an instance is replaced`() async throws {
        let (made, replaced) = try await BenchCluster.run { cluster in
            try await cluster.create(Scenarios.names(Self.count))
            return try await cluster.withManager {
                let made = try await Scenarios.provision(Self.count, in: cluster)
                return (made, try await Scenarios.replacement(Self.count, in: cluster))
            }
        }
        #expect(made.rules == Self.count && made.prefixes == Self.count)
        #expect(made.loadBalancerPuts <= 3)
        #expect(made.instancePuts <= 3)
        // The serial way costs 52 s for each configuration: four instances of 12 s, and a prefix of 4 s.
        #expect(made.time < .seconds(Self.count * 52) / 20)
        #expect(replaced.instancePuts == 1)
        #expect(replaced.otherPuts == 0)
    }

    @Test func `refusals of half of all calls for two minutes raise no storm`() async throws {
        func calls(_ shortage: Duration) async throws -> Scenarios.Provisioning {
            try await BenchCluster.run { cluster in
                try await cluster.create(Scenarios.names(20))
                return try await cluster.withManager {
                    try await Scenarios.provision(20, in: cluster, shortage: shortage)
                }
            }
        }
        let clean = try await calls(.zero)
        let faulted = try await calls(.seconds(120))
        #expect(clean.refused == 0 && faulted.refused > 0)
        #expect(faulted.prefixes == 20 && faulted.rules == 20)
        #expect(Double(faulted.calls) <= 1.5 * Double(clean.calls), "\(faulted.calls) calls, \(clean.calls) clean")
    }

    @Test func `the reference's way costs a write of everything for each configuration`() async throws {
        let baseline = try await Scenarios.reference(5)
        #expect(baseline.loadBalancerPuts == 5)
        #expect(baseline.instancePuts == 5)
        #expect(baseline.time >= .seconds(5 * 52))
        #expect(baseline.rules == 5 && baseline.prefixes == 5)
    }
}
