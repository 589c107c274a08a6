import HTTPTypes
import Hummingbird
import HummingbirdCore
import JSONModel
import Logging
import NIOCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The one edge: HTTP on loopback.
extension AzureSimulator {
    /// Body limit of ARM: 4 MB.
    private static let maximumBody = 4 << 20

    func serve() async throws {
        let responder = CallbackResponder<BasicRequestContext> { request, _ in
            try await self.answer(request)
        }
        // The server's own lines about connections cut off at its end tell nothing; what fails is thrown.
        var serverLogger = logger
        serverLogger.logLevel = .critical
        let application = Application(
            responder: responder,
            configuration: ApplicationConfiguration(
                address: .hostname("127.0.0.1", port: configuration.port), serverName: nil),
            onServerRunning: { channel in
                await self.startedListening(on: channel.localAddress?.port ?? 0)
            }, logger: serverLogger)
        try await application.run()
    }

    private nonisolated func answer(_ request: Request) async throws -> Response {
        let body: Data
        do {
            body = Data((try await request.body.collect(upTo: Self.maximumBody)).readableBytesView)
        } catch {
            return try Self.render(
                ARMResponse(fault: ARMFault(413, "RequestContentTooLarge", "The body is larger than 4 MB."))
            ).0
        }
        let exchange = armRequest(request, body)
        let delay = configuration.latencies.answer * configuration.latencyScale
        if delay > .zero { try await Task.sleep(for: delay) }
        let answer = await respond(to: exchange)
        let (response, size) = try Self.render(answer)
        await record(answer, requestBytes: body.count, responseBytes: size)
        logger.debug(
            "request answered",
            metadata: [
                "method": "\(exchange.method)", "path": "\(request.uri.path)", "status": "\(answer.status)",
                "code": "\(answer.body?["error.code"]?.text ?? "")",
            ])
        return response
    }

    private nonisolated func armRequest(_ request: Request, _ body: Data) -> ARMRequest {
        var headers: [String: String] = [:]
        for field in request.headers { headers[field.name.canonicalName] = field.value }
        var query: [String: String] = [:]
        for (name, value) in request.uri.queryParameters { query[name.lowercased()] = String(value) }
        let path = request.uri.path
        return ARMRequest(
            method: request.method.rawValue,
            segments: path.split(separator: "/").map { ARMRequest.percentDecoded($0) },
            query: query, headers: headers, body: body,
            base: "http://\(request.head.authority ?? "127.0.0.1:\(configuration.port)")")
    }

    private static func render(_ answer: ARMResponse) throws -> (Response, Int) {
        var headers = HTTPFields()
        for (name, value) in answer.headers {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        guard let body = answer.body else {
            return (Response(status: .init(code: answer.status), headers: headers), 0)
        }
        let bytes = try body.json()
        headers[.contentType] = "application/json; charset=utf-8"
        return (
            Response(
                status: .init(code: answer.status), headers: headers,
                body: .init(byteBuffer: ByteBuffer(bytes: bytes))), bytes.count
        )
    }
}
