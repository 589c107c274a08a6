import Glibc

/// Runs all measures, tells each as soon as it is there, and holds the limits (docs/benchmarks.md).
struct Driver {
    let comparison: Comparison

    init(peers: String) { comparison = Comparison(peers: peers) }

    /// - Returns: whether all limits are held.
    func run() throws -> Bool {
        print("\(comparison.objects) PodEndpoints; medians; each side on one processor, the server on another one")
        if sysconf(CInt(_SC_NPROCESSORS_ONLN)) < 2 { print("this machine has one processor: they share it") }
        let limits = try cold(streams: true) + cold(streams: false) + noOps() + burst() + IdleManager.measure()
        return Self.report(limits)
    }

    /// - Returns: whether all limits are held.
    static func report(_ limits: [Limit]) -> Bool {
        print()
        for limit in limits { print(limit.line) }
        let broken = limits.count { !$0.isHeld }
        print("\(limits.count - broken) limits held, \(broken) broken")
        return broken == 0
    }

    private func cold(streams: Bool) throws -> [Limit] {
        let sides = try comparison.run(Measure(job: .cold, streams: streams, rounds: 5))
        let title = "cold list-watch, \(streams ? "streamed" : "in pages")"
        tell(row("\(title): time", "s", sides, \.synced))
        tell(row("\(title): largest resident memory", "MiB", sides, \.peakMiB))
        tell(row("\(title): resident memory after 2 s", "MiB", sides, \.settledMiB))
        return [
            Limit(claim: "\(title): time, in client-go's", measured: ratio(sides, \.synced), bound: 1),
            Limit(
                claim: "\(title): largest resident memory, in client-go's", measured: ratio(sides, \.peakMiB),
                bound: 0.5),
            Limit(
                claim: "\(title): resident memory after 2 s, in client-go's", measured: ratio(sides, \.settledMiB),
                bound: 0.5),
        ]
    }

    private func noOps() throws -> [Limit] {
        let sides = try comparison.run(Measure(job: .noOp, streams: true, rounds: 3))
        tell(row("reconciles that find all well", "/s", sides, \.reconcilesPerSecond))
        return [
            Limit(
                claim: "reconciles per second, in client-go's", measured: ratio(sides, \.reconcilesPerSecond),
                bound: 2, isLeast: true)
        ]
    }

    private func burst() throws -> [Limit] {
        let sides = try comparison.run(Measure(job: .burst, streams: true, rounds: 3))
        let title = "10,000 updates of 1,000 keys"
        tell(row("\(title): runs per key", "", sides, \.runsPerKey))
        tell(row("\(title): median latency", "s", sides, \.latencyP50))
        tell(row("\(title): 99th percentile of latency", "s", sides, \.latencyP99))
        return [
            Limit(claim: "\(title): runs per key", measured: sides[.ours]?.runsPerKey ?? .nan, bound: 1.2),
            Limit(
                claim: "\(title): 99th percentile of latency, in client-go's", measured: ratio(sides, \.latencyP99),
                bound: 1),
        ]
    }

}

/// At once, because the whole takes minutes.
func tell(_ line: String) {
    print(line)
    fflush(nil)
}
