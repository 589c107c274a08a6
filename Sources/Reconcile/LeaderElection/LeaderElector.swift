import CoreMetrics
import FoundationEssentials
import Kubernetes
import Logging
import Synchronization

/// Runs work only while this process holds a Lease.
///
/// The lease gives no fence: a write that was sent before the deadline may arrive after it. Work that must not be done
/// twice also needs preconditions on what it writes.
public final class LeaderElector: Sendable {
    private let settings: LeaderElectionSettings
    private let access: any LeaseAccess
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let elapsed: @Sendable () -> Duration
    private let wall: @Sendable () -> Date
    private let machine: Mutex<LeaderElectionMachine>
    /// 1 while this process leads, under client-go's name.
    private let status: Gauge

    /// - Parameters:
    ///   - environment: the clock for pauses and the local deadline, the wall clock for the times in the Lease.
    public init(
        settings: LeaderElectionSettings, access: any LeaseAccess, logger: Logger,
        environment: ReconcileEnvironment = ReconcileEnvironment()
    ) {
        self.settings = settings
        self.access = access
        self.logger = logger
        clock = environment.clock
        elapsed = environment.stopwatch()
        wall = environment.now
        machine = Mutex(LeaderElectionMachine(settings: settings))
        status = Gauge(
            label: "leader_election_master_status", dimensions: [("name", settings.name)],
            factory: environment.metrics)
        status.record(0)
    }

    /// Whether this process may act as the leader now.
    public var isLeading: Bool { machine.withLock { $0.isLeading(local: elapsed()) } }

    /// Waits for leadership, runs the work, and releases the Lease once the work has ended.
    ///
    /// - Parameter work: cancelled when leadership is lost or this task is cancelled; it must then end at once.
    /// - Throws: what the work threw; ``ReconcileError`` with code `leadershipLost`; `CancellationError`.
    public func run(_ work: @escaping @Sendable () async throws -> Void) async throws {
        if try await attempt(within: nil) == false { try await standBy() }
        status.record(1)
        logger.notice("leading", metadata: ["lease": .string(settings.name), "identity": .string(settings.identity)])
        let result: Result<Void, any Error> = await withTaskGroup(of: Result<Void, any Error>.self) { group in
            group.addTask {
                do { return .success(try await work()) } catch { return .failure(error) }
            }
            group.addTask {
                do { return .success(try await self.renew()) } catch { return .failure(error) }
            }
            let first = await group.next() ?? .success(())
            group.cancelAll()
            // The work must be over before the Lease is released.
            await group.waitForAll()
            return first
        }
        status.record(0)
        // Releasing is worth a try even when this task was cancelled, and a cancelled task can send nothing.
        await Task { await self.release() }.value
        try result.get()
    }

    /// Follows the Lease until it is this process's: it is taken when it is released, and at the moment it runs out.
    private func standBy() async throws {
        let wakeup = Wakeup()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask { [self] in
                await access.follow { [self] lease in
                    machine.withLock { $0.observe(lease, local: elapsed(), by: .watch) }
                    wakeup.raise()
                }
                return false
            }
            group.addTask { [self] in
                while true {
                    let wait = machine.withLock { $0.untilLook(local: elapsed()) }
                    if wait > .zero {
                        try await wakeup.sleep(for: wait, clock: clock)
                    } else if try await attempt(within: nil) {
                        return true
                    }
                }
            }
            defer { group.cancelAll() }
            while let isLeader = try await group.next(), !isLeader {}
        }
    }

    /// Renews until leadership is lost.
    private func renew() async throws {
        while true {
            let untilEnd = machine.withLock { $0.remaining(local: elapsed()) } ?? .zero
            try await clock.sleep(for: min(settings.retryPeriod, untilEnd))
            guard let remaining = machine.withLock({ $0.remaining(local: elapsed()) }), remaining > .zero else {
                throw ReconcileError(.leadershipLost, "lease \(settings.name) was not renewed in time")
            }
            let isHeld = try await attempt(within: remaining)
            guard isHeld || isLeading else {
                throw ReconcileError(.leadershipLost, "lease \(settings.name) was lost to another process")
            }
        }
    }

    /// One read and, if allowed, one write.
    ///
    /// - Parameter limit: the request is given up after this time; nil: the client's own time-outs.
    /// - Returns: whether the Lease was taken or renewed now.
    private func attempt(within limit: Duration?) async throws -> Bool {
        guard let limit else { return try await attemptOnce() }
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask { try await self.attemptOnce() }
            group.addTask { [clock] in
                try await clock.sleep(for: limit)
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
    }

    private func attemptOnce() async throws -> Bool {
        do {
            let lease = try await access.read()
            let sentAt = elapsed()
            let time = MicroTimestamp(wall())
            switch machine.withLock({ $0.decide(lease?.spec, local: sentAt, wall: time) }) {
            case .wait:
                machine.withLock { $0.lost() }
                return false
            case .create(let spec):
                try await access.create(spec)
                machine.withLock { $0.wrote(spec, sentAt: sentAt) }
            case .write(let spec):
                try await access.write(spec, resourceVersion: lease?.metadata.resourceVersion ?? "")
                machine.withLock { $0.wrote(spec, sentAt: sentAt) }
            }
            return true
        } catch let error as KubernetesError {
            // Nothing is decided by a failure: the deadline runs on, and the next attempt reads anew.
            machine.withLock { $0.failed(local: elapsed()) }
            logger.debug("lease not written", metadata: ["error": .string("\(error)")])
            return false
        }
    }

    private func release() async {
        guard isLeading else { return }
        machine.withLock { $0.lost() }
        do {
            guard let lease = try await access.read(), lease.spec.holderIdentity == settings.identity else { return }
            let spec = machine.withLock { $0.released(lease.spec, wall: MicroTimestamp(wall())) }
            try await access.write(spec, resourceVersion: lease.metadata.resourceVersion)
            logger.notice("lease released", metadata: ["lease": .string(settings.name)])
        } catch {
            logger.info("lease not released; it runs out", metadata: ["error": .string("\(error)")])
        }
    }
}
