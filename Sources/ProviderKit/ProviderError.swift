/// The one error type of this module, and of plugins at the border.
public struct ProviderError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What the caller does next.
    public var code: ResultCode
    /// One line for a person, naming field, value and what is allowed.
    public var message: String
    /// With ``ResultCode/throttled``: the least wait in milliseconds.
    public var retryAfterMilliseconds: Int?
    /// One CamelCase word for what a person can mend, from the capability's list (``FailureReason``); nil for a failure
    /// that passes by itself. A host ignores a word that ``isReason(_:)`` refuses.
    public var reason: String?

    public init(
        _ code: ResultCode, _ message: String, retryAfterMilliseconds: Int? = nil, reason: FailureReason? = nil
    ) {
        self.code = code
        self.message = message
        self.retryAfterMilliseconds = retryAfterMilliseconds
        self.reason = reason?.rawValue
    }

    public var description: String { message }

    /// Any error as one of ours: an unknown kind may pass, so the caller tries again.
    public init(_ error: any Error) {
        switch error {
        case let error as ProviderError: self = error
        case is CancellationError: self.init(.cancelled, "cancelled")
        default: self.init(.retry, String(describing: error))
        }
    }
}
