import FoundationEssentials
import Glibc
import Logging
import ProviderKit

/// What the host gives one plugin instance, independent of how the instance is reached.
///
/// Every function may be called on any thread, and none blocks longer than a lock is held. ``HostTable`` reaches them
/// from C; a transport calls them with Swift values.
final class InstanceServices: Sendable {
    let name: String
    let logger: Logger
    let calls = CallTable()
    let books: InstanceGuard
    private let http: HTTPService

    init(name: String, logger: Logger, http: HTTPService, books: InstanceGuard) {
        self.name = name
        self.books = books
        self.logger = logger
        self.http = http
    }

    /// One log line of the plugin.
    func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {
        logger.log(level: level.loggerLevel, "\(message)", metadata: metadata.mapValues { .string($0) })
    }

    /// Whether a line of this level would be kept.
    func isLogEnabled(_ level: LogLevel) -> Bool { logger.logLevel <= level.loggerLevel }

    /// Ends the call that the plugin accepted under `ticket`. Ends nothing if nobody waits for it.
    func complete(_ ticket: UInt64, _ completion: PluginCompletion) {
        let result: Result<Data, any Error>
        if completion.code != .ok {
            var error = ProviderError(
                completion.code, completion.message, retryAfterMilliseconds: completion.retryAfterMilliseconds)
            error.reason = completion.reason.flatMap { ProviderError.isReason($0) ? $0 : nil }
            result = .failure(error)
        } else if completion.result.count > BatchLimits.maximumBytes {
            result = .failure(
                ProviderError(.terminal, "plugin \(name): result exceeds \(BatchLimits.maximumBytes) bytes"))
        } else {
            result = .success(completion.result)
        }
        if !calls.end(ticket, with: result) {
            logger.warning(
                "plugin completed a call that nobody waits for", metadata: ["ticket": .stringConvertible(ticket)])
        }
    }

    /// Ends the call that the plugin did not accept.
    ///
    /// - Parameters:
    ///   - code: what its function returned, or why it was not called.
    ///   - message: more than the code says; nil if there is no more.
    func refuse(_ ticket: UInt64, _ code: ResultCode, _ message: String? = nil) {
        let message = message ?? "refused the call"
        let error = ProviderError(code, "plugin \(name): \(message)")
        // Who could not take the call has not shown how it works.
        let isAnswer = code != .retry && code != .cancelled
        calls.end(ticket, with: .failure(isAnswer ? error : UnansweredCall(end: .abandoned, error: error)))
    }

    /// Counts a fault of the plugin against it.
    func report(_ fault: PluginFault, _ detail: String) { books.report(fault, detail) }

    /// Whether nobody waits for this ticket: cancelled, overdue, ended, never given.
    func isCancelled(_ ticket: UInt64) -> Bool { !calls.isWaiting(ticket) }

    /// Starts an HTTP exchange.
    ///
    /// - Parameter done: called exactly once if the answer is ok, on any thread, after this function returned.
    /// - Returns: ok if it was accepted.
    func send(
        _ request: HTTPRequest, _ done: @escaping @Sendable (Result<HTTPResponse, ProviderError>) -> Void
    ) -> ResultCode {
        Task { [http] in
            do {
                let timeout = HostClock.now().duration(to: request.deadline)
                done(.success(try await http.send(request, timeout: timeout)))
            } catch {
                done(.failure(ProviderError(error)))
            }
        }
        return .ok
    }
}

/// How a call ended without an answer of the plugin's.
struct UnansweredCall: Error {
    var end: InstanceGuard.End
    var error: ProviderError
}

extension LogLevel {
    var loggerLevel: Logger.Level {
        switch self {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}

/// The clock of every deadline that crosses the border.
enum HostClock {
    /// CLOCK_MONOTONIC.
    static func now() -> HostInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return HostInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
