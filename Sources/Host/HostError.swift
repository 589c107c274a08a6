/// The one error type of the host.
public struct HostError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of thing went wrong; says what the caller can do.
    public enum Code: String, Sendable {
        /// `host.yaml` is wrong: a person corrects it.
        case configuration
        /// A plugin cannot be loaded: a person replaces it.
        case plugin
        /// A needed service did not answer in time: start again later.
        case unavailable
        /// An object of a user breaks a rule: the user corrects it.
        case invalidObject
    }

    public var code: Code
    /// One line that names the field or file, the value, and what is allowed.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
