import CloudScenarios
import Glibc

/// Measures what gateways cost in the cloud, against limits and against the reference's way to the same state on the
/// same simulator. Exit status 1: a limit is broken; 2: a run did not come to its end.
@main
enum CloudBench {
    private static let count = 100

    static func main() async {
        do {
            exit(tell(try await measure()) ? 0 : 1)
        } catch {
            var message = "cloud-bench: \(error)\n"
            message.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
            exit(2)
        }
    }

    private static func measure() async throws -> [Figure] {
        let baseline = try await Scenarios.reference(count)
        let clean = try await BenchCluster.run { cluster in
            try await cluster.create(Scenarios.names(count))
            return try await cluster.withManager {
                let made = try await Scenarios.provision(count, in: cluster)
                let steady = try await Scenarios.steadyState(minutes: 10, in: cluster)
                let replaced = try await Scenarios.replacement(count, in: cluster)
                let stripped = try await Scenarios.strip(count, in: cluster)
                return (made: made, steady: steady, replaced: replaced, stripped: stripped)
            }
        }
        let faulted = try await BenchCluster.run { cluster in
            try await cluster.create(Scenarios.names(count))
            return try await cluster.withManager {
                try await Scenarios.provision(count, in: cluster, shortage: .seconds(120))
            }
        }
        return Figures.all(
            count, baseline, clean.made, clean.steady, clean.replaced, clean.stripped, faulted)
    }

    /// - Returns: whether all limits are held.
    private static func tell(_ figures: [Figure]) -> Bool {
        print(
            "\(count) configurations on \(BenchCloud.instances) instances; virtual time, latencies of a quiet region:")
        print("GET 80 ms, load balancer PUT 3 s, prefix PUT 4 s, scale set PUT 3 s, instance PUT 12 s")
        print()
        for line in Figures.table(figures) { print(line) }
        let limits = figures.filter { $0.limit != nil }
        let broken = limits.count { !$0.isHeld }
        print()
        print("\(limits.count - broken) limits held, \(broken) broken")
        return broken == 0
    }
}
