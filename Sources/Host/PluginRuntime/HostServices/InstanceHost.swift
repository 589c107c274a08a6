import FoundationEssentials
import ProviderKit

/// What one plugin instance may ask of its host, as Swift values: the functions of `egp_host`.
///
/// ``InstanceServices`` does what is asked. A process that only holds the plugin for somebody else implements this by
/// passing everything on. ``HostTable`` reaches it from C.
///
/// Every function may be called on any thread and never blocks longer than a lock is held, except ``readSecret(_:)``,
/// which reads a small local file.
protocol InstanceHost: Sendable {
    /// The instance's name in the list.
    var name: String { get }

    func log(_ level: LogLevel, _ message: String, _ metadata: [String: String])

    /// Whether a line of this level would be kept.
    func isLogEnabled(_ level: LogLevel) -> Bool

    /// Ends the call that the plugin accepted under `ticket`.
    func complete(_ ticket: UInt64, _ completion: PluginCompletion)

    /// Ends the call that the plugin did not accept.
    ///
    /// - Parameters:
    ///   - code: what its function returned, or why it was not called.
    ///   - message: more than the code says; nil if there is no more.
    func refuse(_ ticket: UInt64, _ code: ResultCode, _ message: String?)

    /// Whether nobody waits for this ticket: cancelled, overdue, ended, never given.
    func isCancelled(_ ticket: UInt64) -> Bool

    /// Starts an HTTP exchange.
    ///
    /// - Parameter done: called exactly once if the answer is ok, on any thread, never from inside this function.
    /// - Returns: ok if it was accepted, else throttled or cancelled.
    func send(
        _ request: HTTPRequest, _ done: @escaping @Sendable (Result<HTTPResponse, ProviderError>) -> Void
    ) -> ResultCode

    /// Starts a timer.
    ///
    /// - Parameter done: called exactly once if the answer is ok, on any thread, never from inside this function; its
    ///   argument tells whether the time came.
    /// - Returns: ok and the timer's number, which is never 0 and never used twice; else invalid, throttled or
    ///   cancelled, and 0.
    func startTimer(after delay: Duration, _ done: @escaping @Sendable (_ fired: Bool) -> Void) -> (ResultCode, UInt64)

    /// - Returns: ok, or invalid if no such timer is pending.
    func cancelTimer(_ number: UInt64) -> ResultCode

    /// The present bytes of a secret of the entry in `host.yaml`.
    ///
    /// - Returns: ok and the bytes; else invalid, retry or terminal, and nothing.
    func readSecret(_ name: String) -> (ResultCode, Data)

    /// - Returns: ok, invalid or throttled.
    func record(_ metric: PluginMetric) -> ResultCode

    /// - Returns: ok, invalid or throttled.
    func post(_ event: PluginEvent) -> ResultCode

    /// The plugin broke its contract.
    func report(_ violation: ContractViolation)

    /// A function of the plugin is inside for too long (1), or came back from there (-1).
    func reportStuck(_ change: Int)

    /// Ends every timer and exchange, accepts no more of them, and waits until the last callback has returned.
    ///
    /// - Returns: false if one has not returned after `time`.
    func endCallbacks(within time: Duration) async -> Bool
}
