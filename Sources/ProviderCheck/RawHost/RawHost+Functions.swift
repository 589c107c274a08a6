import CLinuxShim
import Dispatch
import FoundationEssentials
import Glibc
import JSONModel
import ProviderAPI
import ProviderKit
import Synchronization

/// The members of the table. Each is called by the plugin on any of its threads.
extension RawHost {
    static func functions(optional: Bool) -> egp_host {
        var host = egp_host()
        host.abi_version = UInt32(EGP_ABI_1_0)
        host.log = { RawHost.from($0)?.log($1, $2, $3) }
        host.now_ns = { context in
            guard let host = RawHost.from(context), host.enter(.nowNanoseconds) else { return .max }
            return RawHost.now
        }
        host.complete = { RawHost.from($0)?.complete($1, $2) }
        host.http_send = { RawHost.from($0)?.send($1, $2, $3) ?? egp_code(EGP_CANCELLED) }
        guard optional else { return host }
        host.log_enabled = { context, _ in RawHost.from(context)?.enter(.logEnabled) == true ? 1 : 0 }
        host.current_thread = { RawHost.from($0)?.currentThread() ?? 0 }
        host.is_cancelled = { RawHost.from($0)?.isCancelled($1) ?? 1 }
        host.timer_start = { RawHost.from($0)?.startTimer($1, $2, $3, $4) ?? egp_code(EGP_CANCELLED) }
        host.timer_cancel = { RawHost.from($0)?.cancelTimer($1) ?? egp_code(EGP_CANCELLED) }
        host.secret_read = { RawHost.from($0)?.readSecret($1, $2) ?? egp_code(EGP_CANCELLED) }
        host.metric = { RawHost.from($0)?.take($1) ?? egp_code(EGP_CANCELLED) }
        host.event = { RawHost.from($0)?.take($1) ?? egp_code(EGP_CANCELLED) }
        return host
    }

    func enter(_ service: HostService) -> Bool {
        state.withLock { $0.enter(service, thread: shim_gettid()) }
    }

    private func report(_ text: String) {
        state.withLock { $0.report(.badArguments, text) }
    }

    private func log(_ level: egp_log_level, _ message: egp_bytes, _ metadata: egp_bytes) {
        guard enter(.log) else { return }
        let text = message.copied
        let data = metadata.copied
        if String(validating: text, as: UTF8.self) == nil { report("log: the message is not UTF-8") }
        if !data.isEmpty {
            let values = (try? JSONValue(json: data))?.members?.values
            if values == nil || values?.contains(where: { $0.text == nil }) == true {
                report(
                    "log: metadata is not a JSON object of strings: \(String(decoding: data.prefix(200), as: UTF8.self))"
                )
            }
        }
        if !(egp_log_level(EGP_LOG_TRACE)...egp_log_level(EGP_LOG_ERROR)).contains(level) {
            report("log: level \(level) is none of EGP_LOG_TRACE to EGP_LOG_ERROR")
        }
        let line = String(decoding: text, as: UTF8.self) + " " + String(decoding: data, as: UTF8.self)
        state.withLock { if $0.logLines.count < HostState.maximumLogLines { $0.logLines.append(line) } }
    }

    private func complete(_ ticket: UInt64, _ raw: UnsafePointer<egp_completion>) {
        guard enter(.complete) else { return }
        let completion = Completion(raw)
        let pending: PendingCall? = state.withLock { state in
            guard let call = state.calls[ticket] else {
                state.report(.completedUnknown, "complete was called with the ticket \(ticket), which was never given")
                return nil
            }
            if let code = call.accepted, code != egp_code(EGP_OK) {
                state.report(.completedUnknown, "\(call.pending.what) was completed although the verb refused the call")
            }
            if !call.completions.isEmpty {
                state.report(.completedTwice, "\(call.pending.what) was completed a second time")
            }
            if call.completions.count < 4 { state.calls[ticket]?.completions.append(completion) }
            return call.pending
        }
        pending?.completed.signal()
    }

    private func currentThread() -> Int32 {
        guard enter(.currentThread) else { return 0 }
        return state.withLock { $0.threads[shim_gettid()] ?? Int32(EGP_THREAD_OTHER) }
    }

    private func isCancelled(_ ticket: UInt64) -> Int32 {
        guard enter(.isCancelled) else { return 1 }
        return state.withLock { state in
            guard let call = state.calls[ticket] else { return 1 }
            return call.isCancelled || !call.completions.isEmpty ? 1 : 0
        }
    }

    private func startTimer(
        _ delay: Int64, _ done: egp_timer_done, _ context: UnsafeMutableRawPointer?,
        _ timer: UnsafeMutablePointer<UInt64>
    ) -> egp_code {
        guard enter(.timerStart) else { return egp_code(EGP_CANCELLED) }
        guard delay >= 0 else {
            report("timer_start: the delay \(delay) is negative")
            return egp_code(EGP_INVALID)
        }
        let pending = HostState.PendingTimer(done: done, context: UInt(bitPattern: context))
        let number: UInt64? = state.withLock { state in
            guard state.timers.count < Int(EGP_MAXIMUM_TIMERS) else { return nil }
            defer { state.nextTimer += 1 }
            state.timers[state.nextTimer] = pending
            return state.nextTimer
        }
        guard let number else { return egp_code(EGP_THROTTLED) }
        timer.pointee = number
        let delay = DispatchTimeInterval.nanoseconds(Int(min(delay, 3_600_000_000_000)))
        DispatchQueue.global().asyncAfter(deadline: .now() + delay) { self.endTimer(number, fired: 1) }
        return egp_code(EGP_OK)
    }

    private func endTimer(_ number: UInt64, fired: Int32) {
        let timer = state.withLock { state in
            let timer = state.timers.removeValue(forKey: number)
            if timer != nil { state.callbacks += 1 }
            return timer
        }
        guard let timer else { return }
        timer.done(UnsafeMutableRawPointer(bitPattern: timer.context), fired)
        state.withLock { $0.callbacks -= 1 }
    }

    private func cancelTimer(_ number: UInt64) -> egp_code {
        guard enter(.timerCancel) else { return egp_code(EGP_CANCELLED) }
        guard state.withLock({ $0.timers[number] != nil }) else { return egp_code(EGP_INVALID) }
        // Not on this thread: the header forbids a callback from inside the function that the plugin calls.
        DispatchQueue.global().async { self.endTimer(number, fired: 0) }
        return egp_code(EGP_OK)
    }

    private func readSecret(_ name: egp_bytes, _ sink: UnsafePointer<egp_sink>) -> egp_code {
        guard enter(.secretRead) else { return egp_code(EGP_CANCELLED) }
        guard sink.pointee.size >= UInt32(MemoryLayout<egp_sink>.size), sink.pointee.flags == 0,
            let write = sink.pointee.write
        else {
            report("secret_read: a bad sink")
            return egp_code(EGP_INVALID)
        }
        guard let secret = settings.secrets[name.text] else { return egp_code(EGP_INVALID) }
        secret.withBorderBytes { write(sink.pointee.context, $0) }
        return egp_code(EGP_OK)
    }

    private func take(_ raw: UnsafePointer<egp_metric>) -> egp_code {
        guard enter(.metric) else { return egp_code(EGP_CANCELLED) }
        if let problem = HostArguments.problem(of: raw) {
            report("metric: \(problem)")
            return egp_code(EGP_INVALID)
        }
        let series = raw.pointee.name.text + " " + raw.pointee.labels.text
        return state.withLock { state in
            guard state.metricSeries.count < Int(EGP_MAXIMUM_METRIC_SERIES) || state.metricSeries.contains(series)
            else { return egp_code(EGP_THROTTLED) }
            state.metricSeries.insert(series)
            return egp_code(EGP_OK)
        }
    }

    private func take(_ raw: UnsafePointer<egp_event>) -> egp_code {
        guard enter(.event) else { return egp_code(EGP_CANCELLED) }
        let known = state.withLock { $0.itemIdentifiers }
        if let problem = HostArguments.problem(of: raw, knownItems: known) {
            report("event: \(problem)")
            return egp_code(EGP_INVALID)
        }
        return egp_code(EGP_OK)
    }

    private func send(
        _ raw: UnsafePointer<egp_http_request>, _ done: egp_http_done, _ context: UnsafeMutableRawPointer?
    ) -> egp_code {
        guard enter(.httpSend) else { return egp_code(EGP_CANCELLED) }
        let request: HostArguments.HTTPRequest
        switch HostArguments.request(raw) {
        case .failure(let problem):
            report("http_send: \(problem)")
            return egp_code(EGP_INVALID)
        case .success(let good): request = good
        }
        let hasRoom = state.withLock { state in
            guard state.exchanges < Int(EGP_MAXIMUM_HTTP_EXCHANGES) else { return false }
            state.exchanges += 1
            return true
        }
        guard hasRoom else { return egp_code(EGP_THROTTLED) }
        let address = UInt(bitPattern: context)
        let finish: @Sendable (HTTPForwarder.Answer) -> Void = { answer in
            answer.lend { done(UnsafeMutableRawPointer(bitPattern: address), $0) }
            self.state.withLock { $0.exchanges -= 1 }
        }
        if let forwarder, settings.forward.contains(where: { request.url.hasPrefix($0) }) {
            forwarder.send(request, finish)
        } else {
            let target = request.url.split(separator: "?").first.map(String.init) ?? ""
            DispatchQueue.global().async {
                finish(.none(egp_code(EGP_RETRY), "\(target): http.forward of the --config file does not allow it"))
            }
        }
        return egp_code(EGP_OK)
    }
}
