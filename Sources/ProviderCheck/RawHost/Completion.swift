import Dispatch
import FoundationEssentials
import ProviderAPI
import ProviderKit

/// A copy of one `egp_completion`.
struct Completion: Sendable, Equatable {
    var size: UInt32
    var code: egp_code
    var result = Data()
    var message = Data()
    var retryAfterNanoseconds: Int64 = 0
    var reason = Data()

    /// Copies what `size` says is there.
    init(_ raw: UnsafePointer<egp_completion>) {
        size = raw.pointee.size
        guard Int(size) >= MemoryLayout<egp_completion>.size else {
            code = egp_code(EGP_TERMINAL)
            return
        }
        code = raw.pointee.code
        result = raw.pointee.result.copied
        message = raw.pointee.message.copied
        retryAfterNanoseconds = raw.pointee.retry_after_ns
        reason = raw.pointee.reason.copied
    }

    var messageText: String { String(decoding: message, as: UTF8.self) }

    /// For a reason of a failure: the code in words, and the message.
    var summary: String {
        let name = ResultCode(borderCode: code)?.rawValue ?? "the unknown code \(code)"
        return message.isEmpty ? name : "\(name) (\(messageText.prefix(300)))"
    }
}

/// One call of a verb, from before it is made.
final class PendingCall: Sendable {
    let ticket: UInt64
    /// The call in words, for messages.
    let what: String
    /// Signalled at each completion.
    let completed = DispatchSemaphore(value: 0)

    init(ticket: UInt64, what: String) {
        self.ticket = ticket
        self.what = what
    }
}
