import FoundationEssentials
import ProviderAPI
import ProviderKit

extension InstanceServices {
    /// The vtable for this instance. It holds a reference to the instance for ever, because a plugin that breaks its
    /// contract may call after destroy.
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

private func services(_ context: UnsafeMutableRawPointer?) -> InstanceServices? {
    context.map { Unmanaged<InstanceServices>.fromOpaque($0).takeUnretainedValue() }
}

private func hostLog(
    _ context: UnsafeMutableRawPointer?, _ level: egp_log_level, _ message: egp_bytes, _ metadata: egp_bytes
) {
    let level = LogLevel(rawValue: level) ?? .error
    guard let services = services(context), services.isLogEnabled(level) else { return }
    let fields = (try? JSONDecoder().decode([String: String].self, from: metadata.copied)) ?? [:]
    services.log(level, message.text, fields)
}

private func hostNow(_ context: UnsafeMutableRawPointer?) -> Int64 { HostClock.now().nanoseconds }

private func hostComplete(
    _ context: UnsafeMutableRawPointer?, _ ticket: UInt64, _ completion: UnsafePointer<egp_completion>
) {
    guard let services = services(context) else { return }
    services.complete(ticket, PluginCompletion(completion, of: services.name))
}

extension PluginCompletion {
    /// - Parameter plugin: its name, for messages.
    init(_ border: UnsafePointer<egp_completion>, of plugin: String) {
        // Read before the rest, which may not be there.
        guard border.pointee.size >= UInt32(MemoryLayout<egp_completion>.size) else {
            self.init(
                code: .terminal,
                message: "plugin \(plugin): egp_completion of \(border.pointee.size) bytes; "
                    + "at least \(MemoryLayout<egp_completion>.size) are needed")
            return
        }
        let raw = border.pointee
        guard raw.code != egp_code(EGP_OK) else {
            // One byte more than allowed is enough to refuse it.
            var result = raw.result
            result.length = min(result.length, UInt64(BatchLimits.maximumBytes) + 1)
            self.init(code: .ok, result: result.copied)
            return
        }
        var message = raw.message
        message.length = min(message.length, UInt64(EGP_MAXIMUM_MESSAGE))
        self.init(
            code: ResultCode(failureCode: raw.code), message: message.text,
            retryAfterMilliseconds: raw.retry_after_ns > 0 ? Int(raw.retry_after_ns / 1_000_000) : nil,
            reason: raw.reason.length > 0 && raw.reason.length <= 64 ? raw.reason.text : nil)
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
    return services.send(exchange) { reply.deliver($0) }.borderCode
}

/// The plugin's callback and its context, to be called once.
///
/// Sendable: the callback is [any-thread] and the context is only handed back to it (`egress_provider.h`).
private struct HTTPReply: @unchecked Sendable {
    let done: egp_http_done
    let context: UnsafeMutableRawPointer?

    func deliver(_ result: Result<HTTPResponse, ProviderError>) {
        switch result {
        case .success(let response): deliver(response)
        case .failure(let error): deliver(error)
        }
    }

    private func deliver(_ response: HTTPResponse) {
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

    private func deliver(_ error: ProviderError) {
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
