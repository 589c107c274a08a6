import JSONModel
import Kubernetes

/// An error as the container runtime gets it: the CNI specification's error object, on the wire of the relay.
struct CNIFailure: Error, Sendable, Equatable {
    /// CNI specification 1.1.0, section 5.
    enum Code: Int64, Sendable {
        case incompatibleVersion = 1
        case environment = 4
        case decoding = 6
        case configuration = 7
        case tryAgainLater = 11
        /// Answer to STATUS: ADD would not succeed now.
        case unavailable = 50
        /// First of the codes that are a plugin's own: the attachment is not as ADD left it.
        case attachmentBroken = 100
    }

    var code: Code
    /// One line: what is wrong.
    var message: String
    /// One line: why, or what is allowed.
    var details: String

    init(_ code: Code, _ message: String, details: String = "") {
        self.code = code
        self.message = message
        self.details = details
    }

    func object(version: String) -> JSONValue {
        .object([
            "cniVersion": .string(version), "code": .integer(code.rawValue),
            "msg": .string("kube-egress-cni: " + message), "details": .string(details),
        ])
    }
}
