import CoreMetrics
import FoundationEssentials

/// Counts and times requests under client-go's names and labels (k8s.io/component-base, metrics/prometheus/restclient). The label
/// sets are bounded by the methods and status codes there are.
struct RequestMetrics: Sendable {
    private let host: String
    private let factory: any MetricsFactory

    /// - Parameters:
    ///   - server: URL of the API server.
    ///   - factory: keeps the figures.
    init(server: String, factory: any MetricsFactory) {
        self.factory = factory
        host = URL(string: server)?.host ?? server
    }

    /// - Parameter status: HTTP status of the answer; nil if there was none.
    func count(_ request: APIRequest, status: Int?) {
        Counter(
            label: "rest_client_requests_total",
            dimensions: [
                ("code", status.map(String.init) ?? "<error>"), ("host", host), ("method", request.method.rawValue),
            ], factory: factory
        ).increment()
    }

    /// - Parameter duration: from the sending to the end of the answer, or to the failure. Watches are not timed: they end
    ///   when they are meant to.
    func time(_ request: APIRequest, _ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        Timer(
            label: "rest_client_request_duration_seconds",
            dimensions: [("host", host), ("verb", request.method.rawValue)], factory: factory
        ).recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
