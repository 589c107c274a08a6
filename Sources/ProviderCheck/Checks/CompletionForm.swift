import FoundationEssentials
import ProviderAPI
import ProviderKit

/// Holds completions to `egress_host.h`.
enum CompletionForm {
    /// nil if all is well; else a text that goes on after "the completion of ...".
    static func problem(of completion: Completion) -> String? {
        guard Int(completion.size) >= MemoryLayout<egp_completion>.size else {
            return "has the size \(completion.size); 1.0 has \(MemoryLayout<egp_completion>.size)"
        }
        guard let code = ResultCode(borderCode: completion.code) else {
            return "has the unknown code \(completion.code)"
        }
        guard completion.retryAfterNanoseconds == 0 || code == .throttled, completion.retryAfterNanoseconds >= 0 else {
            return "has retry_after_ns \(completion.retryAfterNanoseconds) with the code \(code.rawValue)"
        }
        guard completion.reason.isEmpty || HostArguments.isReason(completion.reason) else {
            return "has the reason \"\(String(decoding: completion.reason.prefix(100), as: UTF8.self))\""
        }
        if code == .ok {
            guard completion.message.isEmpty else { return "has a message with EGP_OK: \(completion.messageText)" }
            guard completion.result.count <= Int(EGP_MAXIMUM_BYTES) else {
                return "has a result of \(completion.result.count) bytes"
            }
            return nil
        }
        guard completion.result.isEmpty else { return "has a result with the code \(code.rawValue)" }
        return problem(ofMessage: completion.message).map { "has a message that \($0)" }
    }

    /// nil if it is one line for a person. It may be of any length: what exceeds EGP_MAXIMUM_MESSAGE the host cuts.
    static func problem(ofMessage message: Data) -> String? {
        guard let text = String(validating: message, as: UTF8.self) else { return "is not UTF-8" }
        guard !text.isEmpty else { return "is empty" }
        guard !text.contains(where: { $0.isNewline || $0 == "\0" }) else { return "has more than one line: \(text)" }
        return nil
    }
}
