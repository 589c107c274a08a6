import FoundationEssentials

/// Reports as text for people and as JSON for programs.
public enum ReportPage {
    public struct Totals: Codable, Sendable, Equatable {
        public var passed: Int
        public var failed: Int
        public var skipped: Int

        public init(_ reports: [CaseReport]) {
            func count(_ outcome: Outcome) -> Int { reports.count { $0.outcome == outcome } }
            passed = count(.passed)
            failed = count(.failed)
            skipped = count(.skipped)
        }
    }

    /// The machine form.
    public struct Document: Codable, Sendable {
        public var plugin: String
        public var seed: UInt64
        public var totals: Totals
        public var cases: [CaseReport]
    }

    /// One case as lines without a final newline.
    public static func lines(of report: CaseReport) -> String {
        let width = Catalogue.all.map(\.name.count).max() ?? 0
        let name = report.name + String(repeating: " ", count: max(0, width - report.name.count))
        let time = String(report.milliseconds)
        let padding = String(repeating: " ", count: max(0, 6 - time.count))
        var lines = ["\(word(report.outcome))  \(name) \(padding)\(time) ms"]
        if let reason = report.reason { lines.append("         \(reason)") }
        lines += report.warnings.map { "         warning: \($0)" }
        for line in (report.output ?? "").split(separator: "\n") { lines.append("         output: \(line)") }
        return lines.joined(separator: "\n")
    }

    private static func word(_ outcome: Outcome) -> String {
        switch outcome {
        case .passed: "passed "
        case .failed: "FAILED "
        case .skipped: "skipped"
        }
    }

    /// The last line.
    public static func summary(_ reports: [CaseReport]) -> String {
        let totals = Totals(reports)
        return "\(totals.passed) passed, \(totals.failed) failed, \(totals.skipped) skipped"
    }

    public static func json(_ reports: [CaseReport], _ options: CheckOptions) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(
            Document(plugin: options.plugin, seed: options.seed, totals: Totals(reports), cases: reports))
    }
}
