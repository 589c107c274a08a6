import CoreMetrics
import Testing

@testable import Host

@Suite struct PrometheusTests {
    @Test func countersGaugesAndHistogramsReadAsPrometheusWantsThem() {
        let registry = PrometheusRegistry()
        let counter = registry.makeCounter(label: "calls_total", dimensions: [("plugin", "a\"b\\c\nd")])
        counter.increment(by: 2)
        registry.makeCounter(label: "calls_total", dimensions: [("plugin", "a\"b\\c\nd")]).increment(by: 1)
        registry.makeMeter(label: "queue-depth", dimensions: []).set(Int64(7))
        let timer = registry.makeTimer(label: "seconds", dimensions: [("verb", "ensure")])
        timer.recordNanoseconds(2_000_000)
        timer.recordNanoseconds(2_000_000_000_000)
        let text = registry.text()
        #expect(text.contains("# TYPE calls_total counter\ncalls_total{plugin=\"a\\\"b\\\\c\\nd\"} 3\n"))
        #expect(text.contains("# TYPE queue_depth gauge\nqueue_depth 7\n"))
        #expect(text.contains("seconds_bucket{verb=\"ensure\",le=\"0.001\"} 0\n"))
        #expect(text.contains("seconds_bucket{verb=\"ensure\",le=\"0.005\"} 1\n"))
        #expect(text.contains("seconds_bucket{verb=\"ensure\",le=\"+Inf\"} 2\n"))
        #expect(text.contains("seconds_count{verb=\"ensure\"} 2\n"))
        #expect(text.contains("egress_metrics_series_dropped_total 0\n"))
    }

    @Test func seriesBeyondTheLimitAreDroppedAndCounted() {
        let registry = PrometheusRegistry()
        for index in 0..<PrometheusRegistry.maximumSeries + 5 {
            registry.makeCounter(label: "n", dimensions: [("i", "\(index)")]).increment(by: 1)
        }
        let lines = registry.text().split(separator: "\n")
        #expect(lines.count { $0.hasPrefix("n{") } == PrometheusRegistry.maximumSeries)
        #expect(lines.contains("egress_metrics_series_dropped_total 5"))
    }

    @Test func aNameKeepsItsKind() {
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "x", dimensions: []).increment(by: 1)
        registry.makeMeter(label: "x", dimensions: []).set(Int64(9))
        #expect(registry.text().contains("# TYPE x counter\nx 1\n"))
    }
}
