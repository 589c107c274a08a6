import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import JSONModel
import Logging
import NIOCore
import NIOSSL

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The one edge: HTTP on loopback, for the resource manager and for the metadata service.
extension AzureSimulator {
    /// Body limit of ARM: 4 MB.
    private static let maximumBody = 4 << 20

    func serve() async throws {
        try await serve(.resourceManager, port: configuration.port)
    }

    /// Serves the metadata of one instance, if the configuration asks for it.
    func serveMetadata() async throws {
        guard let metadata = configuration.metadata else { return }
        try await serve(.metadata, port: metadata.port)
    }

    private func serve(_ door: Door, port: Int) async throws {
        let responder = CallbackResponder<BasicRequestContext> { request, _ in
            try await self.answer(request, at: door)
        }
        // The server's own lines about connections cut off at its end tell nothing; what fails is thrown.
        var serverLogger = logger
        serverLogger.logLevel = .critical
        let application = Application(
            responder: responder, server: door == .metadata ? .http1() : try serverBuilder(),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: port), serverName: nil),
            onServerRunning: { channel in await self.started(door, on: channel.localAddress?.port ?? 0) },
            logger: serverLogger)
        try await application.run()
    }

    private nonisolated func serverBuilder() throws -> HTTPServerBuilder {
        guard let pair = configuration.certificate else { return .http1() }
        let certificates = try NIOSSLCertificate.fromPEMBytes(Array(pair.certificate.utf8))
        let key = try NIOSSLPrivateKey(bytes: Array(pair.key.utf8), format: .pem)
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificates.map { .certificate($0) }, privateKey: .privateKey(key))
        // A client that keeps its connection open must not hold up the end.
        tls.shutdownTimeout = .milliseconds(100)
        return try .tls(.http1(), tlsConfiguration: tls)
    }

    private nonisolated func answer(_ request: Request, at door: Door) async throws -> Response {
        let start = ContinuousClock.now
        let body: Data
        do {
            body = Data((try await request.body.collect(upTo: Self.maximumBody)).readableBytesView)
        } catch {
            return try Self.render(
                ARMResponse(fault: ARMFault(413, "RequestContentTooLarge", "The body is larger than 4 MB."))
            ).0
        }
        let exchange = armRequest(request, body)
        let answer: ARMResponse
        switch door {
        case .metadata: answer = await respondMetadata(to: exchange)
        case .resourceManager:
            if exchange.segments.first == "simulator" { return try Self.render(await control(exchange)).0 }
            answer = try await respondInTime(to: exchange)
        }
        let (response, size) = try Self.render(answer)
        await record(answer, requestBytes: body.count, responseBytes: size)
        recorder?.record(
            ExchangeRecorder.Exchange(
                time: .now, duration: ContinuousClock.now - start, method: exchange.method,
                url: request.uri.description, requestHeaders: exchange.headers, requestBody: body, response: answer))
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
        let path = request.uri.path
        let scheme = configuration.certificate == nil ? "http" : "https"
        return ARMRequest(
            method: request.method.rawValue,
            segments: path.split(separator: "/").map { ARMRequest.percentDecoded($0) },
            query: ARMRequest.query(request.uri.query ?? ""), headers: headers, body: body,
            base: "\(scheme)://\(request.head.authority ?? "\(configuration.host):\(configuration.port)")")
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
