import FoundationEssentials
import Glibc
import ProviderKit

/// What one call costs.
struct Cost {
    /// Nanoseconds on the monotonic clock.
    var wall: Double
    /// Nanoseconds of CPU time, of this process and its children.
    var processor: Double
}

/// Measures forms in turns, so that what else the machine does meets all of them alike.
struct Measurement {
    static let rounds = 21
    static let warmUpRounds = 3

    struct Series {
        let form: Form
        let shape: Shape
        fileprivate let call: Call
        fileprivate let request: [Tunnel.Desired]
        fileprivate var walls: [Double] = []
        fileprivate var processors: [Double] = []

        init(_ form: Form, _ shape: Shape, _ call: @escaping Call) {
            self.form = form
            self.shape = shape
            self.call = call
            request = shape.request
        }

        /// The medians over the rounds.
        var cost: Cost { Cost(wall: Self.median(walls), processor: Self.median(processors)) }

        private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

        fileprivate mutating func round(isWarmUp: Bool) async throws {
            let processor = processorTime()
            let wall = ContinuousClock.now
            for _ in 0..<shape.callsPerRound {
                let results = try await call(request)
                guard results.count == request.count, results.last?.code == .ok else {
                    throw BenchError(
                        message: "\(form.title), \(shape.title): answered \(results.last?.message ?? "too little")")
                }
            }
            let taken = wall.duration(to: .now) / .nanoseconds(1)
            guard !isWarmUp else { return }
            walls.append(taken / Double(shape.callsPerRound))
            processors.append((processorTime() - processor) / Double(shape.callsPerRound))
        }
    }

    private(set) var series: [Series]

    init(_ series: [Series]) {
        self.series = series
    }

    mutating func run() async throws {
        for round in 0..<(Self.warmUpRounds + Self.rounds) {
            for index in series.indices {
                try await series[index].round(isWarmUp: round < Self.warmUpRounds)
            }
        }
    }

    /// The cost of each series.
    var costs: [Form: [Shape: Cost]] {
        var costs: [Form: [Shape: Cost]] = [:]
        for series in series { costs[series.form, default: [:]][series.shape] = series.cost }
        return costs
    }
}

/// CPU time so far of this process and of those children that still run, in nanoseconds.
private func processorTime() -> Double {
    var total = nanoseconds(CLOCK_PROCESS_CPUTIME_ID)
    for child in children {
        var clock = clockid_t()
        if clock_getcpuclockid(child, &clock) == 0 { total += nanoseconds(clock) }
    }
    return total
}

/// The processes that this one started (proc(5), /proc/pid/task/tid/children); looked up once, when all are there.
private let children: [pid_t] = {
    let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
    return tasks.flatMap { task -> [pid_t] in
        let file = URL(filePath: "/proc/self/task/\(task)/children")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(whereSeparator: \.isWhitespace).compactMap { pid_t($0) }
    }
}()

private func nanoseconds(_ clock: clockid_t) -> Double {
    var time = timespec()
    guard clock_gettime(clock, &time) == 0 else { return 0 }
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}
