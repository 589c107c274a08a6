import ArgumentParser
import Foundation
import ProviderCheck

/// Holds a provider plugin to the contract of ProviderAPI: `docs/provider-check.md`.
@main
struct EgressProviderCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "egress-provider-check",
        abstract: "Check a provider plugin against the ProviderAPI contract.",
        discussion: """
            Runs every case in a process of its own. The exit status is 0 if no case failed, 1 if one did, 64 for a \
            mistake in the arguments or the --config file.
            """)

    @Argument(help: "The plugin's shared object.") var plugin: String?
    @Option(help: "JSON or YAML file with the plugin's settings and with items for calls that reach the world.")
    var config: String?
    @Flag(help: "Print one JSON document instead of text.") var json = false
    @Option(help: "Seed of the fuzz cases, to repeat a run; random if absent.") var seed: UInt64?
    @Option(name: .customLong("case"), help: "Run this case only; may be repeated.") var only: [String] = []
    @Option(help: "Do not run this case; may be repeated.") var skip: [String] = []
    @Flag(help: "Print the names of all cases and what they check.") var list = false
    @Option(help: .hidden) var runCase: String?
    @Option(help: .hidden) var reportDescriptor: Int32 = 3

    func run() throws {
        if list { return print(CaseList.text, terminator: "") }
        guard let plugin else { throw ValidationError("the path of a plugin is missing") }
        let options = CheckOptions(
            plugin: URL(filePath: plugin).path, configPath: config, seed: seed ?? .random(in: 1...999_999), only: only,
            skip: skip)
        if let runCase { CaseProcess.run(options, caseName: runCase, descriptor: reportDescriptor) }
        guard FileManager.default.fileExists(atPath: options.plugin) else {
            throw ValidationError("\(plugin): no such file")
        }
        do {
            try options.validate()
            let reports = try check(options)
            if reports.contains(where: { $0.outcome == .failed }) { throw ExitCode.failure }
        } catch let error as CheckError {
            throw ValidationError(error.description)
        }
    }

    private func check(_ options: CheckOptions) throws -> [CaseReport] {
        if json {
            let reports = try CheckRun(options).run { _ in }
            say(String(decoding: try ReportPage.json(reports, options), as: UTF8.self))
            return reports
        }
        say("egress-provider-check \(options.plugin) --seed \(options.seed)")
        let reports = try CheckRun(options).run { say(ReportPage.lines(of: $0)) }
        say(ReportPage.summary(reports))
        return reports
    }

    /// Unbuffered: whoever watches a run through a pipe sees each case when it ends.
    private func say(_ line: String) {
        FileHandle.standardOutput.write(Data("\(line)\n".utf8))
    }
}
