/// What went wrong in the lab: its processes, its container runtime, its supervisor.
public struct LabError: Error, Sendable, CustomStringConvertible {
    /// Decides what the caller does next.
    public enum Code: String, Sendable {
        /// A value or file given to the lab is wrong. Correct what the message names.
        case invalidInput
        /// A program could not be started or ended with an error.
        case processFailed
        /// Something did not happen in time.
        case timeout
        /// A lab is up already, or belongs to another state directory.
        case alreadyUp
        /// No lab is up.
        case notUp
        /// The process is not root.
        case notPermitted
        /// The operating system refused.
        case system
    }

    public let code: Code
    /// What was tried, with the values concerned; one line.
    public let message: String
    /// What the other side said, if it said anything.
    public let cause: String?
    /// What the caller can do about it; one line.
    public let advice: String

    public init(code: Code, message: String, cause: String? = nil, advice: String) {
        self.code = code
        self.message = message
        self.cause = cause
        self.advice = advice
    }

    public var description: String {
        let reason = cause.map { ": \($0)" } ?? ""
        return "\(message)\(reason); \(advice)"
    }
}
