import AsyncHTTPClient
import CoreMetrics
import FoundationEssentials
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1

/// Sends requests and bounds answers. ``ConnectionPools`` keeps the connections.
struct HTTPTransport: APITransport {
    private let configuration: ClientConfiguration
    private let connections: ConnectionPools
    private let credentials: any CredentialSource
    private let metrics: RequestMetrics

    /// - Throws: ``KubernetesError`` with code `configuration` for certificates that cannot be used.
    init(_ configuration: ClientConfiguration, metrics factory: any MetricsFactory) throws {
        self.configuration = configuration
        connections = try ConnectionPools(configuration)
        credentials = configuration.makeCredentialSource()
        metrics = RequestMetrics(server: configuration.server, factory: factory)
    }

    func shutdown() async throws {
        await credentials.stop()
        try await connections.shutdown()
    }

    /// Sends a request and reads the whole answer.
    ///
    /// - Throws: ``KubernetesError`` unless the status is 2xx; `CancellationError` if the task was cancelled.
    func send(_ request: APIRequest) async throws -> Data {
        try await authenticated { try await sendOnce(request, $0) }
    }

    /// Runs the body again after a 401, once, if there are other credentials then.
    private func authenticated<Result>(_ body: (Credentials) async throws -> Result) async throws -> Result {
        let used = try await credentials.current()
        do {
            return try await body(used)
        } catch let error as KubernetesError where error.httpStatus == 401 {
            guard await credentials.refresh(refused: used) else { throw error }
            return try await body(try await credentials.current())
        }
    }

    private func sendOnce(_ request: APIRequest, _ credentials: Credentials) async throws -> Data {
        let limit = configuration.maximumBodyBytes
        let timeout = configuration.requestTimeout
        let lease = try connections.lease(credentials.certificate)
        let begin = ContinuousClock.now
        defer { metrics.time(request, begin.duration(to: .now)) }
        do {
            return try await withTimeLimit(timeout) {
                let response = try await execute(request, credentials, on: lease.requests, of: lease)
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
            lease.fellSilent()
            throw KubernetesError(.timeout, "\(request.label): no whole answer in \(timeout)")
        } catch {
            throw Self.translate(error, request, lease)
        }
    }

    /// Starts a request whose answer is a stream of lines; the head is checked before this returns.
    func open(_ request: APIRequest) async throws -> Chunks {
        try await authenticated { try await openOnce(request, $0) }
    }

    private func openOnce(_ request: APIRequest, _ credentials: Credentials) async throws -> TranslatedChunks {
        let lease = try connections.lease(credentials.certificate)
        do {
            let response = try await execute(request, credentials, on: lease.watches, of: lease)
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
            return TranslatedChunks(body: response.body, request: request, lease: lease)
        } catch is TimeLimitExceeded {
            lease.fellSilent()
            throw KubernetesError(.timeout, "\(request.label): no whole answer in \(configuration.requestTimeout)")
        } catch {
            throw Self.translate(error, request, lease)
        }
    }

    /// Waits for the head of the answer, and counts.
    private func execute(
        _ request: APIRequest, _ credentials: Credentials, on client: HTTPClient, of lease: ConnectionLease
    ) async throws -> HTTPClientResponse {
        do {
            let response = try await client.execute(
                outgoing(request, credentials), deadline: .now() + TimeAmount(configuration.requestTimeout))
            lease.note(response.version)
            metrics.count(request, status: Int(response.status.code))
            return response
        } catch {
            metrics.count(request, status: nil)
            throw error
        }
    }

    private func outgoing(_ request: APIRequest, _ credentials: Credentials) -> HTTPClientRequest {
        var outgoing = HTTPClientRequest(url: configuration.server + request.path)
        outgoing.method = HTTPMethod(rawValue: request.method.rawValue)
        outgoing.headers.add(name: "Accept", value: "application/json")
        outgoing.headers.add(name: "User-Agent", value: "egress-gateway")
        // The path of a socket is no host, and servers in Go refuse it as one.
        if configuration.server.hasPrefix("http+unix:") { outgoing.headers.add(name: "Host", value: "localhost") }
        if let token = credentials.token {
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

    /// Gives errors of the HTTP library this module's codes; cancellation of the task stays cancellation.
    static func translate(_ error: any Error, _ request: APIRequest, _ lease: ConnectionLease) -> any Error {
        switch error {
        case is KubernetesError, is CancellationError: return error
        // The library says the same of a request whose connections were closed under it.
        case let error as HTTPClientError where error == .cancelled && Task.isCancelled: return CancellationError()
        case let error as HTTPClientError where error == .readTimeout || error == .deadlineExceeded:
            lease.fellSilent()
            return KubernetesError(.timeout, "\(request.label): nothing came in the allowed time", cause: error)
        default:
            return KubernetesError(.unavailable, "\(request.label): the server cannot be reached", cause: error)
        }
    }
}

/// A body whose errors are this module's.
private struct TranslatedChunks: AsyncSequence, Sendable {
    let body: HTTPClientResponse.Body
    let request: APIRequest
    /// Held until the stream is dropped, so that its connection is not closed under it.
    let lease: ConnectionLease

    func makeAsyncIterator() -> Iterator { Iterator(chunks: body.makeAsyncIterator(), request: request, lease: lease) }

    struct Iterator: AsyncIteratorProtocol {
        var chunks: HTTPClientResponse.Body.AsyncIterator
        let request: APIRequest
        let lease: ConnectionLease

        mutating func next() async throws -> ByteBuffer? {
            do {
                return try await chunks.next()
            } catch {
                throw HTTPTransport.translate(error, request, lease)
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
