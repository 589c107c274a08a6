import CNIChainProvider
import ProviderKit

/// The capability under test and a host that offers a clock only.
enum PodNetworkProbe {
    static let capability = PodNetworkCapability()
    static let host = ProviderHost(ClockOnlyHost())
    static let context = CallContext(deadline: HostInstant(nanoseconds: 1), host: host)

    private struct ClockOnlyHost: HostServices {
        func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {}
        func now() -> HostInstant { HostInstant(nanoseconds: 0) }
        func send(_ request: HTTPRequest) async throws -> HTTPResponse {
            throw ProviderError(.unsupported, "this host has no HTTP")
        }
    }
}
