import CoreMetrics

/// The figures of one controller under the names that users of controller-runtime know
/// (pkg/internal/controller/metrics and pkg/metrics there). The label sets are fixed.
struct ControllerMetrics: Sendable {
    private let results: [Result: Counter]
    private let errors: Counter
    private let terminalErrors: Counter
    private let timeouts: Counter
    private let runTime: CoreMetrics.Timer
    private let waitTime: CoreMetrics.Timer
    private let active: Gauge
    private let depth: Gauge
    private let quarantined: Gauge
    private let adds: Counter
    private let retries: Counter

    enum Result: String, CaseIterable {
        case success, requeue, requeueAfter = "requeue_after", error
    }

    init(controller: String, concurrency: Int) {
        let labels = [("controller", controller)]
        let queue = [("name", controller)]
        results = Dictionary(
            uniqueKeysWithValues: Result.allCases.map { result in
                let both = labels + [("result", result.rawValue)]
                return (result, Counter(label: "controller_runtime_reconcile_total", dimensions: both))
            })
        errors = Counter(label: "controller_runtime_reconcile_errors_total", dimensions: labels)
        terminalErrors = Counter(label: "controller_runtime_terminal_reconcile_errors_total", dimensions: labels)
        timeouts = Counter(label: "controller_runtime_reconcile_timeouts_total", dimensions: labels)
        runTime = CoreMetrics.Timer(label: "controller_runtime_reconcile_time_seconds", dimensions: labels)
        waitTime = CoreMetrics.Timer(label: "workqueue_queue_duration_seconds", dimensions: queue)
        active = Gauge(label: "controller_runtime_active_workers", dimensions: labels)
        depth = Gauge(label: "workqueue_depth", dimensions: queue)
        quarantined = Gauge(label: "workqueue_quarantined_keys", dimensions: queue)
        adds = Counter(label: "workqueue_adds_total", dimensions: queue)
        retries = Counter(label: "workqueue_retries_total", dimensions: queue)
        Gauge(label: "controller_runtime_max_concurrent_reconciles", dimensions: labels).record(concurrency)
    }

    func added() { adds.increment() }

    func timedOut() { timeouts.increment() }

    func started(waited: Duration?, active runs: Int) {
        if let waited { waitTime.recordNanoseconds(waited.wholeNanoseconds) }
        active.record(runs)
    }

    func ended(_ outcome: Outcome, after time: Duration, active runs: Int, ready: Int, quarantined keys: Int) {
        runTime.recordNanoseconds(time.wholeNanoseconds)
        active.record(runs)
        depth.record(ready)
        quarantined.record(keys)
        switch outcome {
        case .done: results[.success]?.increment()
        case .requeue, .throttled: results[.requeueAfter]?.increment()
        case .conflict: results[.requeue]?.increment()
        case .retry, .terminal:
            results[.error]?.increment()
            errors.increment()
        }
        if case .terminal = outcome { terminalErrors.increment() }
        if case .retry = outcome { retries.increment() }
    }
}

extension Duration {
    /// Nanoseconds; what does not fit is the largest number that does.
    var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : product &+ attoseconds / 1_000_000_000
    }
}
