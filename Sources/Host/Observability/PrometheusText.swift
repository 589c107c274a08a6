/// Prometheus' text exposition format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
enum PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// A metric or label name of the allowed characters; others become underscores.
    static func name(_ text: String) -> String {
        let mapped = text.unicodeScalars.map { scalar -> Character in
            let isAllowed =
                scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "_")
            return isAllowed ? Character(scalar) : "_"
        }
        let name = String(mapped)
        return name.first.map { $0.isNumber ? "_" + name : name } ?? "_"
    }

    /// - Parameter samples: in any order; a name has one kind.
    static func render(_ samples: [Sample], droppedSeries: Int64) -> String {
        let dropped = Sample(
            key: SeriesKey(name: "egress_metrics_series_dropped_total", labels: []),
            value: .counter(Double(droppedSeries)))
        let families = Dictionary(grouping: samples + [dropped]) { $0.key.name }
        var text = ""
        for name in families.keys.sorted() {
            let family = (families[name] ?? []).sorted { labels($0.key.labels) < labels($1.key.labels) }
            guard let first = family.first else { continue }
            text += "# TYPE \(name) \(kind(first.value).rawValue)\n"
            for sample in family { append(sample, to: &text) }
        }
        return text
    }

    private static func kind(_ value: SeriesValue) -> MetricKind {
        switch value {
        case .counter: .counter
        case .gauge: .gauge
        case .histogram: .histogram
        }
    }

    private static func append(_ sample: Sample, to text: inout String) {
        let key = sample.key
        switch sample.value {
        case .counter(let value), .gauge(let value): text += "\(key.name)\(labels(key.labels)) \(number(value))\n"
        case .histogram(let counts, let sum):
            var total: UInt64 = 0
            for (index, count) in counts.enumerated() {
                total += count
                let bounds = PrometheusRegistry.buckets
                let bound = index < bounds.count ? number(bounds[index]) : "+Inf"
                text += "\(key.name)_bucket\(labels(key.labels + [Label(name: "le", value: bound)])) \(total)\n"
            }
            text += "\(key.name)_sum\(labels(key.labels)) \(number(sum))\n"
            text += "\(key.name)_count\(labels(key.labels)) \(total)\n"
        }
    }

    private static func labels(_ labels: [Label]) -> String {
        guard !labels.isEmpty else { return "" }
        return "{" + labels.map { "\($0.name)=\"\(escaped($0.value))\"" }.joined(separator: ",") + "}"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        // Whole numbers without a fraction, as people and other exporters write them.
        return value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }
}
