import Glibc
import LinuxNet
import Synchronization

/// Probes backends by HTTP from inside the router's namespace, on one thread for all of them.
final class HealthProber: Sendable {
    private struct Wanted {
        var targets: Set<ProbeTarget> = []
        var isStopped = false
    }

    private let wanted = Mutex(Wanted())
    private let source: IPAddress
    /// A pipe; a byte written to `wakeEnd` interrupts the thread's poll(2). Open while this object lives.
    private let sleepEnd: Int32
    private let wakeEnd: Int32
    private let clock = ContinuousClock()

    /// - Throws: `temporary` if the process has no descriptors left.
    init(source: IPAddress) throws {
        self.source = source
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw LinuxNetError.system("make a pipe", errorNumber: errno) }
        (sleepEnd, wakeEnd) = (ends[0], ends[1])
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
    }

    deinit {
        close(sleepEnd)
        close(wakeEnd)
    }

    /// Makes these the probed targets.
    func setTargets(_ targets: Set<ProbeTarget>) {
        wanted.withLock { $0.targets = targets }
        wake()
    }

    /// Makes `run` return soon.
    func stop() {
        wanted.withLock { $0.isStopped = true }
        wake()
    }

    private func wake() {
        var byte: UInt8 = 1
        // A full pipe wakes as well.
        _ = write(wakeEnd, &byte, 1)
    }

    /// Probes until `stop`. Blocks; the thread's network namespace is the one probed from.
    ///
    /// - Parameter report: Called on this thread each time a target's state flips.
    func run(report: (ProbeTarget, _ isHealthy: Bool) -> Void) {
        var schedule = ProbeSchedule()
        var connections = ProbeConnections()
        while true {
            let wanted = wanted.withLock { $0 }
            if wanted.isStopped { return }
            schedule.setTargets(wanted.targets, now: clock.now)
            for target in schedule.takeDue(now: clock.now) {
                connections.start(ProbeConnection(target, from: source, now: clock.now))
            }
            let next = [schedule.nextStart, connections.nextDeadline].compactMap(\.self).min()
            let finished = connections.wait(until: next, clock: clock, wakingOn: sleepEnd)
            for (target, success) in finished {
                if let state = schedule.finished(target, success: success) { report(target, state) }
            }
        }
    }
}

/// The probes under way. Belongs to the prober's thread.
private struct ProbeConnections: ~Copyable {
    // An array cannot hold what must not be copied; a class that is never shared can.
    private final class Box {
        var connection: ProbeConnection
        init(_ connection: consuming ProbeConnection) { self.connection = connection }
    }

    private var running: [Box] = []

    mutating func start(_ connection: consuming ProbeConnection) {
        running.append(Box(connection))
    }

    var nextDeadline: ContinuousClock.Instant? { running.map { $0.connection.deadline }.min() }

    /// Waits for the network, for `moment` or for a byte on `waker`; nil waits for one of the others.
    ///
    /// - Returns: The probes that ended, with their success.
    mutating func wait(
        until moment: ContinuousClock.Instant?, clock: ContinuousClock, wakingOn waker: Int32
    ) -> [(ProbeTarget, Bool)] {
        var polled = [pollfd(fd: waker, events: Int16(POLLIN), revents: 0)]
        polled += running.map { pollfd(fd: $0.connection.descriptor, events: $0.connection.wantedEvents, revents: 0) }
        poll(&polled, nfds_t(polled.count), Self.milliseconds(until: moment, now: clock.now))
        if polled[0].revents != 0 {
            var drain = [UInt8](repeating: 0, count: 64)
            while read(waker, &drain, drain.count) > 0 {}
        }
        var finished: [(ProbeTarget, Bool)] = []
        var remaining: [Box] = []
        for (box, entry) in zip(running, polled.dropFirst()) {
            if let success = outcome(of: box, reported: entry.revents, now: clock.now) {
                finished.append((box.connection.target, success))
            } else {
                remaining.append(box)
            }
        }
        running = remaining
        return finished
    }

    private func outcome(of box: Box, reported: Int16, now: ContinuousClock.Instant) -> Bool? {
        if box.connection.descriptor < 0 { return false }
        if reported != 0, case .finished(let success) = box.connection.advance() { return success }
        return box.connection.deadline <= now ? false : nil
    }

    private static func milliseconds(until moment: ContinuousClock.Instant?, now: ContinuousClock.Instant) -> Int32 {
        guard let moment else { return -1 }
        let rest = (moment - now).components
        let milliseconds = rest.seconds * 1000 + rest.attoseconds / 1_000_000_000_000_000 + 1
        return Int32(min(max(milliseconds, 0), 60_000))
    }
}
