import Foundation
import Kubernetes
import Logging
import Reconcile
import ScriptedServer
import Synchronization
import Testing

/// A Lease kept in memory, with the versions and refusals of an API server.
private final class MemoryLease: LeaseAccess {
    private let state = Mutex<(lease: Lease?, version: Int, isDown: Bool)>((nil, 0, false))

    var spec: LeaseSpec? { state.withLock { $0.lease?.spec } }
    var version: Int { state.withLock { $0.version } }
    func setDown(_ isDown: Bool) { state.withLock { $0.isDown = isDown } }
    /// Another process writes, without asking.
    func force(_ spec: LeaseSpec) { state.withLock { store(spec, &$0) } }

    func read() async throws -> Lease? {
        try state.withLock { state in
            if state.isDown { throw KubernetesError(.unavailable, "down") }
            return state.lease
        }
    }

    func create(_ spec: LeaseSpec) async throws {
        try state.withLock { state in
            if state.isDown { throw KubernetesError(.unavailable, "down") }
            if state.lease != nil { throw KubernetesError(.alreadyExists, "there") }
            store(spec, &state)
        }
    }

    func write(_ spec: LeaseSpec, resourceVersion: String) async throws {
        try state.withLock { state in
            if state.isDown { throw KubernetesError(.unavailable, "down") }
            if resourceVersion != "\(state.version)" { throw KubernetesError(.conflict, "changed") }
            store(spec, &state)
        }
    }

    private func store(_ spec: LeaseSpec, _ state: inout (lease: Lease?, version: Int, isDown: Bool)) {
        state.version += 1
        state.lease = Lease(metadata: ObjectMeta(name: "l", resourceVersion: "\(state.version)"), spec: spec)
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
        #expect(await eventually { clock.sleeperCount >= 3 })
        #expect(!second.isLeading)
        leader.cancel()
        await #expect(throws: CancellationError.self) { try await leader.value }
        #expect(lease.spec?.holderIdentity == "")
        clock.advance(by: .seconds(2))
        #expect(await eventually { second.isLeading })
        #expect(lease.spec?.holderIdentity == "b")
        standby.cancel()
        await #expect(throws: CancellationError.self) { try await standby.value }
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
