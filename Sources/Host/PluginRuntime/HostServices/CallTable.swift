import FoundationEssentials
import ProviderKit
import Synchronization

/// The verb calls that wait for a plugin's completion, by ticket.
///
/// A ticket is taken by whoever comes first: the completion, the plugin's refusal, or the host that gives up (deadline,
/// caller's cancellation, end of the instance). What the plugin says of it later is told apart, but changes nothing.
final class CallTable: Sendable {
    /// What a plugin's completion met.
    enum Meeting: Sendable, Equatable {
        case waiting
        /// The host had given up before.
        case late
        case repeated
        case unknown
    }

    /// Tickets that the host gave up and that may still complete, at most. Of older ones a second completion cannot be
    /// told from the first, and counts as late.
    static let maximumAbandoned = 4096

    private struct State {
        var nextTicket: UInt64 = 1
        var waiting: [UInt64: CheckedContinuation<Data, any Error>] = [:]
        var abandoned: Set<UInt64> = []
        /// Refused by the plugin, so not to be completed; bounded as `abandoned`.
        var refused: Set<UInt64> = []
        /// Abandoned tickets below this one are no longer known one by one.
        var forgottenBelow: UInt64 = 0

        mutating func abandon(_ tickets: some Sequence<UInt64>) {
            abandoned.formUnion(tickets)
            guard abandoned.count > maximumAbandoned else { return }
            let sorted = abandoned.sorted()
            forgottenBelow = sorted[sorted.count / 2]
            abandoned = Set(sorted[(sorted.count / 2)...])
        }
    }

    private let state = Mutex(State())

    /// A ticket that was never used before.
    func makeTicket() -> UInt64 {
        state.withLock { state in
            defer { state.nextTicket += 1 }
            return state.nextTicket
        }
    }

    /// Enters a call before the plugin hears of it.
    func enter(_ ticket: UInt64, _ continuation: CheckedContinuation<Data, any Error>) {
        state.withLock { $0.waiting[ticket] = continuation }
    }

    /// Whether somebody waits for the ticket.
    func isWaiting(_ ticket: UInt64) -> Bool { state.withLock { $0.waiting[ticket] != nil } }

    /// The plugin completed a call.
    func complete(_ ticket: UInt64, with result: Result<Data, any Error>) -> Meeting {
        let (meeting, continuation): (Meeting, CheckedContinuation<Data, any Error>?) = state.withLock { state in
            if let continuation = state.waiting.removeValue(forKey: ticket) { return (.waiting, continuation) }
            if state.abandoned.remove(ticket) != nil { return (.late, nil) }
            guard ticket > 0, ticket < state.nextTicket, !state.refused.contains(ticket) else { return (.unknown, nil) }
            return (ticket < state.forgottenBelow ? .late : .repeated, nil)
        }
        continuation?.resume(with: result)
        return meeting
    }

    /// The plugin did not accept a call.
    ///
    /// - Returns: false if it had completed it all the same.
    func refuse(_ ticket: UInt64, with error: any Error) -> Bool {
        let (isKnown, continuation) = state.withLock { state in
            let continuation = state.waiting.removeValue(forKey: ticket)
            let wasAbandoned = state.abandoned.remove(ticket) != nil
            guard continuation != nil || wasAbandoned else {
                return (false, nil as CheckedContinuation<Data, any Error>?)
            }
            if state.refused.count >= Self.maximumAbandoned { state.refused = [] }
            state.refused.insert(ticket)
            return (true, continuation)
        }
        continuation?.resume(throwing: error)
        return isKnown
    }

    /// The host waits no longer.
    ///
    /// - Returns: false if nobody waited.
    func giveUp(_ ticket: UInt64, with error: any Error) -> Bool {
        let continuation = state.withLock { state in
            let continuation = state.waiting.removeValue(forKey: ticket)
            if continuation != nil { state.abandon([ticket]) }
            return continuation
        }
        continuation?.resume(throwing: error)
        return continuation != nil
    }

    /// Gives up every call, when its plugin goes.
    ///
    /// - Returns: their tickets.
    func giveUpAll(with error: any Error) -> [UInt64] {
        let waiting = state.withLock { state in
            let waiting = state.waiting
            state.waiting = [:]
            state.abandon(waiting.keys)
            return waiting
        }
        for continuation in waiting.values { continuation.resume(throwing: error) }
        return Array(waiting.keys)
    }
}
