import Dispatch
import FoundationEssentials
import Glibc
import JSONModel
import ProviderAPI
import ProviderKit

/// What came of one call of a verb.
struct Answer: Sendable {
    var what: String
    /// What the verb returned.
    var returned: egp_code
    /// The first completion; nil if the verb refused the call.
    var completion: Completion?
    /// From the call of the verb until it returned.
    var verbTime: Duration

    /// The code that the caller acts on.
    var code: egp_code { completion?.code ?? returned }

    var isOK: Bool { returned == egp_code(EGP_OK) && completion?.code == egp_code(EGP_OK) }

    /// For a reason of a failure.
    var summary: String {
        if let completion { return completion.summary }
        return "the verb returned \(ResultCode(borderCode: returned)?.rawValue ?? "the unknown code \(returned)")"
    }
}

/// A live instance, and the host that serves it.
///
/// Sendable: what crosses threads is [any-thread] by the header; `destroy` is called by the case's main thread only.
final class LiveInstance: @unchecked Sendable {
    let host: RawHost
    let provider: egp_provider
    let pointer: OpaquePointer
    private var isDestroyed = false

    /// The host ends the wait for callbacks of its own after so long.
    private static let settleLimit = Duration.seconds(10 * CheckLimits.patience)

    init(host: RawHost, provider: egp_provider, pointer: OpaquePointer) {
        self.host = host
        self.provider = provider
        self.pointer = pointer
    }

    // MARK: Capabilities

    /// The plugin's own pointer.
    func rawCapability(_ identifier: Data) -> UnsafePointer<egp_capability>? {
        host.inside(Int32(EGP_THREAD_VERB)) {
            identifier.withBorderBytes { provider.capability?(pointer, $0) ?? nil }
        }
    }

    func capability(_ identifier: String) throws(CheckError) -> egp_capability {
        guard let raw = rawCapability(Data(identifier.utf8)) else {
            throw .failed("the capability \(identifier), which the descriptor lists, is NULL")
        }
        guard raw.pointee.size >= UInt32(MemoryLayout<egp_capability>.size) else {
            throw .failed("the table of \(identifier) has \(raw.pointee.size) bytes; 1.0 has 48")
        }
        return raw.pointee
    }

    // MARK: Calls

    /// How a call differs from an ordinary one.
    struct CallOptions: Sendable {
        var size = UInt32(MemoryLayout<egp_call>.size)
        var flags: UInt32 = 0
        /// Whether a look at the call after the verb has returned is to be a crash.
        var takesAway = false
        /// From now; may be negative.
        var deadline = Duration.seconds(30)
        /// Until which the completion must come; by default a little more than the deadline.
        var limit: Duration?
    }

    /// Calls a verb and waits for its end.
    ///
    /// - Throws: ``CheckError/failed(_:)`` if it was accepted and did not complete in time.
    func call(
        _ verb: egp_verb, _ what: String, _ request: Data, items: [String] = [], options: CallOptions = CallOptions()
    ) throws(CheckError) -> Answer {
        let (pending, code, time) = begin(verb, what, request, items: items, options: options)
        return try finish(
            pending, code, time, limit: options.limit ?? options.deadline + .seconds(2 * CheckLimits.patience))
    }

    /// Calls a verb and does not wait.
    func begin(
        _ verb: egp_verb, _ what: String, _ request: Data, items: [String] = [], options: CallOptions = CallOptions()
    ) -> (PendingCall, egp_code, Duration) {
        let pending = host.open(what, items: items)
        return request.withBorderBytes { bytes in
            let (code, time) = start(pending, verb, bytes, options: options)
            return (pending, code, time)
        }
    }

    /// Calls a verb with exactly these bytes.
    func start(
        _ pending: PendingCall, _ verb: egp_verb, _ request: egp_bytes, options: CallOptions = CallOptions()
    ) -> (egp_code, Duration) {
        var call = egp_call()
        call.size = options.size
        call.flags = options.flags
        call.ticket = pending.ticket
        call.deadline_ns = RawHost.now + options.deadline.nanoseconds
        guard options.takesAway || Int(options.size) != MemoryLayout<egp_call>.size else {
            return start(pending, verb, request, &call)
        }
        // As much memory as the struct says it has, so that who reads more of it crashes; at least its first member.
        guard let memory = try? GuardedMemory(count: max(8, Int(options.size))) else {
            return (egp_code(EGP_RETRY), .zero)
        }
        withUnsafeBytes(of: call) {
            memory.pointer.copyMemory(
                from: $0.baseAddress ?? UnsafeRawPointer(memory.pointer), byteCount: min($0.count, memory.count))
        }
        let result = start(pending, verb, request, memory.pointer.assumingMemoryBound(to: egp_call.self))
        if options.takesAway { memory.lock() }
        return result
    }

    private func start(
        _ pending: PendingCall, _ verb: egp_verb, _ request: egp_bytes, _ call: UnsafePointer<egp_call>
    ) -> (egp_code, Duration) {
        let begun = ContinuousClock.now
        let code = host.inside(Int32(EGP_THREAD_VERB)) { verb(pointer, call, request) }
        let time = ContinuousClock.now - begun
        host.accepted(pending, code)
        return (code, time)
    }

    /// Waits for the end of a call.
    func finish(_ pending: PendingCall, _ code: egp_code, _ time: Duration, limit: Duration) throws(CheckError)
        -> Answer
    {
        var answer = Answer(what: pending.what, returned: code, completion: nil, verbTime: time)
        guard code == egp_code(EGP_OK) else { return answer }
        guard pending.completed.wait(timeout: .now() + .nanoseconds(Int(limit.nanoseconds))) == .success else {
            throw .failed("\(pending.what) was accepted and has not completed after \(limit)")
        }
        answer.completion = host.completions(pending).first
        return answer
    }

    func cancel(_ ticket: UInt64) {
        host.markCancelled(ticket)
        host.inside(Int32(EGP_THREAD_VERB)) { provider.cancel?(pointer, ticket) }
    }

    // MARK: The end

    /// Ends the instance in the order that the header gives: calls in flight are cancelled, callbacks settled.
    func destroy() throws(CheckError) {
        guard !isDestroyed else { return }
        isDestroyed = true
        for ticket in host.cancelAll() { host.inside(Int32(EGP_THREAD_VERB)) { provider.cancel?(pointer, ticket) } }
        guard host.settleCallbacks(within: Self.settleLimit) else {
            throw .failed("a callback of a timer or an HTTP exchange has not returned after \(Self.settleLimit)")
        }
        host.inside(Int32(EGP_THREAD_HOST)) { provider.destroy?(pointer) }
        host.end()
    }
}

extension Duration {
    /// Whole nanoseconds; the durations here are hours at most.
    var nanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }

    var milliseconds: Int { Int(nanoseconds / 1_000_000) }
}
