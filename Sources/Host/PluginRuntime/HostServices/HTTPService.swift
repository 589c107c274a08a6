import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import ProviderKit

/// HTTP for plugins: one pooled client for all of them, with bounded answers.
struct HTTPService: Sendable {
    /// Bytes of one answer; Azure's own limit is 8 MB (Azure Resource Manager request limits).
    static let maximumResponseBytes = 16 * 1024 * 1024

    private let client: HTTPClient

    init(client: HTTPClient = .shared) {
        self.client = client
    }

    /// Sends one request.
    ///
    /// - Parameter timeout: until the whole answer is read.
    /// - Throws: ``ProviderError`` if no answer came.
    func send(_ request: HTTPRequest, timeout: Duration) async throws -> HTTPResponse {
        guard request.url.hasPrefix("http://") || request.url.hasPrefix("https://") else {
            throw ProviderError(.invalid, "url \"\(request.url)\": only http and https are allowed")
        }
        guard timeout > .zero else {
            throw ProviderError(.cancelled, "\(request.method) \(request.url): deadline passed")
        }
        var outgoing = HTTPClientRequest(url: request.url)
        outgoing.method = HTTPMethod(rawValue: request.method)
        outgoing.headers = HTTPHeaders(request.headers.map { ($0.name, $0.value) })
        if !request.body.isEmpty { outgoing.body = .bytes(ByteBuffer(data: request.body)) }
        let clock = ContinuousClock()
        let end = clock.now.advanced(by: timeout)
        do {
            // The client's own time-out ends with the head of the answer.
            return try await within(timeout) { [client, outgoing] in
                let incoming = try await client.execute(outgoing, timeout: TimeAmount(timeout))
                let body = try await incoming.body.collect(upTo: Self.maximumResponseBytes)
                return HTTPResponse(
                    status: Int(incoming.status.code),
                    headers: incoming.headers.map { HTTPField($0.name.lowercased(), $0.value) },
                    body: Data(buffer: body))
            }
        } catch let error as NIOTooManyBytesError {
            throw ProviderError(
                .terminal,
                "\(request.method) \(request.url): answer exceeds \(Self.maximumResponseBytes) bytes: \(error)")
        } catch  where clock.now >= end {
            throw ProviderError(.retry, "\(request.method) \(request.url): no whole answer within \(timeout)")
        } catch is CancellationError {
            throw ProviderError(.cancelled, "\(request.method) \(request.url): cancelled")
        } catch {
            throw ProviderError(.retry, "\(request.method) \(request.url): \(error)")
        }
    }
}
