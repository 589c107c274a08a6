import AsyncHTTPClient
import FoundationEssentials
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOSSL

/// Sends requests and bounds answers: the only place that knows the HTTP library. Two connection pools, because a watch
/// may be silent for minutes and an ordinary request may not.
struct HTTPTransport: APITransport {
    private let configuration: ClientConfiguration
    private let requests: HTTPClient
    private let watches: HTTPClient
    private let tokens: TokenSource
    private let metrics: RequestMetrics

    /// - Throws: ``KubernetesError`` with code `configuration` for certificates that cannot be used.
    init(_ configuration: ClientConfiguration) throws {
        self.configuration = configuration
        let tls = try Self.tls(configuration)
        requests = HTTPClient(
            eventLoopGroupProvider: .singleton,
            configuration: Self.pool(configuration, tls, readTimeout: configuration.requestTimeout))
        watches = HTTPClient(
            eventLoopGroupProvider: .singleton,
            configuration: Self.pool(configuration, tls, readTimeout: configuration.watchIdleTimeout))
        tokens = TokenSource(configuration.credential)
        metrics = RequestMetrics(server: configuration.server)
    }

    func shutdown() async throws {
        try await watches.shutdown()
        try await requests.shutdown()
    }

    /// Sends a request and reads the whole answer.
    ///
    /// - Throws: ``KubernetesError`` unless the status is 2xx; `CancellationError` if the task was cancelled.
    func send(_ request: APIRequest) async throws -> Data {
        do {
            return try await sendOnce(request)
        } catch let error as KubernetesError where error.code == .unauthorized {
            guard await tokens.refresh() else { throw error }
            return try await sendOnce(request)
        }
    }

    private func sendOnce(_ request: APIRequest) async throws -> Data {
        let limit = configuration.maximumBodyBytes
        let timeout = configuration.requestTimeout
        do {
            return try await withTimeLimit(timeout) {
                let response = try await execute(request, on: requests, within: timeout)
                let isSuccess = (200..<300).contains(Int(response.status.code))
                let body = try await collect(response.body, limit: isSuccess ? limit : 64 * 1024, request)
                guard isSuccess else {
                    throw ServerStatus.error(
                        httpStatus: Int(response.status.code), body: body,
                        retryAfterHeader: response.headers.first(name: "Retry-After"), request: request.label)
                }
                return body
            }
        } catch is TimeLimitExceeded {
            throw KubernetesError(.timeout, "\(request.label): no whole answer in \(timeout)")
        } catch {
            throw Self.translate(error, request)
        }
    }

    /// Starts a request whose answer is a stream of lines; the head is checked before this returns.
    func open(_ request: APIRequest) async throws -> Chunks {
        do {
            return try await openOnce(request)
        } catch let error as KubernetesError where error.code == .unauthorized {
            guard await tokens.refresh() else { throw error }
            return try await openOnce(request)
        }
    }

    private func openOnce(_ request: APIRequest) async throws -> TranslatedChunks {
        do {
            let response = try await execute(request, on: watches, within: configuration.requestTimeout)
            let status = Int(response.status.code)
            guard status == 200 else {
                let body = try await withTimeLimit(configuration.requestTimeout) {
                    try await collect(response.body, limit: 64 * 1024, request)
                }
                throw ServerStatus.error(
                    httpStatus: status, body: body, retryAfterHeader: response.headers.first(name: "Retry-After"),
                    request: request.label)
            }
            let type = response.headers.first(name: "Content-Type") ?? "application/json"
            guard type.hasPrefix("application/json") else {
                throw KubernetesError(
                    .unexpectedResponse, "\(request.label): a watch answered with \(type); expected application/json",
                    httpStatus: status)
            }
            return TranslatedChunks(body: response.body, request: request)
        } catch is TimeLimitExceeded {
            throw KubernetesError(.timeout, "\(request.label): no whole answer in \(configuration.requestTimeout)")
        } catch {
            throw Self.translate(error, request)
        }
    }

    /// Waits for the head of the answer, and counts.
    private func execute(
        _ request: APIRequest, on client: HTTPClient, within limit: Duration
    ) async throws -> HTTPClientResponse {
        let outgoing = try await outgoing(request)
        do {
            let response = try await client.execute(outgoing, deadline: .now() + Self.amount(limit))
            metrics.count(request, status: Int(response.status.code))
            return response
        } catch {
            metrics.count(request, status: nil)
            throw error
        }
    }

    private func outgoing(_ request: APIRequest) async throws -> HTTPClientRequest {
        var outgoing = HTTPClientRequest(url: configuration.server + request.path)
        outgoing.method = HTTPMethod(rawValue: request.method.rawValue)
        outgoing.headers.add(name: "Accept", value: "application/json")
        outgoing.headers.add(name: "User-Agent", value: "egress-gateway")
        if let token = try await tokens.current() {
            outgoing.headers.add(name: "Authorization", value: "Bearer \(token)")
        }
        if let body = request.body {
            outgoing.headers.add(name: "Content-Type", value: request.contentType)
            outgoing.body = .bytes(ByteBuffer(bytes: body))
        }
        return outgoing
    }

    private func collect(_ body: HTTPClientResponse.Body, limit: Int, _ request: APIRequest) async throws -> Data {
        var data = Data()
        for try await chunk in body {
            guard data.count + chunk.readableBytes <= limit else {
                throw KubernetesError(.responseTooLarge, "\(request.label): the answer is longer than \(limit) bytes")
            }
            data.append(contentsOf: chunk.readableBytesView)
        }
        return data
    }

    /// Gives errors of the HTTP library this module's codes; cancellation stays cancellation.
    static func translate(_ error: any Error, _ request: APIRequest) -> any Error {
        switch error {
        case is KubernetesError, is CancellationError: return error
        case let error as HTTPClientError where error == .cancelled: return CancellationError()
        case let error as HTTPClientError where error == .readTimeout || error == .deadlineExceeded:
            return KubernetesError(.timeout, "\(request.label): nothing came in the allowed time", cause: error)
        default:
            return KubernetesError(.unavailable, "\(request.label): the server cannot be reached", cause: error)
        }
    }

    private static func pool(
        _ configuration: ClientConfiguration, _ tls: TLSConfiguration, readTimeout: Duration
    ) -> HTTPClient.Configuration {
        var pool = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(connect: amount(configuration.connectTimeout), read: amount(readTimeout)))
        // Every watch holds a connection of HTTP/1.1; the library's default of 8 would starve the ninth for ever.
        pool.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 128
        // The callers above have a backoff of their own.
        pool.connectionPool.retryConnectionEstablishment = false
        return pool
    }

    private static func tls(_ configuration: ClientConfiguration) throws -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        do {
            if configuration.insecureSkipTLSVerify { tls.certificateVerification = .none }
            if let authority = configuration.certificateAuthority {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(authority))
            }
            if let certificate = configuration.clientCertificate, let key = configuration.clientKey {
                tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(certificate).map { .certificate($0) }
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: key, format: .pem))
            }
        } catch {
            throw KubernetesError(
                .configuration, "certificate-authority, client-certificate or client-key is no PEM; allowed: PEM",
                cause: error)
        }
        return tls
    }

    private static func amount(_ duration: Duration) -> TimeAmount { TimeAmount(duration) }
}

/// A body whose errors are this module's.
private struct TranslatedChunks: AsyncSequence, Sendable {
    let body: HTTPClientResponse.Body
    let request: APIRequest

    func makeAsyncIterator() -> Iterator { Iterator(chunks: body.makeAsyncIterator(), request: request) }

    struct Iterator: AsyncIteratorProtocol {
        var chunks: HTTPClientResponse.Body.AsyncIterator
        let request: APIRequest

        mutating func next() async throws -> ByteBuffer? {
            do {
                return try await chunks.next()
            } catch {
                throw HTTPTransport.translate(error, request)
            }
        }
    }
}

/// Thrown by ``withTimeLimit(_:_:)``.
struct TimeLimitExceeded: Error {}

/// Runs the body and cancels it once the time is over. The body must heed cancellation, or this waits for it.
func withTimeLimit<Result: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            return nil
        }
        defer { group.cancelAll() }
        guard let first = try await group.next(), let result = first else { throw TimeLimitExceeded() }
        return result
    }
}
