import ProviderAPI
import Synchronization

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The host's vtable as Swift, revocable: after ``close()`` no call reaches the host any more.
final class HostConnection: HostServices {
    /// A copy of the vtable.
    ///
    /// Sendable because every function in it is [any-thread] and the context is only handed back to them
    /// (`egress_provider.h`).
    private struct Table: @unchecked Sendable {
        var host: egp_host
        var isOpen: Bool
    }

    /// The functions of the host's that are there. A table that ends before a member, or holds NULL there, does not offer
    /// it; only those that ``init(_:)`` asks for are always there.
    ///
    /// Held across each call into the host, so that ``close()`` returns only when no call is under way.
    private let table: Mutex<Table>

    /// Runs `body` with the host's functions.
    ///
    /// - Returns: nil if the connection is closed.
    func withHost<R: Sendable>(_ body: (egp_host) throws -> R) rethrows -> R? {
        try table.withLock { table in table.isOpen ? try body(table.host) : nil }
    }

    init?(_ host: UnsafePointer<egp_host>) {
        // Read before the rest, which may not be there.
        let size = Int(host.pointee.size)
        guard size >= Self.requiredBytes else { return nil }
        var known = egp_host()
        withUnsafeMutableBytes(of: &known) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: host, count: min(size, $0.count)))
        }
        guard known.log != nil, known.now_ns != nil, known.complete != nil, known.http_send != nil else { return nil }
        table = Mutex(Table(host: known, isOpen: true))
    }

    /// Up to the last function that every host of version 1.0 has.
    private static let requiredBytes =
        (MemoryLayout<egp_host>.offset(of: \.http_send) ?? 0) + MemoryLayout<UInt>.size

    /// Ends the connection; waits for calls under way.
    func close() {
        table.withLock { $0.isOpen = false }
    }

    func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {
        let encoded = metadata.isEmpty ? Data() : ((try? JSONEncoder().encode(metadata)) ?? Data())
        table.withLock { table in
            guard table.isOpen, let log = table.host.log else { return }
            message.withBorderBytes { message in
                encoded.withBorderBytes { log(table.host.context, level.rawValue, message, $0) }
            }
        }
    }

    func now() -> HostInstant {
        table.withLock { table in
            guard table.isOpen, let now = table.host.now_ns else { return HostInstant(nanoseconds: .max) }
            return HostInstant(nanoseconds: now(table.host.context))
        }
    }

    /// Ends the verb call `ticket`.
    func complete(_ ticket: UInt64, _ outcome: Result<Data, ProviderError>) {
        table.withLock { table in
            guard table.isOpen, let complete = table.host.complete else { return }
            let context = table.host.context
            switch outcome {
            case .success(let result):
                result.withBorderBytes { result in
                    var completion = Self.completion(.ok)
                    completion.result = result
                    complete(context, ticket, &completion)
                }
            case .failure(let error):
                error.message.withBorderBytes { message in
                    (error.reason ?? "").withBorderBytes { reason in
                        var completion = Self.completion(error.code == .ok ? .terminal : error.code)
                        completion.message = message
                        completion.reason = reason
                        completion.retry_after_ns = Self.nanoseconds(error.retryAfterMilliseconds ?? 0)
                        complete(context, ticket, &completion)
                    }
                }
            }
        }
    }

    /// A remote server may have named the time: any number is to be taken.
    private static func nanoseconds(_ milliseconds: Int) -> Int64 {
        let (value, overflow) = Int64(max(0, milliseconds)).multipliedReportingOverflow(by: 1_000_000)
        return overflow ? .max : value
    }

    private static func completion(_ code: ResultCode) -> egp_completion {
        egp_completion(
            size: UInt32(MemoryLayout<egp_completion>.size), code: code.borderCode,
            result: egp_bytes(data: nil, length: 0), message: egp_bytes(data: nil, length: 0), retry_after_ns: 0,
            reason: egp_bytes(data: nil, length: 0))
    }

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        let headers = try BorderHeaders.encode(request.headers)
        return try await withCheckedThrowingContinuation { continuation in
            let waiter = HTTPWaiter(continuation)
            let retained = Unmanaged.passRetained(waiter)
            let code = start(request, headers, doneContext: retained.toOpaque())
            if code != .ok {
                retained.release()
                continuation.resume(
                    throwing: ProviderError(code, "\(request.method) \(request.url): refused by the host"))
            }
        }
    }

    private func start(_ request: HTTPRequest, _ headers: Data, doneContext: UnsafeMutableRawPointer) -> ResultCode {
        // The lock's closure may not capture a raw pointer in Swift 6; the address says the same.
        let address = UInt(bitPattern: doneContext)
        return table.withLock { table in
            guard table.isOpen, let send = table.host.http_send else { return .cancelled }
            let context = table.host.context
            return request.method.withBorderBytes { method in
                request.url.withBorderBytes { url in
                    headers.withBorderBytes { headers in
                        request.body.withBorderBytes { body in
                            var raw = egp_http_request(
                                size: UInt32(MemoryLayout<egp_http_request>.size), flags: 0, method: method,
                                url: url,
                                headers: headers, body: body, deadline_ns: request.deadline.nanoseconds)
                            let code = send(context, &raw, httpDone, UnsafeMutableRawPointer(bitPattern: address))
                            return ResultCode(borderCode: code) ?? .terminal
                        }
                    }
                }
            }
        }
    }
}

/// Owned by the host between http_send and done.
private final class HTTPWaiter: Sendable {
    let continuation: CheckedContinuation<HTTPResponse, any Error>

    init(_ continuation: CheckedContinuation<HTTPResponse, any Error>) {
        self.continuation = continuation
    }
}

private func httpDone(_ context: UnsafeMutableRawPointer?, _ response: UnsafePointer<egp_http_response>) {
    guard let context else { return }
    let waiter = Unmanaged<HTTPWaiter>.fromOpaque(context).takeRetainedValue()
    // Read before the rest, which may not be there.
    guard response.pointee.size >= UInt32(MemoryLayout<egp_http_response>.size) else {
        waiter.continuation.resume(
            throwing: ProviderError(.terminal, "the host's egp_http_response is smaller than this ABI version's"))
        return
    }
    let raw = response.pointee
    if raw.code == egp_code(EGP_OK) {
        waiter.continuation.resume(
            with: Result {
                HTTPResponse(
                    status: Int(raw.status), headers: try BorderHeaders.decode(raw.headers.copied),
                    body: raw.body.copied)
            })
    } else {
        waiter.continuation.resume(
            throwing: ProviderError(ResultCode(borderCode: raw.code) ?? .retry, raw.message.text))
    }
}
