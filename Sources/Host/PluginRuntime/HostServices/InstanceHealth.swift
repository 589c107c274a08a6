import Logging
import ProviderKit
import Synchronization

/// A requirement of the ABI (`docs/provider-abi.md`) that a plugin broke.
public enum ContractViolation: Sendable, Equatable, CustomStringConvertible {
    /// A host function was called after `destroy`.
    case revokedCall(function: String)
    /// A host function was called with a context that is not this instance's.
    case wrongContext(function: String)
    /// A call was completed a second time.
    case repeatedCompletion(ticket: UInt64)
    /// A call that was never made, or was refused by the plugin itself, was completed.
    case unknownCompletion(ticket: UInt64)
    /// A result is not what the schema asks for, or not about the items of the request.
    case badResult(String)
    /// Any other one, by its number.
    case other(requirement: String, String)

    /// `P-` and its number.
    public var requirement: String {
        switch self {
        case .revokedCall: "P-17"
        case .wrongContext: "P-6"
        case .repeatedCompletion, .unknownCompletion: "P-9"
        case .badResult: "P-14"
        case .other(let requirement, _): requirement
        }
    }

    public var description: String {
        switch self {
        case .revokedCall(let function): "\(function) was called after the instance was destroyed"
        case .wrongContext(let function): "\(function) was called with a context that is not this instance's"
        case .repeatedCompletion(let ticket): "the call with ticket \(ticket) was completed again"
        case .unknownCompletion(let ticket): "ticket \(ticket) was completed, which is no accepted call"
        case .badResult(let detail), .other(_, let detail): detail
        }
    }
}

/// What one instance did wrong since it was made.
public struct InstanceHealth: Sendable, Equatable {
    /// Calls handed to the plugin.
    public var calls: UInt64 = 0
    /// Calls that did not complete by their deadlines.
    public var overruns: UInt64 = 0
    /// Completions after the host gave up; harmless.
    public var lateCompletions: UInt64 = 0
    public var repeatedCompletions: UInt64 = 0
    public var unknownCompletions: UInt64 = 0
    public var badResults: UInt64 = 0
    public var revokedCalls: UInt64 = 0
    public var wrongContexts: UInt64 = 0
    /// Threads that are inside the plugin for too long now.
    public var stuckThreads = 0
    /// Metric observations that were dropped, because the instance has too many series.
    public var droppedMetrics: UInt64 = 0
    /// Events that were dropped, because there were too many.
    public var droppedEvents: UInt64 = 0
    /// Broken requirements by number; those above are among them.
    public var violations: [String: UInt64] = [:]

    public init() {}
}

/// Counts what one instance does wrong, and tells it on.
final class HealthMonitor: Sendable {
    /// Gets faults as they happen, on the thread where they do, at most ``maximumTold`` of a kind in a minute, because
    /// a plugin may break its contract in a loop; must not block.
    typealias Observer = @Sendable (PluginFault, _ detail: String) -> Void

    static let maximumTold = 10

    private struct State {
        var health = InstanceHealth()
        var told: [PluginFault: (since: HostInstant, count: Int)] = [:]

        mutating func mayTell(_ fault: PluginFault, _ now: HostInstant) -> Bool {
            var (since, count) = told[fault] ?? (now, 0)
            if since.duration(to: now) >= .seconds(60) { (since, count) = (now, 0) }
            told[fault] = (since, count + 1)
            return count < maximumTold
        }
    }

    private let logger: Logger
    private let observer: Observer
    private let state = Mutex(State())

    init(logger: Logger, observer: @escaping Observer) {
        self.logger = logger
        self.observer = observer
    }

    var snapshot: InstanceHealth { state.withLock { $0.health } }

    /// Counts what is no fault.
    func count(_ member: any WritableKeyPath<InstanceHealth, UInt64> & Sendable) {
        state.withLock { $0.health[keyPath: member] += 1 }
    }

    /// A fault that was seen elsewhere.
    ///
    /// - Parameter detail: begins with `P-`, a number and a colon where a requirement was broken.
    func report(_ fault: PluginFault, _ detail: String) {
        tell(fault, detail) { health in
            guard fault == .violation, let end = detail.firstIndex(of: ":"), detail.hasPrefix("P-") else { return }
            health.violations[String(detail[..<end]), default: 0] += 1
        }
    }

    /// - Parameter change: 1 for a thread that is stuck, -1 for one that came back.
    func stuck(_ change: Int) {
        if change > 0 {
            logger.error("a function of the plugin does not return; its thread is lost until it does")
            tell(.stuck, "a function of the plugin does not return") { $0.stuckThreads += change }
        } else {
            logger.notice("a function of the plugin returned late; its thread is back")
            state.withLock { $0.health.stuckThreads += change }
        }
    }

    func violation(_ violation: ContractViolation) {
        let requirement = violation.requirement
        let number =
            tell(.violation, "\(requirement): \(violation)") { health in
                health.violations[requirement, default: 0] += 1
                switch violation {
                case .revokedCall: health.revokedCalls += 1
                case .wrongContext: health.wrongContexts += 1
                case .repeatedCompletion: health.repeatedCompletions += 1
                case .unknownCompletion: health.unknownCompletions += 1
                case .badResult: health.badResults += 1
                case .other: break
                }
            }.violations[requirement] ?? 0
        // A plugin that goes on and on must not fill the log: the 1st, 2nd, 4th, 8th and so on.
        guard number.nonzeroBitCount == 1 else { return }
        logger.error(
            "plugin broke its contract",
            metadata: [
                "requirement": .string(requirement), "detail": .string("\(violation)"),
                "times": .stringConvertible(number),
            ])
    }

    @discardableResult
    private func tell(
        _ fault: PluginFault, _ detail: String, _ change: (inout InstanceHealth) -> Void
    ) -> InstanceHealth {
        let now = HostClock.now()
        let (health, mayTell) = state.withLock { state in
            change(&state.health)
            return (state.health, state.mayTell(fault, now))
        }
        if mayTell { observer(fault, detail) }
        return health
    }
}
