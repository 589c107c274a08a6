import Glibc

/// What went wrong between this module and the kernel (or with a value given to it).
public struct LinuxNetError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of failure it was; decides what the caller does next.
    public enum Code: String, Sendable {
        /// A value is malformed or out of range. Call again only with another value.
        case invalidValue
        /// The named link, address, route, rule, table or family does not exist.
        case notFound
        /// The thing to be created exists.
        case alreadyExists
        /// The process lacks CAP_NET_ADMIN or CAP_SYS_ADMIN in the namespace.
        case notPermitted
        /// The network namespace does not exist (any more): the pod is gone.
        case namespaceMissing
        /// The kernel does not offer the operation, link kind or family.
        case unsupported
        /// Passing: somebody changed the same thing at the same time, or the kernel was short of memory. Call again.
        case temporary
        /// The kernel did not answer in time.
        case timeout
        /// The kernel refused for another reason, which `cause` names.
        case refused
        /// An answer did not have the form the kernel's headers describe.
        case malformedReply
    }

    public let code: Code
    /// What was tried, with the values concerned; one line.
    public let message: String
    /// The kernel's or library's own words, if it gave any.
    public let cause: String?
    /// errno of the failed call, if there was one.
    public let errorNumber: Int32?
    /// What the caller can do about it; one line.
    public let advice: String

    public init(
        code: Code, message: String, cause: String? = nil, errorNumber: Int32? = nil, advice: String
    ) {
        self.code = code
        self.message = message
        self.cause = cause
        self.errorNumber = errorNumber
        self.advice = advice
    }

    public var description: String {
        let reason = cause.map { ": \($0)" } ?? ""
        return "\(message)\(reason); \(advice)"
    }
}

extension LinuxNetError {
    /// A failed system call or netlink request.
    ///
    /// - Parameters:
    ///   - operation: What was tried, such as "create link wg-6000".
    ///   - errorNumber: errno, positive.
    ///   - kernelText: The extended acknowledgement's text, if the kernel sent one.
    public static func system(
        _ operation: String, errorNumber: Int32, kernelText: String? = nil
    ) -> LinuxNetError {
        let name = String(cString: strerror(errorNumber))
        let (code, advice) = classify(errorNumber)
        return LinuxNetError(
            code: code, message: "cannot \(operation)", cause: kernelText.map { "\(name) (\($0))" } ?? name,
            errorNumber: errorNumber, advice: advice)
    }

    /// A value that does not have the form required of it.
    ///
    /// - Parameters:
    ///   - field: The name under which the caller knows the value.
    ///   - value: The value as given.
    ///   - allowed: What would have been accepted.
    public static func invalid(_ field: String, value: String, allowed: String) -> LinuxNetError {
        LinuxNetError(
            code: .invalidValue, message: "\(field): \"\(value)\" is not allowed", advice: "allowed: \(allowed)")
    }

    static func malformedReply(_ what: String) -> LinuxNetError {
        LinuxNetError(
            code: .malformedReply, message: "the kernel's answer is malformed: \(what)",
            advice: "report it with the kernel version")
    }

    private static func classify(_ errorNumber: Int32) -> (Code, String) {
        switch errorNumber {
        case ENOENT, ENODEV, ESRCH, EADDRNOTAVAIL, ENXIO:
            (.notFound, "it does not exist, or exists no more")
        case EEXIST:
            (.alreadyExists, "use the ensure form, or remove it first")
        case EPERM, EACCES:
            (.notPermitted, "run as root (CAP_NET_ADMIN and CAP_SYS_ADMIN)")
        case EOPNOTSUPP, EPROTONOSUPPORT, EAFNOSUPPORT, ENOSYS:
            (.unsupported, "this kernel does not offer it; check its configuration and modules")
        case EINTR, EBUSY, ENOBUFS, ENOMEM, EMFILE, ENFILE:
            (.temporary, "try again")
        case EAGAIN, ETIMEDOUT:
            (.timeout, "try again; if it persists, look at the kernel log")
        case EINVAL, ERANGE, ENAMETOOLONG:
            (.invalidValue, "check the values named in the message")
        default:
            (.refused, "see the cause")
        }
    }
}
