import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import ProviderAPI
import ProviderKit
import Synchronization

/// Does the HTTP exchanges of a plugin for real. Made only if the `--config` file allows any.
final class HTTPForwarder: Sendable {
    /// What an exchange ended with.
    enum Answer: Sendable {
        case response(status: Int, headers: [HTTPField], body: Data)
        case none(egp_code, String)

        /// Lends the answer as a C struct.
        func lend(_ body: (UnsafePointer<egp_http_response>) -> Void) {
            var raw = egp_http_response()
            raw.size = UInt32(MemoryLayout<egp_http_response>.size)
            switch self {
            case .none(let code, let message):
                raw.code = code
                message.withBorderBytes {
                    raw.message = $0
                    body(&raw)
                }
            case .response(let status, let headers, let content):
                raw.code = egp_code(EGP_OK)
                raw.status = Int32(status)
                let fields = (try? BorderHeaders.encode(headers)) ?? Data("[]".utf8)
                fields.withBorderBytes { fields in
                    content.withBorderBytes { content in
                        raw.headers = fields
                        raw.body = content
                        body(&raw)
                    }
                }
            }
        }
    }

    private let client = HTTPClient(eventLoopGroupProvider: .singleton)
    private let exchanges = Mutex<[Int: Task<Void, Never>]>([:])
    private let numbers = Mutex(0)

    deinit {
        try? client.syncShutdown()
    }

    /// Ends all exchanges; their callbacks still come.
    func cancelAll() {
        for task in exchanges.withLock({ Array($0.values) }) { task.cancel() }
    }

    /// `finish` is called once, on a thread of Swift's pool.
    func send(_ request: HostArguments.HTTPRequest, _ finish: @escaping @Sendable (Answer) -> Void) {
        let number = numbers.withLock { number in
            number += 1
            return number
        }
        exchanges.withLock { exchanges in
            exchanges[number] = Task { [self] in
                let answer = await perform(request)
                self.exchanges.withLock { _ = $0.removeValue(forKey: number) }
                finish(answer)
            }
        }
    }

    private func perform(_ request: HostArguments.HTTPRequest) async -> Answer {
        let left = max(0, request.deadlineNanoseconds &- RawHost.now)
        var outgoing = HTTPClientRequest(url: request.url)
        outgoing.method = HTTPMethod(rawValue: request.method)
        for field in request.headers { outgoing.headers.add(name: field.name, value: field.value) }
        if !request.body.isEmpty { outgoing.body = .bytes(ByteBuffer(bytes: request.body)) }
        do {
            let response = try await client.execute(
                outgoing, deadline: .now() + .nanoseconds(min(left, 600_000_000_000)))
            let body = try await response.body.collect(upTo: Int(EGP_MAXIMUM_BYTES))
            return .response(
                status: Int(response.status.code),
                headers: response.headers.map { HTTPField($0.name.lowercased(), $0.value) },
                body: Data(body.readableBytesView))
        } catch is CancellationError {
            return .none(egp_code(EGP_CANCELLED), "the exchange was ended")
        } catch {
            return .none(egp_code(EGP_RETRY), String(describing: error))
        }
    }
}
