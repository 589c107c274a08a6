import FoundationEssentials
import ProviderAPI
import ProviderKit

/// A plugin's callback of a timer and its context, to be called once.
///
/// Sendable: the callback is [any-thread] and the context is only handed back to it (`egress_host.h`).
struct TimerReply: @unchecked Sendable {
    let done: egp_timer_done
    let context: UnsafeMutableRawPointer?

    func deliver(_ fired: Bool) { done(context, fired ? 1 : 0) }
}

/// A plugin's callback of an HTTP exchange and its context, to be called once.
///
/// Sendable: as ``TimerReply``.
struct HTTPReply: @unchecked Sendable {
    let done: egp_http_done
    let context: UnsafeMutableRawPointer?
    /// Whether borrowed memory becomes garbage when the callback has returned (`checking: full`).
    let isPoisoned: Bool

    func deliver(_ result: Result<HTTPResponse, ProviderError>) {
        switch result {
        case .success(let response):
            let headers = (try? BorderHeaders.encode(response.headers)) ?? Data()
            call(.ok, status: Int32(response.status), headers: headers, body: response.body)
        case .failure(let error):
            call(error.code == .ok ? .retry : error.code, message: Data(error.message.utf8))
        }
    }

    private func call(
        _ code: ResultCode, status: Int32 = 0, headers: Data = Data(), body: Data = Data(), message: Data = Data()
    ) {
        Borrowed.lend(headers, isPoisoned) { headers in
            Borrowed.lend(body, isPoisoned) { body in
                Borrowed.lend(message, isPoisoned) { message in
                    var raw = egp_http_response(
                        size: UInt32(MemoryLayout<egp_http_response>.size), code: code.borderCode, status: status,
                        flags: 0, headers: headers, body: body, message: message)
                    done(context, &raw)
                }
            }
        }
    }
}
