import FoundationEssentials
import Glibc
import ProviderAPI

/// The functions of `egp_host`, for reports.
enum HostService: String, Sendable, CaseIterable {
    case log, nowNanoseconds = "now_ns", complete, httpSend = "http_send", logEnabled = "log_enabled"
    case currentThread = "current_thread", isCancelled = "is_cancelled", timerStart = "timer_start"
    case timerCancel = "timer_cancel", secretRead = "secret_read", metric, event

    /// Whether `create` may call it.
    var isAllowedInCreate: Bool {
        switch self {
        case .log, .logEnabled, .nowNanoseconds, .currentThread, .secretRead: true
        default: false
        }
    }
}

/// A breach of the contract that the host saw. Cases look at the kinds they are made for.
struct Breach: Sendable, Equatable {
    enum Kind: Sendable {
        /// A service that `create` may not call was called on its thread.
        case forbiddenInCreate
        /// A service was called after `destroy` had returned.
        case afterDestroy
        /// A second completion of one ticket.
        case completedTwice
        /// A completion of a ticket that was never given, or of a call that was refused.
        case completedUnknown
        /// Arguments that the header does not allow.
        case badArguments
    }

    var kind: Kind
    var text: String
}

/// What the host knows of one instance. Guarded by the lock of ``RawHost``.
struct HostState {
    enum Phase: Sendable {
        case making, live, gone
    }

    struct Call {
        var pending: PendingCall
        /// nil: the verb has not returned yet.
        var accepted: egp_code?
        var completions: [Completion] = []
        var isCancelled = false
    }

    struct PendingTimer {
        var done: egp_timer_done
        /// Address of the callback's context.
        var context: UInt
    }

    /// A plugin gone wild must not fill the validator's memory.
    static let maximumBreaches = 64
    static let maximumLogLines = 2_000

    var phase = Phase.making
    /// The thread that is inside `create`.
    var makingThread: pid_t = 0
    var calls: [UInt64: Call] = [:]
    var nextTicket: UInt64 = 1
    var breaches: [Breach] = []
    /// Message and metadata of each line.
    var logLines: [String] = []
    var timers: [UInt64: PendingTimer] = [:]
    var nextTimer: UInt64 = 1
    /// HTTP exchanges under way, and callbacks being called.
    var exchanges = 0
    var callbacks = 0
    var metricSeries: Set<String> = []
    /// Ids of items of requests, which events may name.
    var itemIdentifiers: Set<String> = []
    /// Threads inside a call into the instance, and what they are to it.
    var threads: [pid_t: Int32] = [:]
    var servicesCalled: Set<HostService> = []

    mutating func report(_ kind: Breach.Kind, _ text: String) {
        if breaches.count < Self.maximumBreaches { breaches.append(Breach(kind: kind, text: text)) }
    }

    /// Notes a call of a service.
    ///
    /// - Returns: false if the instance is gone: the call has no effect.
    mutating func enter(_ service: HostService, thread: pid_t) -> Bool {
        servicesCalled.insert(service)
        switch phase {
        case .making where thread == makingThread && !service.isAllowedInCreate:
            report(.forbiddenInCreate, "create called \(service.rawValue) of the host")
        case .gone:
            report(.afterDestroy, "\(service.rawValue) of the host was called after destroy had returned")
            return false
        case .making, .live: break
        }
        return true
    }
}
