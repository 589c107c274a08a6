import HTTPTypes
import Hummingbird
import NIOCore

/// The edge to Hummingbird: requests in, answers out, and nothing decided.
struct APIResponder: HTTPResponder {
    typealias Context = APIRequestContext

    /// Bytes; the real server's limit on request bodies.
    static let maximumBody = 3 * 1024 * 1024

    let service: APIService
    /// Nil: whoever reaches the listener may do everything.
    var allows: (@Sendable (APIAccess) -> Bool)?

    func respond(to request: Request, context: Context) async throws -> Response {
        let body: ByteBuffer
        do {
            body = try await request.body.collect(upTo: Self.maximumBody)
        } catch is NIOTooManyBytesError {
            let error = APIStatusError.tooLargeBody(limit: Self.maximumBody)
            return Self.response(.value(error.value, status: error.code))
        }
        let target = request.head.path ?? "/"
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let call = APIRequest(
            method: request.method.rawValue, target: APIRequestTarget(path: String(parts[0])),
            query: APIQuery(parts.count > 1 ? String(parts[1]) : ""),
            accept: request.headers[.accept] ?? "", contentType: request.headers[.contentType] ?? "",
            userAgent: request.headers[.userAgent] ?? "", body: Array(body.readableBytesView))
        if let allows, let access = APIAccess(call), !allows(access) {
            let error = APIStatusError.forbidden(access)
            return Self.response(.value(error.value, status: error.code))
        }
        switch await service.answer(call) {
        case .complete(let complete): return Self.response(complete)
        case .watch(let session): return Self.response(session, on: context.channel)
        }
    }

    private static func response(_ answer: APICompleteAnswer) -> Response {
        var headers: HTTPFields = [.contentType: answer.contentType, .cacheControl: "no-cache, private"]
        if let name = HTTPField.Name("Warning") {
            for warning in answer.warnings {
                let text = warning.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
                headers.append(HTTPField(name: name, value: "299 - \"\(text)\""))
            }
        }
        return Response(
            status: .init(code: answer.status), headers: headers,
            body: .init(byteBuffer: ByteBuffer(bytes: answer.body)))
    }

    /// The stream ends when the session ends, and the session when the client goes.
    private static func response(_ session: APIWatchSession, on channel: any Channel) -> Response {
        let body = ResponseBody { writer in
            let monitor = try await channel.pipeline.handler(type: APIConnectionMonitor.self).get()
            monitor.setCloseHandler { session.cancel() }
            defer { monitor.setCloseHandler(nil) }
            try await session.run { try await writer.write(ByteBuffer(bytes: $0)) }
            try await writer.finish(nil)
        }
        return Response(
            status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-cache, private"], body: body)
    }
}

/// What a request brings along: the connection it came on.
struct APIRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
