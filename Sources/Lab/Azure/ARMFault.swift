import JSONModel

/// A refusal in ARM's words: status, code, message, and what it is about. The one error type of the simulator.
///
/// Codes are those of the public documents and of recorded traffic; messages are for people and not stable.
struct ARMFault: Error, Sendable, Equatable {
    struct Detail: Sendable, Equatable {
        let code: String
        let message: String
    }

    let status: Int
    let code: String
    let message: String
    var target: String?
    var details: [Detail] = []
    /// Raised by the resource manager itself rather than by a resource provider: answered with
    /// `x-ms-failure-cause: gateway`.
    var isGateway = false
    /// Answered as `Retry-After`; nil: only if the status asks for it.
    var retryAfter: Int?

    init(
        _ status: Int, _ code: String, _ message: String, target: String? = nil, details: [Detail] = [],
        isGateway: Bool = false
    ) {
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.details = details
        self.isGateway = isGateway
    }

    /// The `ErrorDetail` object, as in an error body and in a failed operation.
    var value: JSONValue {
        var value: JSONValue = ["code": .string(code), "message": .string(message)]
        if let target { value["target"] = .string(target) }
        if !details.isEmpty {
            value["details"] = .array(details.map { ["code": .string($0.code), "message": .string($0.message)] })
        }
        return value
    }

    static func unknownMember(_ name: String, of model: String, path: String) -> ARMFault {
        let position = path.isEmpty ? name : "\(path).\(name)"
        let text = "Could not find member '\(name)' on object of type '\(model)'. Path '\(position)'."
        guard path.isEmpty else {
            return ARMFault(
                400, "InvalidRequestFormat", "Cannot parse the request.", target: position,
                details: [Detail(code: "InvalidJson", message: text)])
        }
        return ARMFault(
            400, "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: '\(text)'", target: position)
    }

    static func resourceNotFound(_ type: String, _ name: String, group: String) -> ARMFault {
        ARMFault(
            404, "ResourceNotFound",
            "The Resource '\(type)/\(name)' under resource group '\(group)' was not found. "
                + "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
            isGateway: true)
    }

    static func childNotFound(_ id: String) -> ARMFault {
        ARMFault(404, "NotFound", "Resource \(id) not found.")
    }

    static func invalidReference(_ id: String, from path: String) -> ARMFault {
        ARMFault(
            400, "InvalidResourceReference",
            "Resource \(id) referenced by \(path) was not found. Please make sure that the referenced resource exists, "
                + "and that both resources are in the same region.", target: path)
    }

    static func operationInProgress(_ url: String) -> ARMFault {
        ARMFault(
            409, "AnotherOperationInProgress",
            "Another operation on this or dependent resource is in progress. "
                + "To retrieve status of the operation use uri: \(url)")
    }
}
