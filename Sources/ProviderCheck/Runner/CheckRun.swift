/// Runs the cases one after the other, each in a process of its own: they share the items of the configuration file,
/// and so the world.
public struct CheckRun {
    let options: CheckOptions

    public init(_ options: CheckOptions) {
        self.options = options
    }

    /// - Parameter progress: called with each report as it comes.
    /// - Throws: ``CheckError/usage(_:)`` if no process can be started.
    public func run(progress: (CaseReport) -> Void) throws -> [CaseReport] {
        var reports: [CaseReport] = []
        for checkCase in Catalogue.all where options.only.isEmpty || options.only.contains(checkCase.name) {
            let report = try report(checkCase, after: reports)
            reports.append(report)
            progress(report)
        }
        return reports
    }

    private func report(_ checkCase: CheckCase, after earlier: [CaseReport]) throws -> CaseReport {
        var report = CaseReport(
            name: checkCase.name, outcome: .skipped, reason: nil, warnings: [], output: nil, milliseconds: 0,
            requirements: Requirements.of(checkCase.name))
        if options.skip.contains(checkCase.name) {
            report.reason = "--skip"
            return report
        }
        let missing = earlier.first {
            (checkCase.buildsOn.contains($0.name) && $0.outcome != .passed && !options.skip.contains($0.name))
                || (checkCase.unlessFailed.contains($0.name) && $0.outcome == .failed)
        }
        if let missing {
            report.reason = "builds on \(missing.name), which was not passed"
            return report
        }
        let begun = ContinuousClock.now
        let ended = try ChildProcess.run(options, checkCase)
        report.milliseconds = (ContinuousClock.now - begun).milliseconds
        report.outcome = ended.outcome
        report.reason = ended.reason
        report.warnings = ended.warnings
        if ended.outcome == .failed, !ended.output.isEmpty { report.output = ended.output }
        return report
    }
}
