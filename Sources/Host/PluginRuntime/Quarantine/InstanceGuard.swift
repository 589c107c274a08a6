import CoreMetrics
import Logging
import ProviderKit
import Synchronization

/// Keeps the books on one instance's calls and faults, and keeps calls from it while it is quarantined.
final class InstanceGuard: Sendable {
    /// How an admitted call ended.
    enum End: Sendable {
        /// The plugin completed it, well or with an error of its own.
        case completed
        /// Nobody waited any more, or the plugin could not be reached: it says nothing about the plugin.
        case abandoned
        /// Its deadline passed.
        case overrun
    }

    private let name: String
    private let logger: Logger
    private let now: @Sendable () -> HostInstant
    private let forward: (@Sendable (PluginFault, String) -> Void)?
    private let books: Mutex<Books>
    private let quarantined: Gauge

    private struct Books {
        var policy: QuarantinePolicy
        var calls: UInt64 = 0
        var faults: [PluginFault: UInt64] = [:]
    }

    /// - Parameters:
    ///   - now: the host's clock.
    ///   - forward: takes each fault away to where it is counted: in a plugin's process, to the host.
    init(
        name: String, limits: QuarantinePolicy.Limits = .init(), logger: Logger,
        now: @escaping @Sendable () -> HostInstant = { HostClock.now() },
        forward: (@Sendable (PluginFault, String) -> Void)? = nil
    ) {
        self.forward = forward
        self.name = name
        self.logger = logger
        self.now = now
        books = Mutex(Books(policy: QuarantinePolicy(limits: limits)))
        quarantined = Gauge(label: "egress_plugin_quarantined", dimensions: [("plugin", name)])
        quarantined.record(0)
    }

    /// Asks for one call; who gets it tells its end by ``ended(_:_:)``.
    ///
    /// - Throws: ``ProviderError`` with ``ResultCode/throttled`` while the instance is quarantined.
    func admit() throws {
        let time = now()
        let (verdict, state) = books.withLock { books in
            let verdict = books.policy.admit(now: time)
            if case .refused = verdict {} else { books.calls += 1 }
            return (verdict, books.policy.state(now: time))
        }
        guard case .refused(let until) = verdict else { return }
        let wait = max(.seconds(1), time.duration(to: until))
        let cause =
            switch state {
            case .quarantined(_, let reason), .onTrial(let reason): reason
            case .healthy: "it is on trial"
            }
        var error = ProviderError(
            .throttled, "plugin \(name): quarantined: \(cause); tried again in \(wait.components.seconds) s",
            retryAfterMilliseconds: Int(wait / .milliseconds(1)))
        error.reason = "ProviderQuarantined"
        throw error
    }

    /// - Parameter what: the call, for people.
    func ended(_ end: End, _ what: String) {
        switch end {
        case .completed:
            let wasOut = books.withLock { books in
                let wasOut = books.policy.state(now: now()) != .healthy
                books.policy.completed()
                return wasOut && books.policy.state(now: now()) == .healthy
            }
            guard wasOut else { return }
            quarantined.record(0)
            logger.notice("plugin is out of quarantine")
        case .abandoned: books.withLock { $0.policy.abandoned() }
        case .overrun: report(.overrun, what)
        }
    }

    /// Counts a fault, and begins a quarantine if it is one too many.
    ///
    /// - Parameter detail: what happened, for people; with the number of a requirement where there is one.
    func report(_ fault: PluginFault, _ detail: String) {
        if let forward {
            forward(fault, detail)
            return
        }
        let (begins, state) = books.withLock { books in
            books.faults[fault, default: 0] += 1
            let begins = books.policy.failed(fault, detail, now: now())
            return (begins, books.policy.state(now: now()))
        }
        Counter(label: "egress_plugin_faults_total", dimensions: [("plugin", name), ("kind", fault.rawValue)])
            .increment()
        logger.warning("plugin fault", metadata: ["kind": .string(fault.rawValue), "detail": .string(detail)])
        guard begins, case .quarantined(let until, let reason) = state else { return }
        quarantined.record(1)
        logger.error(
            "plugin is quarantined",
            metadata: ["reason": .string(reason), "seconds": "\(now().duration(to: until).components.seconds)"])
    }

    /// What people see of it.
    var summary: Summary {
        let time = now()
        return books.withLock { books in
            let faults = Dictionary(uniqueKeysWithValues: books.faults.map { ($0.key.rawValue, $0.value) })
            var summary = Summary(state: "healthy", calls: books.calls, faults: faults)
            switch books.policy.state(now: time) {
            case .healthy: break
            case .quarantined(let until, let reason):
                summary.state = "quarantined"
                summary.reason = reason
                summary.retryInSeconds = Int(time.duration(to: until).components.seconds) + 1
            case .onTrial(let reason):
                summary.state = "on trial"
                summary.reason = reason
            }
            return summary
        }
    }

    struct Summary: Sendable, Equatable {
        var state: String
        var reason: String?
        var retryInSeconds: Int?
        var calls: UInt64
        /// By kind, since the daemon started.
        var faults: [String: UInt64]
    }
}
