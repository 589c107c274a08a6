import FoundationEssentials

/// Anything that went wrong between this module and an API server.
public struct KubernetesError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it is; the HTTP status and the Status reason decide.
    public enum Code: String, Sendable {
        /// No such object (404).
        case notFound
        /// The object changed since it was read, or a precondition does not hold (409).
        case conflict
        /// An object of that name is there (409 with reason AlreadyExists).
        case alreadyExists
        /// The resourceVersion or the continue token is too old (410).
        case gone
        /// The resourceVersion is newer than any that the server knows (504 with the cause ResourceVersionTooLarge): it
        /// lags, or it was restored from a backup.
        case versionTooLarge
        /// The server refuses the object's content (422).
        case invalid
        /// The server refuses the request (400 and other 4xx).
        case badRequest
        /// The credential is missing, wrong or expired (401).
        case unauthorized
        /// The credential does not allow this (403).
        case forbidden
        /// The server asks to slow down (429).
        case tooManyRequests
        /// The server cannot be reached, broke off, or answered 5xx.
        case unavailable
        /// Nothing came in the allowed time.
        case timeout
        /// An answer that no API server gives, such as a page of HTML.
        case unexpectedResponse
        /// The answer is longer than the client accepts.
        case responseTooLarge
        /// An object without the shape of its kind.
        case undecodable
        /// The kubeconfig or the in-cluster files are wrong.
        case configuration
        /// Something that this client does not do; it says what to use instead.
        case unsupported
    }

    /// What the caller should do.
    public enum Advice: String, Sendable {
        /// Try the same again, after `retryAfter` if given, otherwise with backoff.
        case retry
        /// Read the object again and decide anew.
        case readAgain
        /// List anew, then watch from there.
        case listAgain
        /// Do not repeat; something must be corrected first.
        case correct
    }

    /// What kind of failure it is.
    public let code: Code
    /// One line that names what was asked and what came back.
    public let message: String
    /// The HTTP status, if an answer came.
    public let httpStatus: Int?
    /// The server's wish from `Retry-After`, if any.
    public let retryAfter: Duration?
    /// The error below, if any.
    public let cause: (any Error)?

    /// Makes an error; for the client and for fakes in tests.
    public init(
        _ code: Code, _ message: String, httpStatus: Int? = nil, retryAfter: Duration? = nil,
        cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.httpStatus = httpStatus
        self.retryAfter = retryAfter
        self.cause = cause
    }

    /// The error that an answer without success stands for; for transports.
    ///
    /// - Parameters:
    ///   - body: a `metav1.Status` in JSON, or anything else.
    ///   - retryAfterHeader: text of the header `Retry-After`.
    ///   - request: what was asked; starts the message.
    public init(httpStatus: Int, body: Data, retryAfterHeader: String? = nil, request: String) {
        self = ServerStatus.error(
            httpStatus: httpStatus, body: body, retryAfterHeader: retryAfterHeader, request: request)
    }

    /// What the caller should do; follows from the code.
    public var advice: Advice {
        switch code {
        case .conflict: .readAgain
        case .gone, .versionTooLarge: .listAgain
        case .tooManyRequests, .unavailable, .timeout, .unexpectedResponse, .unauthorized: .retry
        case .notFound, .alreadyExists, .invalid, .badRequest, .forbidden, .responseTooLarge, .undecodable,
            .configuration, .unsupported:
            .correct
        }
    }

    public var description: String {
        let below = cause.map { " (\($0))" } ?? ""
        return "\(message)\(below)"
    }
}

/// `metav1.Status`: how an API server says no.
struct ServerStatus: Decodable {
    var message: String?
    var reason: String?
    var code: Int?
    var details: Details?

    struct Details: Decodable {
        var retryAfterSeconds: Int?
        var causes: [Cause]?
    }

    struct Cause: Decodable {
        var reason: String?
    }

    /// The error for an answer with this status code; `retryAfterHeader` is the header's text.
    static func error(
        httpStatus: Int, body: Data, retryAfterHeader: String? = nil, request: String
    ) -> KubernetesError {
        let status = try? KubernetesJSON.decode(ServerStatus.self, from: body)
        let headerSeconds = retryAfterHeader.flatMap { Int($0) }
        return (status ?? ServerStatus()).error(
            httpStatus: httpStatus, headerSeconds: headerSeconds, fallbackBody: body, request: request)
    }

    /// The error that an ERROR event of a watch stands for.
    func watchError(request: String) -> KubernetesError {
        error(httpStatus: code ?? 500, headerSeconds: nil, fallbackBody: Data(), request: request)
    }

    private func error(
        httpStatus: Int, headerSeconds: Int?, fallbackBody: Data, request: String
    ) -> KubernetesError {
        let text = message ?? BodyExcerpt.text(fallbackBody)
        let seconds = headerSeconds ?? details?.retryAfterSeconds
        // A server that names days must not put a controller to sleep for days.
        let wait = seconds.map { Duration.seconds(min(max($0, 0), 600)) }
        let code =
            isVersionTooLarge ? .versionTooLarge : Self.code(httpStatus: httpStatus, reason: reason ?? "")
        return KubernetesError(
            code, "\(request): \(httpStatus) \(text)", httpStatus: httpStatus, retryAfter: wait)
    }

    /// `metav1.CauseTypeResourceVersionTooLarge`.
    private var isVersionTooLarge: Bool {
        details?.causes?.contains { $0.reason == "ResourceVersionTooLarge" } ?? false
    }

    private static func code(httpStatus: Int, reason: String) -> KubernetesError.Code {
        switch (httpStatus, reason) {
        case (_, "Expired"), (410, _): .gone
        case (409, "AlreadyExists"): .alreadyExists
        case (409, _): .conflict
        case (404, _): .notFound
        case (401, _): .unauthorized
        case (403, _): .forbidden
        case (422, _): .invalid
        case (429, _): .tooManyRequests
        case (504, _): .timeout
        case (500...599, _): .unavailable
        case (400...499, _): .badRequest
        default: .unexpectedResponse
        }
    }
}

/// The first words of a body, fit for one line of a log.
enum BodyExcerpt {
    static func text(_ body: Data) -> String {
        let text = String(decoding: body.prefix(120), as: UTF8.self)
        return String(text.map { $0.isNewline ? " " : $0 })
    }
}
