import Glibc

/// What a process has used, by what the kernel says of it (proc(5)).
struct ProcessUsage {
    /// User and system time of all its threads, in seconds.
    var processorTime: Double
    /// Moment of the reading; nanoseconds of CLOCK_MONOTONIC.
    var at: Int64
    var residentMiB: Double
    /// The most it ever had resident.
    var peakMiB: Double
    /// Of the resident memory: what is no file's, such as the heap.
    var anonymousMiB: Double

    init(of pid: pid_t) throws {
        at = monotonic()
        processorTime = try Self.processorTime(contents(of: "/proc/\(pid)/stat"))
        residentMiB = Double(try memory("VmRSS", of: "\(pid)")) / 1024
        peakMiB = Double(try memory("VmHWM", of: "\(pid)")) / 1024
        anonymousMiB = Double(try memory("RssAnon", of: "\(pid)")) / 1024
    }

    /// Fields 14 and 15, in ticks; the second field is a name in parentheses that may hold anything.
    private static func processorTime(_ stat: String) throws -> Double {
        let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw BenchError(description: "/proc/PID/stat has no times: \(stat)")
        }
        return (user + system) / Double(sysconf(CInt(_SC_CLK_TCK)))
    }

    /// Processor time since an earlier reading, in percent of one processor.
    func percent(since earlier: ProcessUsage) -> Double {
        (processorTime - earlier.processorTime) / (Double(at - earlier.at) / 1e9) * 100
    }
}
