import CoreMetrics
import FoundationEssentials

/// Counts requests under client-go's name and labels (k8s.io/component-base, metrics/prometheus/restclient). The label
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
}
