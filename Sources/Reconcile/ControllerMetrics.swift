import CoreMetrics

/// The figures of one controller under the names that users of controller-runtime know
/// (pkg/internal/controller/metrics and pkg/metrics there). The label sets are fixed.
struct ControllerMetrics: Sendable {
    private let results: Results
    private let errors: Counter
    private let terminalErrors: Counter
    private let timeouts: Counter
    private let runTime: CoreMetrics.Timer
    private let waitTime: CoreMetrics.Timer
    private let workTime: CoreMetrics.Timer
    private let unfinished: Gauge
    private let longest: Gauge
    private let active: Gauge
    private let depth: Gauge
    private let quarantined: Gauge
    private let adds: Counter
    private let retries: Counter

    /// Runs by the label `result`.
    private struct Results: Sendable {
        let success, requeue, requeueAfter, error: Counter

        init(_ labels: [(String, String)], _ factory: any MetricsFactory) {
            func counter(_ result: String) -> Counter {
                Counter(
                    label: "controller_runtime_reconcile_total", dimensions: labels + [("result", result)],
                    factory: factory)
            }
            success = counter("success")
            requeue = counter("requeue")
            requeueAfter = counter("requeue_after")
            error = counter("error")
        }
    }

    /// - Parameter factory: keeps the figures.
    init(controller: String, concurrency: Int, factory: any MetricsFactory) {
        let labels = [("controller", controller)]
        let queue = [("name", controller)]
        results = Results(labels, factory)
        errors = Counter(label: "controller_runtime_reconcile_errors_total", dimensions: labels, factory: factory)
        terminalErrors = Counter(
            label: "controller_runtime_terminal_reconcile_errors_total", dimensions: labels, factory: factory)
        timeouts = Counter(label: "controller_runtime_reconcile_timeouts_total", dimensions: labels, factory: factory)
        runTime = CoreMetrics.Timer(
            label: "controller_runtime_reconcile_time_seconds", dimensions: labels, factory: factory)
        waitTime = CoreMetrics.Timer(label: "workqueue_queue_duration_seconds", dimensions: queue, factory: factory)
        workTime = CoreMetrics.Timer(label: "workqueue_work_duration_seconds", dimensions: queue, factory: factory)
        unfinished = Gauge(label: "workqueue_unfinished_work_seconds", dimensions: queue, factory: factory)
        longest = Gauge(label: "workqueue_longest_running_processor_seconds", dimensions: queue, factory: factory)
        active = Gauge(label: "controller_runtime_active_workers", dimensions: labels, factory: factory)
        depth = Gauge(label: "workqueue_depth", dimensions: queue, factory: factory)
        quarantined = Gauge(label: "workqueue_quarantined_keys", dimensions: queue, factory: factory)
        adds = Counter(label: "workqueue_adds_total", dimensions: queue, factory: factory)
        retries = Counter(label: "workqueue_retries_total", dimensions: queue, factory: factory)
        Gauge(label: "controller_runtime_max_concurrent_reconciles", dimensions: labels, factory: factory).record(
            concurrency)
    }

    func added(_ count: Int, ready: Int) {
        adds.increment(by: count)
        depth.record(ready)
    }

    func timedOut() { timeouts.increment() }

    func started(waited: Duration) { waitTime.recordNanoseconds(waited.wholeNanoseconds) }

    /// What is under way and what waits after a run ended or began.
    func record(active runs: Int, ready: Int, quarantined keys: Int) {
        active.record(runs)
        depth.record(ready)
        quarantined.record(keys)
    }

    /// The time that runs under way have taken so far: of all, and of the one that began first.
    func unfinished(total: Duration, longest: Duration) {
        unfinished.record(Double(total.wholeNanoseconds) * 1e-9)
        self.longest.record(Double(longest.wholeNanoseconds) * 1e-9)
    }

    func ended(_ outcome: Outcome, after time: Duration) {
        // controller-runtime's name and client-go's name of one and the same.
        runTime.recordNanoseconds(time.wholeNanoseconds)
        workTime.recordNanoseconds(time.wholeNanoseconds)
        switch outcome {
        case .done: results.success.increment()
        case .requeue, .throttled: results.requeueAfter.increment()
        case .conflict: results.requeue.increment()
        case .retry, .terminal:
            results.error.increment()
            errors.increment()
        }
        if case .terminal = outcome { terminalErrors.increment() }
        switch outcome {
        case .retry, .conflict: retries.increment()
        case .done, .requeue, .throttled, .terminal: break
        }
    }
}

extension Duration {
    /// Nanoseconds; what does not fit is the largest number that does.
    var wholeNanoseconds: Int64 {
        // Up to nine seconds, which most are, the count of attoseconds fits into a word.
        if let short = Int64(exactly: attoseconds) { return short / 1_000_000_000 }
        return Int64(exactly: attoseconds / 1_000_000_000) ?? .max
    }
}
