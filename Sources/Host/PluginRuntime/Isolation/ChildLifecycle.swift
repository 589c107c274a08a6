import ProviderKit

/// The life of a plugin's process, decided without touching it: what happened in, what to do out.
struct ChildLifecycle: Sendable, Equatable {
    /// The first pause before a restart; doubled by each end that follows soon, up to ``longestPause``.
    static let shortestPause = Duration.milliseconds(100)
    static let longestPause = Duration.seconds(30)
    /// A process that lived so long starts again from the shortest pause.
    static let stableAfter = Duration.seconds(60)

    enum State: Sendable, Equatable {
        case starting
        case running(since: HostInstant)
        /// Waits for its restart.
        case down(until: HostInstant, why: String)
        /// Was told to end, or never came up the first time.
        case ended
    }

    enum Action: Sendable, Equatable {
        case none
        /// Spawn a process after this pause.
        case spawn(after: Duration)
    }

    private(set) var state: State = .starting
    private var pause = Self.shortestPause

    mutating func started(now: HostInstant) {
        if state == .starting { state = .running(since: now) }
    }

    /// The process is gone.
    mutating func died(_ why: String, now: HostInstant) -> Action {
        switch state {
        case .ended: return .none
        case .running(let since) where since.duration(to: now) >= Self.stableAfter: pause = Self.shortestPause
        case .starting, .running, .down: break
        }
        let current = pause
        pause = min(pause * 2, Self.longestPause)
        state = .down(until: now.advanced(by: current), why: why)
        return .spawn(after: current)
    }

    /// - Returns: whether the restart that was waited for is still wanted.
    mutating func restarting() -> Bool {
        guard case .down = state else { return false }
        state = .starting
        return true
    }

    mutating func end() { state = .ended }
}
