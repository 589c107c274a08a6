import CLinuxShim
import Dispatch
import FoundationEssentials
import Glibc
import ProviderAPI
import Synchronization

/// The host as one instance of a plugin sees it. It keeps every promise of `egress_host.h` and notes every breach of the
/// plugin's.
///
/// Sendable: the table is written in `init` only; all else is behind the lock.
final class RawHost: @unchecked Sendable {
    /// How much of the table a plugin gets.
    enum Extent: Sendable {
        case full
        /// Ends after `http_send`.
        case required
        /// All of 1.0, but every optional member is NULL.
        case fullWithoutOptional
    }

    let table: UnsafePointer<egp_host>
    let settings: CheckSettings
    let state = Mutex(HostState())
    /// Never freed: the header promises a table that stays readable for ever.
    private let memory: GuardedMemory
    let forwarder: HTTPForwarder?

    init(settings: CheckSettings, extent: Extent = .full, forwarder: HTTPForwarder? = nil) throws(CheckError) {
        self.settings = settings
        self.forwarder = forwarder
        let full = MemoryLayout<egp_host>.size
        let required = (MemoryLayout<egp_host>.offset(of: \.http_send) ?? 0) + MemoryLayout<UInt>.size
        let size = extent == .required ? required : full
        memory = try GuardedMemory(count: size)
        table = UnsafePointer(memory.pointer.assumingMemoryBound(to: egp_host.self))
        var host = Self.functions(optional: extent == .full)
        host.size = UInt32(size)
        host.context = Unmanaged.passRetained(self).toOpaque()
        withUnsafeBytes(of: host) {
            memory.pointer.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(memory.pointer), byteCount: size)
        }
    }

    /// Nanoseconds of the clock that plugins get.
    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    static func from(_ context: UnsafeMutableRawPointer?) -> RawHost? {
        context.map { Unmanaged<RawHost>.fromOpaque($0).takeUnretainedValue() }
    }

    // MARK: What cases ask

    func breaches(_ kinds: Breach.Kind...) -> [String] {
        state.withLock { $0.breaches.filter { kinds.contains($0.kind) }.map(\.text) }
    }

    var logLines: [String] { state.withLock { $0.logLines } }

    var servicesCalled: Set<HostService> { state.withLock { $0.servicesCalled } }

    /// Messages, results and reasons of all completions.
    var answerTexts: [String] {
        state.withLock { state in
            state.calls.values.flatMap(\.completions).flatMap { completion in
                [completion.result, completion.message, completion.reason].map { String(decoding: $0, as: UTF8.self) }
            }
        }
    }

    /// Lets go of what is known of completed calls, so that it does not count as growth.
    func forgetEndedCalls() {
        state.withLock { state in
            state.calls = state.calls.filter { $0.value.completions.isEmpty }
            state.logLines = []
        }
    }

    // MARK: Phases

    func beginMaking() {
        state.withLock { $0.makingThread = shim_gettid() }
    }

    func becomeLive() {
        state.withLock { $0.phase = .live }
    }

    /// After `destroy` has returned: what comes now is a breach.
    func end() {
        state.withLock { $0.phase = .gone }
    }

    // MARK: Calls

    func open(_ what: String, items: [String]) -> PendingCall {
        state.withLock { state in
            let pending = PendingCall(ticket: state.nextTicket, what: what)
            state.nextTicket += 1
            state.calls[pending.ticket] = HostState.Call(pending: pending)
            for identifier in items where state.itemIdentifiers.count < 20_000 {
                state.itemIdentifiers.insert(identifier)
            }
            return pending
        }
    }

    /// The verb has returned `code`.
    func accepted(_ pending: PendingCall, _ code: egp_code) {
        state.withLock { state in
            state.calls[pending.ticket]?.accepted = code
            if code != egp_code(EGP_OK), state.calls[pending.ticket]?.completions.isEmpty == false {
                state.report(.completedUnknown, "\(pending.what) was completed although the verb refused the call")
            }
        }
    }

    func completions(_ pending: PendingCall) -> [Completion] {
        state.withLock { $0.calls[pending.ticket]?.completions ?? [] }
    }

    /// Tickets of accepted calls that have not completed; they are now cancelled.
    func cancelAll() -> [UInt64] {
        state.withLock { state in
            let open = state.calls.filter { $0.value.completions.isEmpty && $0.value.accepted == egp_code(EGP_OK) }
            for ticket in open.keys { state.calls[ticket]?.isCancelled = true }
            return open.keys.sorted()
        }
    }

    func markCancelled(_ ticket: UInt64) {
        state.withLock { $0.calls[ticket]?.isCancelled = true }
    }

    /// Ends all timers and waits until no callback is owed any more, as the host does before `destroy`.
    func settleCallbacks(within limit: Duration) -> Bool {
        let timers = state.withLock { state in
            defer { state.timers.removeAll() }
            state.callbacks += state.timers.count
            return Array(state.timers.values)
        }
        for timer in timers {
            timer.done(UnsafeMutableRawPointer(bitPattern: timer.context), 0)
            state.withLock { $0.callbacks -= 1 }
        }
        forwarder?.cancelAll()
        let end = ContinuousClock.now + limit
        while state.withLock({ $0.exchanges + $0.callbacks }) > 0 {
            if ContinuousClock.now > end { return false }
            usleep(500)
        }
        return true
    }

    /// Runs `body`, which calls into the instance, and says so to `current_thread`.
    func inside<R>(_ kind: Int32, _ body: () throws -> R) rethrows -> R {
        let thread = shim_gettid()
        let outer = state.withLock { $0.threads.updateValue(kind, forKey: thread) }
        defer { state.withLock { $0.threads[thread] = outer } }
        return try body()
    }
}
