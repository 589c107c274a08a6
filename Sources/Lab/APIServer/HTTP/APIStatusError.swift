/// A failure as Kubernetes API servers report it: a `metav1.Status` object whose HTTP status is ``code``.
///
/// The reason is the machine-readable part; clients decide by it (retry on `Conflict`, relist on `Expired`).
/// Source of the reasons, codes and texts: k8s.io/apimachinery/pkg/api/errors.
struct APIStatusError: Error, Sendable, Equatable {
    /// One field of the object and what is wrong with it.
    struct Cause: Sendable, Equatable {
        /// E.g. `FieldValueInvalid`.
        var reason: String
        var message: String
        /// Dotted path, e.g. `spec.defaultRoute`.
        var field: String
    }

    var code: Int
    var reason: String
    var message: String
    var name = ""
    var group = ""
    /// The kind, or the plural name where the real server puts that.
    var kind = ""
    var uid = ""
    var causes: [Cause] = []
    var retryAfterSeconds: Int?

    /// The `metav1.Status` object.
    var value: APIValue {
        var details: [String: APIValue] = [:]
        if !name.isEmpty { details["name"] = .string(name) }
        if !group.isEmpty { details["group"] = .string(group) }
        if !kind.isEmpty { details["kind"] = .string(kind) }
        if !uid.isEmpty { details["uid"] = .string(uid) }
        if let retryAfterSeconds { details["retryAfterSeconds"] = .integer(Int64(retryAfterSeconds)) }
        if !causes.isEmpty {
            details["causes"] = .array(
                causes.map {
                    ["reason": .string($0.reason), "message": .string($0.message), "field": .string($0.field)]
                })
        }
        var status: APIValue = [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
            "message": .string(message), "code": .integer(Int64(code)),
        ]
        if !reason.isEmpty { status["reason"] = .string(reason) }
        if !details.isEmpty { status["details"] = .object(details) }
        return status
    }
}

extension APIStatusError {
    static func badRequest(_ message: String) -> Self { .init(code: 400, reason: "BadRequest", message: message) }

    static func notFound(_ resource: ResourceDescriptor, _ name: String) -> Self {
        .init(
            code: 404, reason: "NotFound", message: "\(resource.qualifiedPlural) \"\(name)\" not found", name: name,
            group: resource.group, kind: resource.plural)
    }

    static func pathNotFound() -> Self {
        .init(code: 404, reason: "NotFound", message: "the server could not find the requested resource")
    }

    static func methodNotAllowed(_ method: String) -> Self {
        .init(
            code: 405, reason: "MethodNotAllowed",
            message: "the server does not allow the method \(method) on the requested resource")
    }

    static func notAcceptable() -> Self {
        .init(
            code: 406, reason: "NotAcceptable",
            message: "only the following media types are accepted: application/json")
    }

    static func alreadyExists(_ resource: ResourceDescriptor, _ name: String) -> Self {
        .init(
            code: 409, reason: "AlreadyExists", message: "\(resource.qualifiedPlural) \"\(name)\" already exists",
            name: name, group: resource.group, kind: resource.plural)
    }

    static func conflict(_ resource: ResourceDescriptor, _ name: String, _ why: String) -> Self {
        .init(
            code: 409, reason: "Conflict",
            message: "Operation cannot be fulfilled on \(resource.qualifiedPlural) \"\(name)\": \(why)", name: name,
            group: resource.group, kind: resource.plural)
    }

    static func modified(_ resource: ResourceDescriptor, _ name: String) -> Self {
        conflict(
            resource, name,
            "the object has been modified; please apply your changes to the latest version and try again")
    }

    /// An applied configuration states fields that others own with other values.
    static func applyConflict(_ conflict: FieldManager.Conflict) -> Self {
        let causes = conflict.fields.map {
            Cause(reason: "FieldManagerConflict", message: "conflict with \($0.manager.text)", field: $0.path)
        }
        var text = "1 conflict: " + causes.map { "\($0.message): \($0.field)" }.joined()
        if causes.count != 1 {
            var lines: [String] = []
            for (index, cause) in causes.enumerated() {
                if index == 0 || causes[index - 1].message != cause.message {
                    lines.append("conflicts" + cause.message.dropFirst("conflict".count) + ":")
                }
                lines.append("- \(cause.field)")
            }
            text = "\(causes.count) conflicts: " + lines.joined(separator: "\n")
        }
        return .init(code: 409, reason: "Conflict", message: "Apply failed with \(text)", causes: causes)
    }

    /// A query parameter of a write breaks the rules of its options, e.g. `PatchOptions`.
    static func invalidOptions(_ kind: String, _ cause: Cause) -> Self {
        .init(
            code: 422, reason: "Invalid",
            message: "\(kind).meta.k8s.io \"\" is invalid: \(cause.field): \(cause.message)", group: "meta.k8s.io",
            kind: kind, causes: [cause])
    }

    static func forbidden(_ resource: ResourceDescriptor, _ name: String, _ why: String) -> Self {
        .init(
            code: 403, reason: "Forbidden",
            message: "\(resource.qualifiedPlural) \"\(name)\" is forbidden: \(why)", name: name,
            group: resource.group, kind: resource.plural)
    }

    static func forbidden(_ access: APIAccess) -> Self {
        let place = access.namespace.map { "in the namespace \"\($0)\"" } ?? "at the cluster scope"
        return .init(
            code: 403, reason: "Forbidden",
            message: "\(access.resource) is forbidden: cannot \(access.verb) resource \"\(access.resource)\" "
                + "in API group \"\(access.group)\" \(place)")
    }

    static func expired(_ message: String) -> Self { .init(code: 410, reason: "Expired", message: message) }

    static func tooLargeResourceVersion(_ requested: Int64, current: Int64) -> Self {
        .init(
            code: 504, reason: "Timeout",
            message: "Timeout: Too large resource version: \(requested), current: \(current)",
            causes: [.init(reason: "ResourceVersionTooLarge", message: "Too large resource version", field: "")],
            retryAfterSeconds: 1)
    }

    static func tooLargeBody(limit: Int) -> Self {
        .init(
            code: 413, reason: "RequestEntityTooLarge",
            message: "Request entity too large: limit is \(limit)")
    }

    static func unsupportedMediaType(_ message: String) -> Self {
        .init(code: 415, reason: "UnsupportedMediaType", message: message)
    }

    static func internalError(_ message: String) -> Self {
        .init(code: 500, reason: "InternalError", message: "Internal error occurred: \(message)")
    }

    /// The object breaks rules of its kind; one cause per field.
    static func invalid(_ resource: ResourceDescriptor, _ name: String, _ causes: [Cause]) -> Self {
        let texts = causes.map { $0.field.isEmpty ? $0.message : "\($0.field): \($0.message)" }
        let list = texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
        let kind = resource.group.isEmpty ? resource.kind : "\(resource.kind).\(resource.group)"
        return .init(
            code: 422, reason: "Invalid", message: "\(kind) \"\(name)\" is invalid: \(list)", name: name,
            group: resource.group, kind: resource.kind, causes: causes)
    }
}

extension APIStatusError.Cause {
    static func required(_ field: String, _ detail: String = "") -> Self {
        .init(
            reason: "FieldValueRequired", message: detail.isEmpty ? "Required value" : "Required value: \(detail)",
            field: field)
    }

    static func invalid(_ field: String, _ value: APIValue, _ detail: String) -> Self {
        .init(reason: "FieldValueInvalid", message: "Invalid value: \(value.text): \(detail)", field: field)
    }

    static func typeInvalid(_ field: String, _ value: APIValue, expected: String) -> Self {
        .init(
            reason: "FieldValueTypeInvalid",
            message: "Invalid value: \"\(value.typeName)\": \(field) in body must be of type \(expected): "
                + "\"\(value.typeName)\"",
            field: field)
    }

    static func notSupported(_ field: String, _ value: APIValue, supported: [APIValue]) -> Self {
        let list = supported.map(\.text).joined(separator: ", ")
        return .init(
            reason: "FieldValueNotSupported", message: "Unsupported value: \(value.text): supported values: \(list)",
            field: field)
    }

    static func forbidden(_ field: String, _ detail: String) -> Self {
        .init(reason: "FieldValueForbidden", message: "Forbidden: \(detail)", field: field)
    }
}
