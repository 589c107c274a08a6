import Foundation
import Kubernetes
import Logging
import Reconcile
import ScriptedServer
import Synchronization
import Testing

/// A Lease kept in memory, with the versions and refusals of an API server.
private final class MemoryLease: LeaseAccess {
    private struct State {
        var lease: Lease?
        var version = 0
        var isDown = false
        var isWatchDown = false
        var reads = 0
        var followers: [@Sendable (LeaseSpec?) -> Void] = []
    }

    private let state = Mutex(State())

    var spec: LeaseSpec? { state.withLock { $0.lease?.spec } }
    var version: Int { state.withLock { $0.version } }
    var reads: Int { state.withLock { $0.reads } }
    var isFollowed: Bool { state.withLock { !$0.followers.isEmpty } }
    func setDown(_ isDown: Bool) { state.withLock { $0.isDown = isDown } }
    /// Nothing is told any more, and nobody is told of that.
    func setWatchDown() { state.withLock { $0.isWatchDown = true } }
    /// Another process writes, without asking.
    func force(_ spec: LeaseSpec) { tell(state.withLock { store(spec, &$0) }) }

    /// Another process's renewal number `count`.
    func renew(_ holder: String, _ count: Int) {
        let time = MicroTimestamp(Date(timeIntervalSince1970: Double(count)))
        force(LeaseSpec(holderIdentity: holder, leaseDurationSeconds: 15, renewTime: time))
    }

    func follow(_ tell: @escaping @Sendable (LeaseSpec?) -> Void) async {
        let lease = state.withLock { state in
            state.followers.append(tell)
            return state.isWatchDown ? nil : state.lease
        }
        if let lease { tell(lease.spec) }
        let (stream, continuation) = AsyncStream<Never>.makeStream()
        for await _ in stream {}
        continuation.finish()
    }

    private func tell(_ spec: LeaseSpec) {
        let followers = state.withLock { $0.isWatchDown ? [] : $0.followers }
        for follower in followers { follower(spec) }
    }

    func read() async throws -> Lease? {
        try state.withLock { state in
            state.reads += 1
            if state.isDown { throw KubernetesError(.unavailable, "down") }
            return state.lease
        }
    }

    func create(_ spec: LeaseSpec) async throws {
        tell(
            try state.withLock { state in
                if state.isDown { throw KubernetesError(.unavailable, "down") }
                if state.lease != nil { throw KubernetesError(.alreadyExists, "there") }
                return store(spec, &state)
            })
    }

    func write(_ spec: LeaseSpec, resourceVersion: String) async throws {
        tell(
            try state.withLock { state in
                if state.isDown { throw KubernetesError(.unavailable, "down") }
                if resourceVersion != "\(state.version)" { throw KubernetesError(.conflict, "changed") }
                return store(spec, &state)
            })
    }

    private func store(_ spec: LeaseSpec, _ state: inout State) -> LeaseSpec {
        state.version += 1
        state.lease = Lease(metadata: ObjectMeta(name: "l", resourceVersion: "\(state.version)"), spec: spec)
        return spec
    }
}

@Suite struct LeaderElectionTests {
    private let wall = MicroTimestamp(Date(timeIntervalSince1970: 1_800_000_000))

    private func settings(_ identity: String) throws -> LeaderElectionSettings {
        try LeaderElectionSettings(namespace: "n", name: "l", identity: identity)
    }

    private func elector(_ identity: String, _ lease: MemoryLease, _ clock: ManualClock) throws -> LeaderElector {
        LeaderElector(
            settings: try settings(identity), access: lease,
            logger: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() },
            environment: ReconcileEnvironment(clock: clock))
    }

    @Test(arguments: [(15, 10, 9), (10, 10, 2), (15, 2, 2), (15, 10, 0)])
    func settingsThatCannotWorkAreRefused(lease: Int, renew: Int, retry: Int) {
        #expect(throws: ReconcileError.self) {
            try LeaderElectionSettings(
                namespace: "n", name: "l", identity: "i", leaseDuration: .seconds(lease),
                renewDeadline: .seconds(renew), retryPeriod: .seconds(retry))
        }
    }

    @Test func aHeldLeaseIsTakenOnlyAfterItStoodStillForItsDurationOnOurClock() throws {
        var machine = LeaderElectionMachine(settings: try settings("b"))
        // The holder's clock is years behind; it does not matter.
        var held = LeaseSpec(
            holderIdentity: "a", leaseDurationSeconds: 15, acquireTime: MicroTimestamp(Date(timeIntervalSince1970: 0)),
            renewTime: MicroTimestamp(Date(timeIntervalSince1970: 0)), leaseTransitions: 3)
        #expect(machine.decide(held, local: .seconds(100), wall: wall) == .wait)
        held.renewTime = MicroTimestamp(Date(timeIntervalSince1970: 1))
        #expect(machine.decide(held, local: .seconds(114), wall: wall) == .wait)
        #expect(machine.decide(held, local: .seconds(128), wall: wall) == .wait)
        guard case .write(let spec) = machine.decide(held, local: .seconds(129), wall: wall) else {
            Issue.record("not taken")
            return
        }
        #expect(spec.holderIdentity == "b")
        #expect(spec.leaseTransitions == 4)
        #expect(!machine.isLeading(local: .seconds(129)))
        machine.wrote(spec, sentAt: .seconds(129))
        #expect(machine.isLeading(local: .seconds(138.9)))
        #expect(!machine.isLeading(local: .seconds(139)))
    }

    @Test func theSecondTakesOverAtOnceAfterACleanStop() async throws {
        let (clock, lease) = (ManualClock(), MemoryLease())
        let (first, second) = (try elector("a", lease, clock), try elector("b", lease, clock))
        let leader = Task { try await first.run { try await clock.sleep(for: .seconds(10_000)) } }
        #expect(await eventually { first.isLeading && clock.sleeperCount >= 2 })
        let standby = Task { try await second.run { try await clock.sleep(for: .seconds(10_000)) } }
        #expect(await eventually { clock.sleeperCount >= 3 && lease.isFollowed })
        #expect(!second.isLeading)
        leader.cancel()
        await #expect(throws: CancellationError.self) { try await leader.value }
        // No time passes: the release is told.
        #expect(await eventually { second.isLeading })
        #expect(lease.spec?.holderIdentity == "b")
        standby.cancel()
        await #expect(throws: CancellationError.self) { try await standby.value }
    }

    @Test func aStandbyLooksWhenTheWatchIsSilentAndWhenTheLeaseEnds() throws {
        var machine = LeaderElectionMachine(settings: try settings("b"))
        #expect(machine.untilLook(local: .zero) == .zero)
        func held(_ time: Double) -> LeaseSpec {
            LeaseSpec(holderIdentity: "a", renewTime: MicroTimestamp(Date(timeIntervalSince1970: time)))
        }
        // Read, not told: it is read again after one period.
        machine.observe(held(1), local: .seconds(100), by: .read)
        #expect(machine.untilLook(local: .seconds(100.5)) == .seconds(1.5))
        // Told: the next renewal is waited for.
        machine.observe(held(2), local: .seconds(102), by: .watch)
        #expect(machine.untilLook(local: .seconds(102)) == .seconds(4))
        // A read that finds nothing new is an answer, and no renewal.
        machine.observe(held(2), local: .seconds(106), by: .read)
        #expect(machine.untilLook(local: .seconds(106)) == .seconds(4))
        machine.failed(local: .seconds(116))
        #expect(machine.untilLook(local: .seconds(116)) == .seconds(1), "15 s after the change, failure or not")
        #expect(machine.untilLook(local: .seconds(117)) == .zero)
        machine.failed(local: .seconds(117))
        #expect(machine.untilLook(local: .seconds(117.5)) == .seconds(1.5), "what failed is not repeated at once")
        // The release is news: it is tried at once.
        machine.observe(LeaseSpec(holderIdentity: ""), local: .seconds(118), by: .watch)
        #expect(machine.untilLook(local: .seconds(118)) == .zero)
    }

    @Test func aLeaseThatWasDeletedStaysItsHoldersUntilItsTimeIsOver() throws {
        var machine = LeaderElectionMachine(settings: try settings("b"))
        machine.observe(LeaseSpec(holderIdentity: "a"), local: .seconds(100), by: .watch)
        machine.observe(nil, local: .seconds(101), by: .watch)
        #expect(machine.untilLook(local: .seconds(101)) > .zero)
        #expect(machine.decide(nil, local: .seconds(114), wall: wall) == .wait)
        guard case .create = machine.decide(nil, local: .seconds(115), wall: wall) else {
            Issue.record("not made")
            return
        }
    }

    /// - Returns: when the standby took the Lease of a holder that renewed every 2 s until the time 10 s and then died.
    private func takeover(of lease: MemoryLease, onSilence: Bool) async throws -> Duration {
        let clock = ManualClock()
        let standby = try elector("b", lease, clock)
        lease.renew("a", 0)
        let running = Task { try await standby.run { try await clock.sleep(for: .seconds(10_000)) } }
        #expect(await eventually { clock.sleeperCount >= 1 && lease.isFollowed })
        if onSilence { lease.setWatchDown() }
        for step in 1...80 where !standby.isLeading {
            clock.advance(by: .milliseconds(500))
            if step.isMultiple(of: 4), step <= 20 { lease.renew("a", step / 4) }
            // It sleeps again, or leads: its work and its renewals sleep.
            try await Task.sleep(for: .milliseconds(10))
            #expect(await eventually { clock.sleeperCount >= (standby.isLeading ? 2 : 1) })
        }
        let time = clock.now.offset
        running.cancel()
        _ = await running.result
        return time
    }

    @Test func theLeaseOfADeadLeaderIsTakenWhenItEnds() async throws {
        let lease = MemoryLease()
        #expect(try await takeover(of: lease, onSilence: false) == .seconds(25))
        // The first one, those of the silence after the death, the two at the end: of the write and of the release.
        #expect((4...7).contains(lease.reads), "\(lease.reads)")
    }

    @Test func withoutAWatchTheLeaseIsLookedAt() async throws {
        let lease = MemoryLease()
        let time = try await takeover(of: lease, onSilence: true)
        #expect(time >= .seconds(25) && time <= .seconds(27), "\(time)")
        #expect(lease.reads >= 10)
    }

    @Test func theLeaderStopsByItselfBeforeOthersMayTakeOver() async throws {
        let (clock, lease) = (ManualClock(), MemoryLease())
        let first = try elector("a", lease, clock)
        let stopped = Collector<Duration>()
        let leader = Task {
            try await first.run {
                defer { stopped.add(clock.now.offset) }
                try await clock.sleep(for: .seconds(10_000))
            }
        }
        #expect(await eventually { first.isLeading && clock.sleeperCount >= 2 })
        lease.setDown(true)
        for _ in 0..<30 where stopped.all.isEmpty {
            clock.advance(by: .milliseconds(500))
            try await Task.sleep(for: .milliseconds(20))
        }
        let error = await #expect(throws: ReconcileError.self) { try await leader.value }
        #expect(error?.code == .leadershipLost)
        let time = try #require(stopped.all.first)
        #expect(time >= .seconds(10) && time < .seconds(15))
    }

    @Test func aLeaseTakenByForceEndsTheWork() async throws {
        let (clock, lease) = (ManualClock(), MemoryLease())
        let first = try elector("a", lease, clock)
        let leader = Task { try await first.run { try await clock.sleep(for: .seconds(10_000)) } }
        #expect(await eventually { first.isLeading && clock.sleeperCount >= 2 })
        lease.force(LeaseSpec(holderIdentity: "thief", leaseDurationSeconds: 15))
        clock.advance(by: .seconds(2))
        let error = await #expect(throws: ReconcileError.self) { try await leader.value }
        #expect(error?.code == .leadershipLost)
        #expect(lease.spec?.holderIdentity == "thief")
    }

    @Test func theLeaseIsRenewedAndReleasedWhenTheWorkEnds() async throws {
        let (clock, lease) = (ManualClock(), MemoryLease())
        let first = try elector("a", lease, clock)
        let leader = Task { try await first.run { try await clock.sleep(for: .seconds(5)) } }
        #expect(await eventually { first.isLeading && clock.sleeperCount >= 2 })
        clock.advance(by: .seconds(2))
        #expect(await eventually { lease.version == 2 && clock.sleeperCount >= 2 })
        #expect(lease.spec?.leaseTransitions == 0)
        clock.advance(by: .seconds(4))
        try await leader.value
        #expect(lease.spec?.holderIdentity == "")
        #expect(!first.isLeading)
    }
}
