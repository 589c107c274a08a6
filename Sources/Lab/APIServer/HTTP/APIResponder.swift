import HTTPTypes
import Hummingbird
import NIOCore

/// The edge to Hummingbird: requests in, answers out, and nothing decided.
struct APIResponder: HTTPResponder {
    typealias Context = BasicRequestContext

    /// Bytes; the real server's limit on request bodies.
    static let maximumBody = 3 * 1024 * 1024

    let service: APIService

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
        let answer = await service.answer(
            APIRequest(
                method: request.method.rawValue, target: APIRequestTarget(path: String(parts[0])),
                query: APIQuery(parts.count > 1 ? String(parts[1]) : ""),
                accept: request.headers[.accept] ?? "", contentType: request.headers[.contentType] ?? "",
                body: Array(body.readableBytesView)))
        switch answer {
        case .complete(let complete): return Self.response(complete)
        case .watch(let session): return Self.response(session, of: request)
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
    private static func response(_ session: APIWatchSession, of request: Request) -> Response {
        let body = ResponseBody { writer in
            do {
                try await request.body.consumeWithInboundCloseHandler { _ in
                    try await session.run { try await writer.write(ByteBuffer(bytes: $0)) }
                } onInboundClosed: {
                    session.cancel()
                }
            } catch is CancellationError {
                // The server shuts down: the stream ends in order.
            }
            try await writer.finish(nil)
        }
        return Response(
            status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-cache, private"], body: body)
    }
}
