import FoundationEssentials
import Glibc
import Logging
import ProviderAPI
import ProviderKit

/// The host's side of one plugin instance: what `egp_host.context` points to.
///
/// Kept alive for the life of the process, because a plugin that breaks its contract may call after destroy.
final class InstanceServices: Sendable {
    let name: String
    let logger: Logger
    let calls = CallTable()
    let http: HTTPService

    init(name: String, logger: Logger, http: HTTPService) {
        self.name = name
        self.logger = logger
        self.http = http
    }

    /// The vtable for this instance. It holds a reference to the instance for ever.
    func makeTable() -> UnsafePointer<egp_host> {
        var services = egp_host()
        services.size = UInt32(MemoryLayout<egp_host>.size)
        services.abi_version = UInt32(EGP_ABI_VERSION)
        services.context = Unmanaged.passRetained(self).toOpaque()
        services.log = hostLog
        services.now_ns = hostNow
        services.complete = hostComplete
        services.http_send = hostSend
        let table = UnsafeMutablePointer<egp_host>.allocate(capacity: 1)
        table.initialize(to: services)
        return UnsafePointer(table)
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

private func services(_ context: UnsafeMutableRawPointer?) -> InstanceServices? {
    context.map { Unmanaged<InstanceServices>.fromOpaque($0).takeUnretainedValue() }
}

private func hostLog(
    _ context: UnsafeMutableRawPointer?, _ level: egp_log_level, _ message: egp_bytes, _ metadata: egp_bytes
) {
    guard let services = services(context) else { return }
    let level: Logger.Level =
        switch level {
        case egp_log_level(EGP_LOG_TRACE): .trace
        case egp_log_level(EGP_LOG_DEBUG): .debug
        case egp_log_level(EGP_LOG_INFO): .info
        case egp_log_level(EGP_LOG_NOTICE): .notice
        case egp_log_level(EGP_LOG_WARNING): .warning
        default: .error
        }
    guard services.logger.logLevel <= level else { return }
    let fields = (try? JSONDecoder().decode([String: String].self, from: metadata.copied)) ?? [:]
    let text = message.text
    services.logger.log(level: level, "\(text)", metadata: fields.mapValues { .string($0) })
}

private func hostNow(_ context: UnsafeMutableRawPointer?) -> Int64 { HostClock.now().nanoseconds }

private func hostComplete(
    _ context: UnsafeMutableRawPointer?, _ ticket: UInt64, _ completion: UnsafePointer<egp_completion>
) {
    guard let services = services(context) else { return }
    // Read before the rest, which may not be there.
    guard completion.pointee.size >= UInt32(MemoryLayout<egp_completion>.size) else {
        let error = ProviderError(
            .terminal,
            "plugin \(services.name): egp_completion of \(completion.pointee.size) bytes; "
                + "at least \(MemoryLayout<egp_completion>.size) are needed")
        services.calls.end(ticket, with: .failure(error))
        return
    }
    let raw = completion.pointee
    let result: Result<Data, any Error>
    if raw.code == egp_code(EGP_OK) {
        result =
            raw.result.length <= UInt64(BatchLimits.maximumBytes)
            ? .success(raw.result.copied)
            : .failure(
                ProviderError(.terminal, "plugin \(services.name): result exceeds \(BatchLimits.maximumBytes) bytes"))
    } else {
        let code = ResultCode(borderCode: raw.code) ?? .terminal
        let delay = raw.retry_after_ns > 0 ? Int(raw.retry_after_ns / 1_000_000) : nil
        result = .failure(ProviderError(code, raw.message.text, retryAfterMilliseconds: delay))
    }
    if !services.calls.end(ticket, with: result) {
        services.logger.warning(
            "plugin completed a call that nobody waits for", metadata: ["ticket": .stringConvertible(ticket)])
    }
}

private func hostSend(
    _ context: UnsafeMutableRawPointer?, _ request: UnsafePointer<egp_http_request>, _ done: @escaping egp_http_done,
    _ doneContext: UnsafeMutableRawPointer?
) -> egp_code {
    guard let services = services(context) else { return egp_code(EGP_TERMINAL) }
    guard request.pointee.size >= UInt32(MemoryLayout<egp_http_request>.size) else { return egp_code(EGP_INVALID) }
    let raw = request.pointee
    guard raw.body.length <= UInt64(BatchLimits.maximumBytes),
        let headers = try? BorderHeaders.decode(raw.headers.copied)
    else { return egp_code(EGP_INVALID) }
    let exchange = HTTPRequest(
        method: raw.method.text, url: raw.url.text, headers: headers, body: raw.body.copied,
        deadline: HostInstant(nanoseconds: raw.deadline_ns))
    let reply = HTTPReply(done: done, context: doneContext)
    let http = services.http
    Task {
        do {
            let timeout = HostClock.now().duration(to: exchange.deadline)
            reply.deliver(try await http.send(exchange, timeout: timeout))
        } catch {
            reply.deliver(ProviderError(error))
        }
    }
    return egp_code(EGP_OK)
}

/// The plugin's callback and its context, to be called once.
///
/// Sendable: the callback is [any-thread] and the context is only handed back to it (`egress_provider.h`).
private struct HTTPReply: @unchecked Sendable {
    let done: egp_http_done
    let context: UnsafeMutableRawPointer?

    func deliver(_ response: HTTPResponse) {
        let headers = (try? BorderHeaders.encode(response.headers)) ?? Data()
        headers.withBorderBytes { headers in
            response.body.withBorderBytes { body in
                var raw = Self.empty(.ok)
                raw.status = Int32(response.status)
                raw.headers = headers
                raw.body = body
                done(context, &raw)
            }
        }
    }

    func deliver(_ error: ProviderError) {
        error.message.withBorderBytes { message in
            var raw = Self.empty(error.code == .ok ? .retry : error.code)
            raw.message = message
            done(context, &raw)
        }
    }

    private static func empty(_ code: ResultCode) -> egp_http_response {
        let none = egp_bytes(data: nil, length: 0)
        return egp_http_response(
            size: UInt32(MemoryLayout<egp_http_response>.size), code: code.borderCode, status: 0, flags: 0,
            headers: none, body: none, message: none)
    }
}
