import CoreMetrics
import ProviderKit
import Synchronization

/// One observation of a plugin (`egp_metric`).
public struct PluginMetric: Sendable, Equatable, Codable {
    public enum Kind: String, Sendable, Codable {
        /// The value, 0 or more, is added.
        case counter
        /// The value replaces the last one.
        case gauge
        /// The value is one observation.
        case histogram
    }

    public var kind: Kind
    public var name: String
    public var labels: [String: String]
    public var value: Double

    public init(kind: Kind, name: String, labels: [String: String] = [:], value: Double) {
        self.kind = kind
        self.name = name
        self.labels = labels
        self.value = value
    }

    /// Whether name, labels and value are as `egress_host.h` asks.
    var isValid: Bool {
        guard value.isFinite, kind != .counter || value >= 0, Self.isName(name, 64), labels.count <= 8 else {
            return false
        }
        return labels.allSatisfy { Self.isName($0.key, 64) && $0.key != "plugin" && $0.value.utf8.count <= 256 }
    }

    /// `[a-z][a-z0-9_]*`.
    private static func isName(_ text: String, _ maximum: Int) -> Bool {
        guard let first = text.utf8.first, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first) else { return false }
        return text.utf8.count <= maximum
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
            }
    }
}

/// The metrics of one instance, on their way to the daemon's metrics system.
final class MetricSeries: Sendable {
    private struct Key: Hashable {
        var name: String
        var labels: [String: String]
    }

    private enum Handler {
        case counter(FloatingPointCounter)
        case gauge(Gauge)
        case histogram(Recorder)
    }

    private struct State {
        var kinds: [String: PluginMetric.Kind] = [:]
        var handlers: [Key: Handler] = [:]
    }

    private let plugin: String
    private let maximum: Int
    private let factory: any MetricsFactory
    private let state = Mutex(State())

    /// - Parameter maximum: different names with labels.
    init(plugin: String, maximum: Int, factory: any MetricsFactory = MetricsSystem.factory) {
        self.plugin = plugin
        self.maximum = maximum
        self.factory = factory
    }

    /// - Returns: invalid for what breaks the rules or gives a name a second kind; throttled for a series too many.
    func record(_ metric: PluginMetric) -> ResultCode {
        guard metric.isValid else { return .invalid }
        let key = Key(name: metric.name, labels: metric.labels)
        let (code, handler): (ResultCode, Handler?) = state.withLock { state in
            if let kind = state.kinds[metric.name], kind != metric.kind { return (.invalid, nil) }
            if let handler = state.handlers[key] { return (.ok, handler) }
            guard state.handlers.count < maximum else { return (.throttled, nil) }
            let handler = make(metric)
            state.kinds[metric.name] = metric.kind
            state.handlers[key] = handler
            return (.ok, handler)
        }
        switch handler {
        case .counter(let counter): counter.increment(by: metric.value)
        case .gauge(let gauge): gauge.record(metric.value)
        case .histogram(let recorder): recorder.record(metric.value)
        case nil: break
        }
        return code
    }

    private func make(_ metric: PluginMetric) -> Handler {
        let label = "egress_plugin_\(metric.name)"
        let dimensions = metric.labels.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } + [("plugin", plugin)]
        return switch metric.kind {
        case .counter: .counter(FloatingPointCounter(label: label, dimensions: dimensions, factory: factory))
        case .gauge: .gauge(Gauge(label: label, dimensions: dimensions, factory: factory))
        case .histogram:
            .histogram(Recorder(label: label, dimensions: dimensions, aggregate: true, factory: factory))
        }
    }
}
