import JSONModel
import Kubernetes
import Reconcile

/// Does what a script says in a world of its own, and stops at the first line that does not hold.
///
/// The rules that hold in every world (docs/reconcile.md) hold here, too, after each line.
///
/// `@unchecked Sendable`: touched by the main thread alone (``JobQueue``).
final class ScriptRun: @unchecked Sendable {
    let world: World
    private let script: Script
    private let plan: RunPlan
    private var profile: FaultProfile
    private var sources: [FaultSource] = []
    private(set) var processes: [String: SimulatedProcess] = [:]
    /// Managers that are started anew if they end by themselves, as a cluster does.
    private var wanted: Set<String> = []
    private var starts = 0
    private var isOver = false
    private(set) var remembered: [ObjectKey: String] = [:]

    /// What has not come true by then never will: the longest backoff of a key is 1000 s.
    private static let patience = Duration.seconds(3600)

    private init(_ script: Script, seed: UInt64, trace: Trace) {
        self.script = script
        var profile = FaultProfile.none
        profile.twoManagers = script.managers.count > 1
        self.profile = profile
        plan = RunPlan(seed: seed, profile: profile, plant: .none)
        world = World(trace: trace)
    }

    /// - Parameter seed: which of the interleavings of all tasks.
    /// - Throws: ``ScriptError`` for the first line that does not hold.
    static func run(_ script: Script, seed: UInt64, trace: Trace = Trace()) throws {
        JobQueue.begin(seed: seed)
        let run = ScriptRun(script, seed: seed, trace: trace)
        defer { run.end() }
        run.collectGarbage()
        for line in script.lines {
            run.world.note("script \(line.number): \(line.text)")
            var problem = run.perform(line.action)
            JobQueue.drain()
            if let violation = run.world.violations.first { problem = "a rule is broken: \(violation)" }
            guard let problem else { continue }
            let state = EndState.lines(of: run.world).map { "\n  \($0)" }.joined()
            throw ScriptError(
                file: script.file, line: line.number,
                message: "\(line.text): \(problem), seed \(seed), after \(run.world.clock.elapsed)\(state)")
        }
    }

    /// Nothing of this world may reach into the next one.
    private func end() {
        isOver = true
        for process in processes.values { process.kill("the script is over") }
        world.clock.close()
        JobQueue.drain()
    }

    private func collectGarbage() {
        guard !isOver else { return }
        world.server.collectGarbage()
        world.clock.schedule(after: .seconds(7)) { [self] in collectGarbage() }
    }

    /// - Returns: what is wrong; nil if nothing is.
    private func perform(_ action: ScriptAction) -> String? {
        switch action {
        case .pool(let name, let machines):
            world.cloud.addPool(name)
            for _ in 0..<machines { world.addMachine(to: name) }
        case .prefix(let name, let prefix): world.cloud.bringPrefix(name, prefix)
        case .start, .stop, .kill, .killAfter, .freeze, .cutOff: return performOnManager(action)
        case .create, .change, .delete, .remember: return performOnGateway(action)
        case .addMachine, .removeMachine, .replaceMachine: return performOnMachine(action)
        case .cloud(let fault):
            profile.cloudAnswer = fault
            for source in sources { source.profile = profile }
        case .server(let works):
            profile.unavailable = works ? 0 : 1
            for source in sources { source.profile = profile }
        case .wait(let seconds): pass(.seconds(seconds)) { false }
        case .waitUntil(let condition):
            pass(Self.patience) { condition.holds(in: self) }
            if !condition.holds(in: self) { return "it did not come true" }
        case .expect(let condition):
            JobQueue.drain()
            if !condition.holds(in: self) { return "it does not hold" }
        }
        return nil
    }

    private func performOnManager(_ action: ScriptAction) -> String? {
        switch action {
        case .start(let name):
            guard processes[name]?.isDead ?? true else { return "it runs already" }
            wanted.insert(name)
            start(name)
        case .stop(let name): return onRunning(name, isLast: true) { $0.stop() }
        case .kill(let name): return onRunning(name, isLast: true) { $0.kill("the script says so") }
        case .killAfter(let name, let writes): return onRunning(name, isLast: true) { $0.die(afterWrites: writes) }
        case .freeze(let name, let seconds): return onRunning(name) { $0.pause(for: .seconds(seconds)) }
        case .cutOff(let name, let seconds): return onRunning(name) { $0.cutOff(for: .seconds(seconds)) }
        default: break
        }
        return nil
    }

    /// - Parameter isLast: it is not started anew afterwards.
    private func onRunning(_ name: String, isLast: Bool = false, _ act: (SimulatedProcess) -> Void) -> String? {
        guard let process = processes[name], !process.isDead else { return "no such manager runs" }
        if isLast { wanted.remove(name) }
        act(process)
        return nil
    }

    private func start(_ name: String) {
        // It may have been started by the script while its new start was due.
        guard !isOver, wanted.contains(name), processes[name]?.isDead ?? true else { return }
        starts += 1
        let faults = FaultSource(profile: profile, random: plan.random("faults \(name) \(starts)"))
        sources.append(faults)
        let process = SimulatedProcess(
            world: world, name: name, life: starts, plan: plan, faults: faults
        ) { [weak self] _ in
            self?.world.clock.schedule(after: .seconds(5)) { [weak self] in self?.start(name) }
        }
        processes[name] = process
        do { try process.start() } catch { world.violate("the role does not start: \(error)") }
    }

    private func performOnGateway(_ action: ScriptAction) -> String? {
        switch action {
        case .create(let key, let pool, let prefix):
            guard world.gateway(key) == nil else { return "there is one of that name" }
            world.createGateway(key, pool: pool, publicIPs: true, prefix: prefix)
        case .change(let key):
            guard let object = world.gateway(key) else { return "there is none of that name" }
            world.changeGateway(object)
        case .delete(let key):
            guard let object = world.gateway(key) else { return "there is none of that name" }
            world.server.delete(World.gateways, object)
        case .remember(let key):
            guard let prefix = world.prefix(of: key) else { return "it has no prefix" }
            remembered[key] = prefix
        default: break
        }
        return nil
    }

    private func performOnMachine(_ action: ScriptAction) -> String? {
        switch action {
        case .addMachine(let pool):
            guard world.cloud.pools[pool] != nil else { return "there is no such pool" }
            world.addMachine(to: pool)
        case .removeMachine(let name), .replaceMachine(let name):
            let pools = world.cloud.pools.filter { $0.value.machines[name] != nil }
            guard let pool = pools.first?.key else { return "there is no such machine" }
            world.removeMachine(name, from: pool)
            if action == .replaceMachine(name) { world.addMachine(to: pool) }
        default: break
        }
        return nil
    }

    /// Lets time pass until it is over, the condition holds or a rule is broken.
    private func pass(_ time: Duration, until isDone: () -> Bool) {
        let end = world.clock.elapsed + time
        world.clock.schedule(at: end) {}
        JobQueue.drain()
        while world.clock.elapsed < end, world.violations.isEmpty, !isDone(), world.clock.advance() { JobQueue.drain() }
    }
}

extension ScriptCondition {
    /// Looks at the world, and at nothing that a manager thinks of it.
    func holds(in run: ScriptRun) -> Bool {
        let world = run.world
        switch self {
        case .ready(let key): return world.readiness(of: key)?["status"]?.text == "True"
        case .notReady(let key): return world.gateway(key) != nil && world.readiness(of: key)?["status"]?.text != "True"
        case .fails(let key, let reason):
            let ready = world.readiness(of: key)
            return ready?["status"]?.text == "False" && ready?["reason"]?.text == reason
        case .there(let key): return world.gateway(key) != nil
        case .gone(let key): return world.gateway(key) == nil
        case .hasPrefix(let key, let prefix): return world.prefix(of: key) == prefix
        case .hasRememberedPrefix(let key):
            return run.remembered[key] != nil && world.prefix(of: key) == run.remembered[key]
        case .addresses(let machine, let count):
            let machines = world.cloud.pools.values.compactMap { $0.machines[machine] }
            return machines.first?.addresses.count == count
        case .addressesOfAll(let pool, let count):
            guard let machines = world.cloud.pools[pool]?.machines else { return false }
            return machines.values.allSatisfy { $0.addresses.count == count }
        case .cloudIsEmpty: return world.cloud.holders.isEmpty && world.cloud.writesUnderWay == 0
        case .cloudIsNotEmpty: return !world.cloud.holders.isEmpty
        case .noSecrets: return world.server.objects("secrets").isEmpty
        case .leads(let name): return run.processes[name].map { $0.identity == world.server.leaseHolder } ?? false
        case .doesNotLead(let name): return !ScriptCondition.leads(name).holds(in: run)
        case .nobodyLeads: return world.server.leaseHolder?.isEmpty ?? true
        case .event(let type, let reason, let key):
            return world.server.reportedEvents.contains(
                SimulatedServer.ReportedEvent(type: type, reason: reason, regarding: key))
        case .settled: return world.cloud.writesUnderWay == 0 && world.openEnds().isEmpty
        }
    }
}
