import CoreMetrics
import Synchronization

/// All metrics of the daemon, by swift-metrics' rules, kept for a Prometheus server to fetch.
///
/// Bounded: beyond ``maximumSeries`` a new series is dropped and counted in `egress_metrics_series_dropped_total`.
public final class PrometheusRegistry: MetricsFactory {
    /// Series of one daemon; a series is a name with one set of labels.
    public static let maximumSeries = 10_000

    /// Upper bounds of histogram buckets in seconds: from a call across the border to a cloud's long-running operation.
    static let buckets: [Double] = [
        0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900,
    ]

    private let series = Mutex<[SeriesKey: Series]>([:])
    private let dropped = Atomic<Int64>(0)

    public init() {}

    /// Everything measured so far in Prometheus' text format, version 0.0.4.
    public func text() -> String {
        let samples = series.withLock { $0.map { Sample(key: $0.key, value: $0.value.snapshot) } }
        return PrometheusText.render(samples, droppedSeries: dropped.load(ordering: .relaxed))
    }

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        entry(label, dimensions, .counter)
    }

    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        entry(label, dimensions, .counter)
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        entry(label, dimensions, .gauge)
    }

    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        entry(label, dimensions, aggregate ? .histogram : .gauge)
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        entry(label, dimensions, .histogram)
    }

    public func destroyCounter(_ handler: any CounterHandler) { forget(handler) }
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { forget(handler) }
    public func destroyMeter(_ handler: any MeterHandler) { forget(handler) }
    public func destroyRecorder(_ handler: any RecorderHandler) { forget(handler) }
    public func destroyTimer(_ handler: any TimerHandler) { forget(handler) }

    private func forget(_ handler: AnyObject) {
        guard let handler = handler as? Series else { return }
        series.withLock { _ = $0.removeValue(forKey: handler.key) }
    }

    /// The series of that name and labels. A name that is in use for another kind, or one series too many, gets one that
    /// nobody fetches.
    private func entry(_ label: String, _ dimensions: [(String, String)], _ kind: MetricKind) -> Series {
        let key = SeriesKey(
            name: PrometheusText.name(label),
            labels: dimensions.map { Label(name: PrometheusText.name($0.0), value: $0.1) }.sorted { $0.name < $1.name })
        let known: Series? = series.withLock { series in
            if let known = series[key] { return known.kind == kind ? known : nil }
            guard series.count < Self.maximumSeries else { return nil }
            let new = Series(key: key, kind: kind)
            series[key] = new
            return new
        }
        if let known { return known }
        dropped.wrappingAdd(1, ordering: .relaxed)
        return Series(key: key, kind: kind)
    }
}

struct Label: Hashable, Sendable {
    var name: String
    var value: String
}

struct SeriesKey: Hashable, Sendable {
    var name: String
    var labels: [Label]
}

enum MetricKind: String, Sendable {
    case counter, gauge, histogram
}

/// What one series holds.
enum SeriesValue: Sendable {
    case counter(Double)
    case gauge(Double)
    /// Observations per bucket of ``PrometheusRegistry/buckets``, the last one beyond all of them.
    case histogram(counts: [UInt64], sum: Double)
}

struct Sample: Sendable {
    var key: SeriesKey
    var value: SeriesValue
}

/// One series, written from any thread.
private final class Series: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    let key: SeriesKey
    let kind: MetricKind
    private let value: Mutex<SeriesValue>

    init(key: SeriesKey, kind: MetricKind) {
        self.key = key
        self.kind = kind
        value = Mutex(Self.zero(kind))
    }

    var snapshot: SeriesValue { value.withLock { $0 } }

    private static func zero(_ kind: MetricKind) -> SeriesValue {
        switch kind {
        case .counter: .counter(0)
        case .gauge: .gauge(0)
        case .histogram:
            .histogram(counts: Array(repeating: 0, count: PrometheusRegistry.buckets.count + 1), sum: 0)
        }
    }

    func increment(by amount: Int64) { increment(by: Double(amount)) }

    func increment(by amount: Double) {
        value.withLock { value in
            switch value {
            case .counter(let total): if amount >= 0, amount.isFinite { value = .counter(total + amount) }
            case .gauge(let level): value = .gauge(level + amount)
            case .histogram: break
            }
        }
    }

    func decrement(by amount: Double) {
        value.withLock { value in
            if case .gauge(let level) = value { value = .gauge(level - amount) }
        }
    }

    func reset() { value.withLock { $0 = Self.zero(kind) } }

    func set(_ level: Int64) { set(Double(level)) }

    func set(_ level: Double) {
        value.withLock { value in
            if case .gauge = value { value = .gauge(level) }
        }
    }

    func record(_ observation: Int64) { record(Double(observation)) }

    func record(_ observation: Double) {
        value.withLock { value in
            switch value {
            case .gauge: value = .gauge(observation)
            case .histogram(var counts, let sum):
                guard observation.isFinite else { return }
                let bounds = PrometheusRegistry.buckets
                counts[bounds.firstIndex { observation <= $0 } ?? bounds.count] += 1
                value = .histogram(counts: counts, sum: sum + observation)
            case .counter: break
            }
        }
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1_000_000_000) }
}
