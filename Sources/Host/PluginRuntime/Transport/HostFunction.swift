import FoundationEssentials
import ProviderAPI
import ProviderKit
import Synchronization

/// One member of `egp_host`: where it stands, how it is called, and what it does.
struct HostFunction: Sendable {
    var offset: Int
    var signature: ForeignClosure.Signature
    var body: ForeignClosure.Body

    private init(
        _ member: PartialKeyPath<egp_host>, _ result: ForeignClosure.Kind, _ arguments: [ForeignClosure.Kind],
        _ body: ForeignClosure.Body
    ) {
        // Every member of a C struct has an offset.
        offset = MemoryLayout<egp_host>.offset(of: member) ?? 0
        signature = ForeignClosure.Signature(result: result, arguments: [.pointer] + arguments)
        self.body = body
    }

    static var all: [HostFunction] {
        [
            HostFunction(\.log, .nothing, [.int32, .bytes, .bytes]) { _, _, arguments, user in
                guard let call = Call(user, arguments) else { return }
                call.log()
            },
            HostFunction(\.now_ns, .int64, []) { _, result, arguments, user in
                let host = Call(user, arguments)?.host("now_ns", needsLive: false)
                result?.storeBytes(of: host == nil ? Int64.max : HostClock.now().nanoseconds, as: Int64.self)
            },
            HostFunction(\.complete, .nothing, [.uint64, .pointer]) { _, _, arguments, user in
                Call(user, arguments)?.complete()
            },
            HostFunction(\.http_send, .int32, [.pointer, .pointer, .pointer]) { _, result, arguments, user in
                give(Call(user, arguments)?.send(), result)
            },
            HostFunction(\.log_enabled, .int32, [.int32]) { _, result, arguments, user in
                give(Call(user, arguments)?.logEnabled(), result)
            },
            HostFunction(\.current_thread, .int32, []) { _, result, arguments, user in
                give(Call(user, arguments)?.currentThread(), result)
            },
            HostFunction(\.is_cancelled, .int32, [.uint64]) { _, result, arguments, user in
                give(Call(user, arguments)?.isCancelled(), result)
            },
            HostFunction(\.timer_start, .int32, [.int64, .pointer, .pointer, .pointer]) { _, result, arguments, user in
                give(Call(user, arguments)?.startTimer(), result)
            },
            HostFunction(\.timer_cancel, .int32, [.uint64]) { _, result, arguments, user in
                give(Call(user, arguments)?.cancelTimer(), result)
            },
            HostFunction(\.secret_read, .int32, [.bytes, .pointer]) { _, result, arguments, user in
                give(Call(user, arguments)?.readSecret(), result)
            },
            HostFunction(\.metric, .int32, [.pointer]) { _, result, arguments, user in
                give(Call(user, arguments)?.metric(), result)
            },
            HostFunction(\.event, .int32, [.pointer]) { _, result, arguments, user in
                give(Call(user, arguments)?.event(), result)
            },
        ]
    }
}

/// A result narrower than a register is written as wide as one.
private func give(_ value: Int32?, _ result: UnsafeMutableRawPointer?) {
    result?.storeBytes(of: Int64(value ?? egp_code(EGP_CANCELLED)), as: Int64.self)
}

/// One call of a function of the table: on the caller's thread, until it returns.
private struct Call {
    private let binding: HostBinding
    private let arguments: UnsafeMutablePointer<UnsafeMutableRawPointer?>

    init?(_ user: UnsafeMutableRawPointer?, _ arguments: UnsafeMutablePointer<UnsafeMutableRawPointer?>?) {
        guard let user, let arguments else { return nil }
        binding = Unmanaged<HostBinding>.fromOpaque(user).takeUnretainedValue()
        self.arguments = arguments
    }

    func host(_ function: String, needsLive: Bool = true) -> (any InstanceHost)? {
        binding.admit(function, argument(0, UnsafeMutableRawPointer?.self) ?? nil, needsLive: needsLive)
    }

    private func argument<T>(_ index: Int, _ type: T.Type) -> T? {
        arguments[index]?.load(as: type)
    }

    private var bad: Int32 { egp_code(EGP_INVALID) }
    private var revoked: Int32 { egp_code(EGP_CANCELLED) }

    /// A struct of the plugin's, if it has at least the members of 1.0.
    private func structure<T>(_ index: Int, _ type: T.Type, size: (T) -> UInt32) -> T? {
        guard let pointer = argument(index, UnsafePointer<T>?.self) ?? nil else { return nil }
        // The first member, before the rest, which may not be there.
        let given = UnsafeRawPointer(pointer).load(as: UInt32.self)
        return given >= UInt32(MemoryLayout<T>.size) ? pointer.pointee : nil
    }

    func log() {
        let level = LogLevel(rawValue: argument(1, Int32.self) ?? 0) ?? .error
        guard let host = host("log", needsLive: false), host.isLogEnabled(level),
            let message = argument(2, egp_bytes.self), let metadata = argument(3, egp_bytes.self)
        else { return }
        let fields = (try? JSONDecoder().decode([String: String].self, from: metadata.copied)) ?? [:]
        host.log(level, message.cut(EGP_MAXIMUM_MESSAGE).text, fields)
    }

    func logEnabled() -> Int32 {
        let level = LogLevel(rawValue: argument(1, Int32.self) ?? 0) ?? .error
        guard let host = host("log_enabled", needsLive: false) else { return 0 }
        return host.isLogEnabled(level) ? 1 : 0
    }

    func currentThread() -> Int32 {
        guard host("current_thread", needsLive: false) != nil else { return 0 }
        return binding.currentThread.rawValue
    }

    func isCancelled() -> Int32 {
        guard let host = host("is_cancelled") else { return 0 }
        return host.isCancelled(argument(1, UInt64.self) ?? 0) ? 1 : 0
    }

    func complete() {
        guard let host = host("complete"), let completion = argument(2, UnsafePointer<egp_completion>?.self) ?? nil
        else { return }
        host.complete(argument(1, UInt64.self) ?? 0, PluginCompletion(completion, of: host))
    }

    func send() -> Int32 {
        guard let host = host("http_send") else { return revoked }
        guard let raw = structure(1, egp_http_request.self, size: \.size), raw.flags == 0,
            let done = argument(2, egp_http_done?.self) ?? nil, raw.body.length <= UInt64(BatchLimits.maximumBytes),
            raw.headers.length <= UInt64(BatchLimits.maximumBytes),
            let headers = try? BorderHeaders.decode(raw.headers.copied)
        else { return bad }
        let exchange = HTTPRequest(
            method: raw.method.text, url: raw.url.text, headers: headers, body: raw.body.copied,
            deadline: HostInstant(nanoseconds: raw.deadline_ns))
        let reply = HTTPReply(
            done: done, context: argument(3, UnsafeMutableRawPointer?.self) ?? nil, isPoisoned: binding.isChecked)
        return host.send(exchange) { reply.deliver($0) }.borderCode
    }

    func startTimer() -> Int32 {
        guard let host = host("timer_start") else { return revoked }
        guard let delay = argument(1, Int64.self), let done = argument(2, egp_timer_done?.self) ?? nil,
            let number = argument(4, UnsafeMutablePointer<UInt64>?.self) ?? nil
        else { return bad }
        let reply = TimerReply(done: done, context: argument(3, UnsafeMutableRawPointer?.self) ?? nil)
        let (code, given) = host.startTimer(after: .nanoseconds(delay)) { reply.deliver($0) }
        if code == .ok { number.pointee = given }
        return code.borderCode
    }

    func cancelTimer() -> Int32 {
        host("timer_cancel")?.cancelTimer(argument(1, UInt64.self) ?? 0).borderCode ?? revoked
    }

    func readSecret() -> Int32 {
        guard let host = host("secret_read", needsLive: false) else { return revoked }
        guard let name = argument(1, egp_bytes.self), name.length <= UInt64(EGP_MAXIMUM_IDENTIFIER),
            let sink = structure(2, egp_sink.self, size: \.size), sink.flags == 0, let write = sink.write
        else { return bad }
        let (code, secret) = host.readSecret(name.text)
        if code == .ok { secret.withBorderBytes { write(sink.context, $0) } }
        return code.borderCode
    }

    func metric() -> Int32 {
        guard let host = host("metric") else { return revoked }
        guard let raw = structure(1, egp_metric.self, size: \.size), let kind = PluginMetric.Kind(border: raw.kind),
            raw.name.length <= 64, raw.labels.length <= 8192
        else { return bad }
        var labels: [String: String] = [:]
        if raw.labels.length > 0 {
            guard let given = try? JSONDecoder().decode([String: String].self, from: raw.labels.copied) else {
                return bad
            }
            labels = given
        }
        return host.record(PluginMetric(kind: kind, name: raw.name.text, labels: labels, value: raw.value)).borderCode
    }

    func event() -> Int32 {
        guard let host = host("event") else { return revoked }
        guard let raw = structure(1, egp_event.self, size: \.size),
            raw.severity == Int32(EGP_EVENT_NORMAL) || raw.severity == Int32(EGP_EVENT_WARNING),
            raw.item.length <= UInt64(EGP_MAXIMUM_IDENTIFIER), raw.reason.length <= 128
        else { return bad }
        let event = PluginEvent(
            severity: raw.severity == Int32(EGP_EVENT_WARNING) ? .warning : .normal, item: raw.item.text,
            reason: raw.reason.text, message: raw.message.cut(EGP_MAXIMUM_MESSAGE).text)
        return host.post(event).borderCode
    }
}

extension PluginMetric.Kind {
    fileprivate init?(border: Int32) {
        switch Int(border) {
        case Int(EGP_METRIC_COUNTER): self = .counter
        case Int(EGP_METRIC_GAUGE): self = .gauge
        case Int(EGP_METRIC_HISTOGRAM): self = .histogram
        default: return nil
        }
    }
}

extension egp_bytes {
    /// The first bytes, at most `maximum`.
    fileprivate func cut(_ maximum: some BinaryInteger) -> egp_bytes {
        egp_bytes(data: data, length: min(length, UInt64(maximum)))
    }
}

extension PluginCompletion {
    /// - Parameter host: gets the report of what is no completion.
    fileprivate init(_ border: UnsafePointer<egp_completion>, of host: any InstanceHost) {
        // Read before the rest, which may not be there.
        let size = UnsafeRawPointer(border).load(as: UInt32.self)
        guard size >= UInt32(MemoryLayout<egp_completion>.size) else {
            let problem = "egp_completion of \(size) bytes; at least \(MemoryLayout<egp_completion>.size) are needed"
            host.report(.other(requirement: "P-23", problem))
            self.init(code: .terminal, message: "plugin \(host.name): \(problem)")
            return
        }
        let raw = border.pointee
        guard raw.code != egp_code(EGP_OK) else {
            // One byte more than allowed is enough to refuse it.
            self.init(code: .ok, result: raw.result.cut(BatchLimits.maximumBytes + 1).copied)
            return
        }
        if ResultCode(borderCode: raw.code) == nil {
            host.report(.other(requirement: "P-14", "egp_completion.code is \(raw.code), which is none"))
        }
        self.init(
            code: ResultCode(failureCode: raw.code), message: raw.message.cut(EGP_MAXIMUM_MESSAGE).text,
            retryAfterMilliseconds: raw.retry_after_ns > 0 ? Int(raw.retry_after_ns / 1_000_000) : nil,
            reason: raw.reason.length > 0 && raw.reason.length <= 64 ? raw.reason.text : nil)
    }
}
