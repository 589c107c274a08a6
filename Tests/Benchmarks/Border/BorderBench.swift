import FoundationEssentials
import Glibc

/// Measures what a call across the border of a plugin costs, in each form, against the direct Swift call of the same
/// work in the same run. Exit status 1: a limit is broken; 2: nothing could be measured.
@main
enum BorderBench {
    static func main() async {
        do {
            let forms = try await Forms(folder: try ownFolder())
            var measurement = Measurement(
                try Shape.allCases.flatMap { shape in
                    try Form.allCases.map { Measurement.Series($0, shape, try forms.call($0)) }
                })
            try await measurement.run()
            await forms.close()
            exit(tell(Report(costs: measurement.costs)) ? 0 : 1)
        } catch {
            var message = "border-bench: \(error)\n"
            message.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
            exit(2)
        }
    }

    /// - Returns: whether all limits are held.
    private static func tell(_ report: Report) -> Bool {
        print("medians of \(Measurement.rounds) rounds on \(sysconf(CInt(_SC_NPROCESSORS_ONLN))) processors")
        print("time is monotonic; CPU is that of this process and its children; ratios are of times")
        print()
        for line in report.table { print(line) }
        print()
        let limits = report.limits
        for limit in limits { print(Report.line(limit)) }
        let broken = limits.count { !$0.isHeld }
        print("\(limits.count - broken) limits held, \(broken) broken")
        return broken == 0
    }

    /// Where the build leaves the plugin and `egress-host`, too.
    private static func ownFolder() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(filePath: own).deletingLastPathComponent().path
    }
}
