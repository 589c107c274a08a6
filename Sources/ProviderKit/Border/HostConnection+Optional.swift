import ProviderAPI
import Synchronization

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The services that a host may leave out.
extension HostConnection {
    func isLogEnabled(_ level: LogLevel) -> Bool {
        withHost { host in host.log_enabled.map { $0(host.context, level.rawValue) != 0 } ?? true } ?? false
    }

    /// Whether nobody waits for the ticket any more.
    func isCancelled(_ ticket: UInt64) -> Bool {
        withHost { host in host.is_cancelled.map { $0(host.context, ticket) != 0 } ?? false } ?? true
    }

    func secret(_ name: String) throws -> Data {
        let collected = CollectedBytes()
        // The lock's closure may not capture a raw pointer in Swift 6; the address says the same.
        let address = UInt(bitPattern: Unmanaged.passUnretained(collected).toOpaque())
        let code: egp_code? = withExtendedLifetime(collected) {
            withHost { host in
                guard let read = host.secret_read else { return egp_code(EGP_UNSUPPORTED) }
                return name.withBorderBytes { name in
                    var sink = egp_sink(
                        size: UInt32(MemoryLayout<egp_sink>.size), flags: 0,
                        context: UnsafeMutableRawPointer(bitPattern: address),
                        write: { context, chunk in
                            guard let context else { return }
                            Unmanaged<CollectedBytes>.fromOpaque(context).takeUnretainedValue().append(chunk)
                        })
                    return read(host.context, name, &sink)
                }
            }
        }
        try Self.check(code, "secret \(name)")
        return collected.bytes
    }

    func record(_ kind: MetricKind, _ name: String, _ labels: [String: String], _ value: Double) throws {
        let json = labels.isEmpty ? Data() : try JSONEncoder().encode(labels)
        let code: egp_code? = withHost { host in
            guard let metric = host.metric else { return egp_code(EGP_UNSUPPORTED) }
            return name.withBorderBytes { name in
                json.withBorderBytes { labels in
                    var raw = egp_metric(
                        size: UInt32(MemoryLayout<egp_metric>.size), kind: kind.rawValue, name: name, labels: labels,
                        value: value)
                    return metric(host.context, &raw)
                }
            }
        }
        try Self.check(code, "metric \(name)")
    }

    func tell(_ severity: EventSeverity, item: String, reason: String, message: String) throws {
        let code: egp_code? = withHost { host in
            guard let event = host.event else { return egp_code(EGP_UNSUPPORTED) }
            return item.withBorderBytes { item in
                reason.withBorderBytes { reason in
                    message.withBorderBytes { message in
                        var raw = egp_event(
                            size: UInt32(MemoryLayout<egp_event>.size), severity: severity.rawValue, item: item,
                            reason: reason, message: message)
                        return event(host.context, &raw)
                    }
                }
            }
        }
        try Self.check(code, "event \(reason)")
    }

    func sleep(for duration: Duration) async throws {
        let waiter = TimerWaiter(self)
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { waiter.start(for: duration, $0) }
        } onCancel: {
            waiter.cancel()
        }
    }

    /// - Returns: the timer's number; nil if the host has no timers or the connection is closed.
    /// - Throws: ``ProviderError`` if it was not accepted; `waiter` is not called back then.
    fileprivate func startTimer(_ delay: Int64, for waiter: TimerWaiter) throws -> UInt64? {
        // Owned by the host between timer_start and done.
        let address = UInt(bitPattern: Unmanaged.passRetained(waiter).toOpaque())
        let answer: (egp_code, UInt64)? = withHost { host in
            guard let start = host.timer_start else { return (egp_code(EGP_UNSUPPORTED), 0) }
            var number: UInt64 = 0
            let code = start(host.context, delay, timerDone, UnsafeMutableRawPointer(bitPattern: address), &number)
            return (code, number)
        }
        if let answer, answer.0 == egp_code(EGP_OK) { return answer.1 }
        Unmanaged.passUnretained(waiter).release()
        if answer?.0 != egp_code(EGP_UNSUPPORTED) { try Self.check(answer?.0, "timer") }
        return nil
    }

    fileprivate func cancelTimer(_ number: UInt64) {
        _ = withHost { host in host.timer_cancel?(host.context, number) ?? egp_code(EGP_OK) }
    }

    /// - Parameter code: nil: the connection is closed.
    private static func check(_ code: egp_code?, _ what: String) throws {
        guard let code else { throw CancellationError() }
        guard code != egp_code(EGP_OK) else { return }
        let known = ResultCode(borderCode: code) ?? .terminal
        throw ProviderError(known, "\(what): the host answered \(known.rawValue)")
    }
}

/// What a host writes into a sink. Used on one thread, within one call.
private final class CollectedBytes {
    var bytes = Data()

    func append(_ chunk: egp_bytes) {
        if bytes.count + Int(clamping: chunk.length) <= BatchLimits.maximumBytes { bytes.append(chunk.copied) }
    }
}

/// One task that waits for one timer of the host.
private final class TimerWaiter: Sendable {
    private struct State {
        var continuation: CheckedContinuation<Void, any Error>?
        var number: UInt64?
        var isCancelled = false
    }

    private let connection: HostConnection
    private let state = Mutex(State())

    init(_ connection: HostConnection) {
        self.connection = connection
    }

    func start(for duration: Duration, _ continuation: CheckedContinuation<Void, any Error>) {
        state.withLock { $0.continuation = continuation }
        // Out of range is for ever.
        let delay = max(0, HostInstant(nanoseconds: 0).advanced(by: duration).nanoseconds)
        do {
            guard let number = try connection.startTimer(delay, for: self) else {
                // A host without timers: the runtime's own do.
                if state.withLock({ $0.isCancelled }) { return finish(.failure(CancellationError())) }
                Task {
                    try? await Task.sleep(for: .nanoseconds(delay))
                    finish(.success(()))
                }
                return
            }
            let isCancelled = state.withLock { state in
                state.number = number
                return state.isCancelled
            }
            if isCancelled { connection.cancelTimer(number) }
        } catch {
            finish(.failure(error))
        }
    }

    func cancel() {
        let number = state.withLock { state in
            state.isCancelled = true
            return state.number
        }
        // done comes in any case, unless the host has no timers; then nobody waits for it.
        if let number { connection.cancelTimer(number) } else { finishIfWithoutTimer() }
    }

    private func finishIfWithoutTimer() {
        if !connection.offersTimers { finish(.failure(CancellationError())) }
    }

    func finish(_ result: Result<Void, any Error>) {
        state.withLock { $0.continuation.take() }?.resume(with: result)
    }
}

extension HostConnection {
    fileprivate var offersTimers: Bool { withHost { $0.timer_start != nil } ?? false }
}

private func timerDone(_ context: UnsafeMutableRawPointer?, _ fired: Int32) {
    guard let context else { return }
    let waiter = Unmanaged<TimerWaiter>.fromOpaque(context).takeRetainedValue()
    waiter.finish(fired == 1 ? .success(()) : .failure(CancellationError()))
}
