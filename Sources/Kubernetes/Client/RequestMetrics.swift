import CoreMetrics
import FoundationEssentials

/// Counts requests under client-go's name and labels (k8s.io/component-base, metrics/prometheus/restclient). The label
/// sets are bounded by the methods and status codes there are.
struct RequestMetrics: Sendable {
    private let host: String

    /// - Parameter server: URL of the API server.
    init(server: String) {
        host = URL(string: server)?.host ?? server
    }

    /// - Parameter status: HTTP status of the answer; nil if there was none.
    func count(_ request: APIRequest, status: Int?) {
        Counter(
            label: "rest_client_requests_total",
            dimensions: [
                ("code", status.map(String.init) ?? "<error>"), ("host", host), ("method", request.method.rawValue),
            ]
        ).increment()
    }
}
