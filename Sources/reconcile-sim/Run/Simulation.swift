import Kubernetes
import Reconcile

/// One run of one plan: a world, its users, the processes of the manager, and the faults.
///
/// `@unchecked Sendable`: touched by the main thread alone (``JobQueue``).
final class Simulation: @unchecked Sendable {
    /// What came of a run.
    struct Report {
        var endState: [String]
        var violations: [String]
        var endedAt: Duration
        var hash: UInt64
        var traceLines: Int
    }

    private let plan: RunPlan
    private let world: World
    private let users: Users
    private var processes: [String: SimulatedProcess] = [:]
    private var sources: [FaultSource] = []
    private var starts = 0
    private var isOver = false
    private var settledAt: Duration?

    private init(plan: RunPlan, trace: Trace) {
        self.plan = plan
        world = World(trace: trace)
        users = Users(world: world)
    }

    /// Runs a plan to its end.
    static func run(_ plan: RunPlan, trace: Trace = Trace()) -> Report {
        JobQueue.begin(seed: plan.seed)
        let simulation = Simulation(plan: plan, trace: trace)
        return simulation.run()
    }

    private func run() -> Report {
        users.begin(Workload(seed: plan.seed))
        for name in plan.profile.twoManagers ? ["manager-a", "manager-b"] : ["manager-a"] { start(name) }
        planFaults()
        world.clock.schedule(at: RunPlan.faultTime) { [self] in heal() }
        collectGarbage()
        JobQueue.drain()
        while !isOver, world.clock.advance() { JobQueue.drain() }
        let report = Report(
            endState: EndState.lines(of: world), violations: world.violations + (isOver ? [] : ["nothing is due"]),
            endedAt: world.clock.elapsed, hash: world.trace.hash, traceLines: world.trace.lines)
        // Nothing of this world may reach into the next one.
        isOver = true
        for process in processes.values { process.kill("the run is over") }
        world.clock.close()
        JobQueue.drain()
        return report
    }

    // MARK: Processes

    private func start(_ name: String) {
        guard !isOver else { return }
        starts += 1
        let faults = FaultSource(profile: plan.profile, random: plan.random("faults \(name) \(starts)"))
        faults.isActive = world.clock.elapsed < RunPlan.faultTime
        sources.append(faults)
        let process = SimulatedProcess(
            world: world, name: name, life: starts, plan: plan, faults: faults
        ) { [weak self] ended in
            guard let self, !isOver else { return }
            world.clock.schedule(after: .seconds(ended.faults.number(1...8))) { [weak self] in self?.start(name) }
        }
        processes[name] = process
        do { try process.start() } catch { world.violate("the role does not start: \(error)") }
    }

    // MARK: Faults

    private func planFaults() {
        var random = plan.random("happenings")
        func moment() -> Duration { .milliseconds(Int.random(in: 0...80_000, using: &random)) }
        func length() -> Duration { .milliseconds(Int.random(in: 500...40_000, using: &random)) }
        let names = plan.profile.twoManagers ? ["manager-a", "manager-b"] : ["manager-a"]
        func anybody() -> String { names[Int.random(in: 0..<names.count, using: &random)] }
        for _ in 0..<plan.profile.pauses {
            let (name, length) = (anybody(), length())
            world.clock.schedule(at: moment()) { [self] in processes[name]?.pause(for: length) }
        }
        for _ in 0..<plan.profile.stops {
            let name = anybody()
            world.clock.schedule(at: moment()) { [self] in processes[name]?.stop() }
        }
        for _ in 0..<plan.profile.partitions {
            let (name, length) = (anybody(), length())
            world.clock.schedule(at: moment()) { [self] in processes[name]?.cutOff(for: length) }
        }
        for _ in 0..<plan.profile.compactions {
            world.clock.schedule(at: moment()) { [self] in
                world.note("server: forgets its history")
                world.server.compact()
            }
        }
    }

    /// The time of faults is over: what was broken works again, what was dead is started.
    private func heal() {
        world.note("faults end")
        for source in sources { source.isActive = false }
        for process in processes.values { process.heal() }
        lookForTheEnd()
    }

    private func collectGarbage() {
        guard !isOver else { return }
        world.server.collectGarbage()
        world.clock.schedule(after: .seconds(7)) { [self] in collectGarbage() }
    }

    // MARK: The end

    /// The run is over when nothing was left open for a while, or when the time for it is over.
    private func lookForTheEnd() {
        guard !isOver else { return }
        let ends = users.isIdle && world.cloud.writesUnderWay == 0 ? world.openEnds() : ["users or the cloud are busy"]
        if ends.isEmpty {
            let since = settledAt ?? world.clock.elapsed
            settledAt = since
            isOver = world.clock.elapsed - since >= .seconds(40)
        } else {
            settledAt = nil
            if world.clock.elapsed > RunPlan.limit {
                for end in ends { world.violate("at the end: \(end)") }
                isOver = true
            }
        }
        if !isOver { world.clock.schedule(after: .seconds(10)) { [self] in lookForTheEnd() } }
    }
}
