import FoundationEssentials
import Glibc

/// The manager's daemon with 1,000 configurations and 20,000 PodEndpoints when there is nothing to do.
///
/// It is `egress-host` with both Azure plugins, in a process of its own (docs/benchmarks.md). One manager provides all
/// configurations; the one that is measured is started after it, and finds all as it shall be.
enum IdleManager {
    /// Long enough for four comparisons of the load balancer, eight of the nodes, and 60 renewals of the Lease.
    private static let seconds = 120

    static func measure() throws -> [Limit] {
        let products = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            .split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
        let folder = "\(FileManager.default.temporaryDirectory.path)/keg-idle-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let world = try ChildProcess([
            "\(products)/kubernetes-bench", "world", "\(folder)/store", "\(sources)/deploy/crds", "\(seconds)",
        ])
        defer { world.end() }
        let greeting = try JSONDecoder().decode(WorldGreeting.self, from: Data(world.line(within: 300).utf8))
        let provider = try start(products, folder, greeting, electsLeader: false)
        defer { provider.end() }
        let provided = try report(world, within: 600)
        let busy = try ProcessUsage(of: provider.pid)
        provider.end()
        let manager = try start(products, folder, greeting, electsLeader: true)
        defer { manager.end() }
        _ = try report(world, within: 180)
        let before = try ProcessUsage(of: manager.pid)
        let idle = try report(world, within: seconds + 60)
        let after = try ProcessUsage(of: manager.pid)
        try check(provided, idle)
        return limits(busy, before, after, idle)
    }

    /// The checkout that this program was built from.
    private static var sources: String {
        #filePath.split(separator: "/").dropLast(5).reduce("") { "\($0)/\($1)" }
    }

    private static func report(_ world: ChildProcess, within seconds: Int) throws -> WorldReport {
        try JSONDecoder().decode(WorldReport.self, from: Data(world.line(within: seconds).utf8))
    }

    private static func start(
        _ products: String, _ folder: String, _ greeting: WorldGreeting, electsLeader: Bool
    ) throws -> ChildProcess {
        let files = [
            "kubeconfig": greeting.kubeconfig,
            "azure.json": IdlePlan.cloudConfiguration(endpoint: greeting.cloud),
            "host.yaml": IdlePlan.hostConfiguration(plugins: products, folder: folder, electsLeader: electsLeader),
        ]
        for (name, text) in files {
            try Data(text.utf8).write(to: URL(filePath: "\(folder)/\(name)"))
        }
        return try ChildProcess(["\(products)/egress-host", "run", "--config", "\(folder)/host.yaml"])
    }

    /// - Throws: ``BenchError`` if the manager was not idle, or did not do what an idle one does.
    private static func check(_ provided: WorldReport, _ idle: WorldReport) throws {
        let plan = IdlePlan()
        for report in [provided, idle] where report.ready != plan.configurations || report.endpoints != plan.endpoints {
            throw BenchError(
                description: "\(report.ready) configurations are ready and \(report.endpoints) PodEndpoints counted; "
                    + "expected \(plan.configurations) and \(plan.endpoints)")
        }
        guard idle.writes == 0, idle.cloudWrites == 0, idle.reads > 0 else {
            throw BenchError(
                description: "the manager was not idle: \(idle.writes) writes of objects, \(idle.cloudWrites) writes "
                    + "and \(idle.reads) reads of the cloud in \(seconds) s")
        }
    }

    private static func limits(
        _ busy: ProcessUsage, _ before: ProcessUsage, _ after: ProcessUsage, _ idle: WorldReport
    ) -> [Limit] {
        let plan = IdlePlan()
        let title = "idle manager, \(plan.configurations) configurations, \(plan.endpoints) PodEndpoints"
        let percent = after.percent(since: before)
        tell(
            "\(title): \(decimal(percent)) % of a processor over \(seconds) s, in which the cloud answered "
                + "\(idle.reads) reads with \(decimal(Double(idle.bytes) / 1_048_576)) MiB")
        tell(
            "\(title): resident memory \(decimal(after.residentMiB)) MiB, \(decimal(after.anonymousMiB)) MiB of it no "
                + "file's; the most since its start \(decimal(after.peakMiB)) MiB")
        tell(
            "\(title): the manager that provided them had \(decimal(busy.residentMiB)) MiB in the end, "
                + "\(decimal(busy.peakMiB)) MiB at most, and took \(decimal(busy.processorTime)) s of a processor")
        return [
            Limit(claim: "\(title): percent of a processor", measured: percent, bound: 1),
            Limit(claim: "\(title): resident memory in MiB", measured: after.residentMiB, bound: 100),
        ]
    }
}
