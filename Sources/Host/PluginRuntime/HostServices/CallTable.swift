import FoundationEssentials
import ProviderKit
import Synchronization

/// The verb calls that wait for a plugin's completion, by ticket.
///
/// A ticket is removed by whoever comes first: the completion, the deadline, or the caller's cancellation. All later
/// ends of it find nothing, and are harmless.
final class CallTable: Sendable {
    private struct State {
        var nextTicket: UInt64 = 1
        var waiting: [UInt64: CheckedContinuation<Data, any Error>] = [:]
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

    func isWaiting(_ ticket: UInt64) -> Bool { state.withLock { $0.waiting[ticket] != nil } }

    /// Ends a call.
    ///
    /// - Returns: false if nobody waits under this ticket: it was never given, or has ended before.
    @discardableResult
    func end(_ ticket: UInt64, with result: Result<Data, any Error>) -> Bool {
        guard let continuation = state.withLock({ $0.waiting.removeValue(forKey: ticket) }) else { return false }
        continuation.resume(with: result)
        return true
    }

    /// Ends every call, when its plugin goes.
    ///
    /// - Returns: their tickets.
    func endAll(with error: any Error) -> [UInt64] {
        let waiting = state.withLock { state in
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in waiting.values { continuation.resume(throwing: error) }
        return Array(waiting.keys)
    }
}
