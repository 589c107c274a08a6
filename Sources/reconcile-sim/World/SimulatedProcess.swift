import FoundationEssentials
import Host
import Kubernetes
import LinuxNet
import Logging
import ProviderKit
import Reconcile

/// One process of the manager: the production role on seams that can fail, stop and die.
///
/// When it dies nothing of it reaches the world any more: its seams throw, and its tasks end by that. What it had sent
/// may still arrive.
///
/// `@unchecked Sendable`: touched by the main thread alone (``JobQueue``).
final class SimulatedProcess: @unchecked Sendable {
    let world: World
    let name: String
    let plan: RunPlan
    let faults: FaultSource
    /// Which life of a process of this name it is; a process that starts anew is another holder of the Lease.
    private let life: Int
    private(set) var isDead = false
    private var pausedUntil = Duration.zero
    /// Times in which the process is stopped; they do not overlap.
    private var pauses: [(from: Duration, until: Duration)] = []
    private var cutOffUntil = Duration.zero
    private var writesLeft: Int?
    private var watches: [SimulatedWatch] = []
    private var task: Task<Void, any Error>?
    /// The manager's word on requests to the cloud that change something.
    private(set) var refusal: @Sendable () -> ProviderError? = { nil }
    /// Called once, when the process has ended for any reason.
    private let onEnd: (SimulatedProcess) -> Void

    init(
        world: World, name: String, life: Int, plan: RunPlan, faults: FaultSource,
        onEnd: @escaping (SimulatedProcess) -> Void
    ) {
        self.world = world
        self.name = name
        self.life = life
        self.plan = plan
        self.faults = faults
        self.onEnd = onEnd
        writesLeft = faults.writesToLive()
    }

    /// Holder of the Lease while this process leads.
    var identity: String { "\(name)_\(life)" }

    /// Whether the API server is out of reach.
    var isCutOff: Bool { world.clock.elapsed < cutOffUntil }

    func start() throws {
        world.note("\(name): starts")
        let random = plan.random("process \(name) \(life)")
        let environment = ReconcileEnvironment(
            clock: ProcessClock(process: self), now: { [world] in world.date },
            random: RandomSource.seeded(random.next()))
        let logger = Logger(label: name) { _ in SwiftLogNoOpLogHandler() }
        let client = KubernetesClient(transport: ProcessTransport(process: self), logger: logger)
        let keys = RandomSource.seeded(random.next())
        var settings = ManagerSettings()
        settings.leaderElection = plan.profile.twoManagers
        // What a dying manager leaves in the cloud is found by this alone.
        settings.drift.pruneSeconds = plan.plant == .neverPrune ? 0 : 30
        let role = try ManagerRole(
            settings: settings, client: client,
            loadBalancer: AbandonableCapability(provider: ProcessLoadBalancer(process: self, plant: plan.plant)),
            nodePool: AbandonableCapability(provider: ProcessNodePool(process: self)),
            events: EventRecorder(
                client: client, component: "manager", logger: logger, now: environment.now, random: environment.random),
            logger: logger, fenceWrites: { refusal = $0 }, environment: environment, identity: identity,
            generateKey: { try WireGuardPrivateKey.simulated(keys) },
            interpose: { [plan] controller, reconcile in plan.plant.interpose(self, controller, reconcile) })
        task = Task { [weak self] in
            do { try await role.run() } catch { self?.world.note("\(self?.name ?? ""): ends: \(error)") }
            self?.end()
        }
    }

    /// Dies at once.
    func kill(_ why: String) {
        guard !isDead else { return }
        world.note("\(name): dies (\(why))")
        end()
    }

    /// Ends in order.
    func stop() {
        guard !isDead else { return }
        world.note("\(name): is told to stop")
        task?.cancel()
    }

    private func end() {
        guard !isDead else { return }
        isDead = true
        task?.cancel()
        for watch in watches { watch.abandon() }
        watches = []
        onEnd(self)
    }

    func pause(for duration: Duration) {
        guard !isDead else { return }
        world.note("\(name): is stopped for \(duration)")
        let until = world.clock.elapsed + duration
        guard until > pausedUntil else { return }
        pauses.append((from: max(world.clock.elapsed, pausedUntil), until: until))
        pausedUntil = until
    }

    /// How far the process's clock is behind the world's.
    var clockDelay: Duration {
        guard plan.plant == .frozenClock else { return .zero }
        let now = world.clock.elapsed
        return pauses.reduce(.zero) { $0 + max(min(now, $1.until) - $1.from, .zero) }
    }

    func cutOff(for duration: Duration) {
        guard !isDead else { return }
        world.note("\(name): is cut off from the API server for \(duration)")
        cutOffUntil = max(cutOffUntil, world.clock.elapsed + duration)
    }

    func heal() {
        cutOffUntil = .zero
        writesLeft = nil
    }

    /// Dies before the write that follows so many.
    func die(afterWrites count: Int) { writesLeft = 2 * count + 1 }

    func keep(_ watch: SimulatedWatch) {
        watches.removeAll(where: \.isOver)
        watches.append(watch)
    }

    // MARK: What everything of the process passes

    /// Waits while the process is stopped; throws once it is dead.
    func gate() async throws {
        while !isDead, world.clock.elapsed < pausedUntil { await world.clock.pass(pausedUntil - world.clock.elapsed) }
        guard !isDead else { throw KubernetesError(.unavailable, "the process is dead") }
    }

    /// One way over the network.
    func travel() async throws {
        try await gate()
        try await world.clock.sleep(for: faults.latency())
        try await gate()
    }

    /// Called when a write is sent: nobody writes while the Lease says that it is not theirs.
    func checkLease(_ label: @autoclosure () -> String) {
        guard let holder = world.server.leaseHolder, holder != identity else { return }
        world.violate("\(identity) sends \(label()) while the Lease is held by \"\(holder)\"")
    }

    /// Around each write: the process may die before it or after it.
    func passWrite(_ label: String) throws {
        guard !isDead else { throw KubernetesError(.unavailable, "the process is dead") }
        guard let left = writesLeft else { return }
        writesLeft = left - 1
        guard left <= 1 else { return }
        kill("at \(label)")
        throw KubernetesError(.unavailable, "the process is dead")
    }
}

extension World {
    /// The wall clock.
    var date: Date {
        let (seconds, attoseconds) = clock.elapsed.components
        return Date(timeIntervalSince1970: 1_700_000_000 + Double(seconds) + Double(attoseconds) * 1e-18)
    }
}

/// The world's clock, as a process that may be stopped sees it.
struct ProcessClock: Clock {
    let process: SimulatedProcess

    var now: VirtualClock.Instant {
        process.world.clock.now.advanced(by: .zero - process.clockDelay)
    }
    var minimumResolution: Duration { .nanoseconds(1) }

    func sleep(until deadline: VirtualClock.Instant, tolerance: Duration?) async throws {
        guard !process.isDead else { throw CancellationError() }
        try await process.world.clock.sleep(
            until: deadline.advanced(by: process.clockDelay), tolerance: tolerance)
        do { try await process.gate() } catch { throw CancellationError() }
    }
}

extension WireGuardPrivateKey {
    /// A key that follows from the seed.
    static func simulated(_ source: RandomSource) throws -> WireGuardPrivateKey {
        var random = source
        let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
        return try WireGuardPrivateKey(parsing: Data(bytes).base64EncodedString())
    }
}
