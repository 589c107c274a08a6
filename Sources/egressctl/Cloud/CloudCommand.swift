import ArgumentParser
import Foundation
import Host
import Logging

/// The cloud as it is beside the cloud as it shall be. Both commands read only.
struct CloudCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cloud", abstract: "Compare the cloud with a cluster's configurations, and change nothing.",
        subcommands: [Plan.self, Diff.self])

    /// What both commands say about their end.
    fileprivate static let exitCodes = """
        The exit status is 0 if nothing differs, 2 if something does, and 1 if that could not be found out. The plugins of \
        host.yaml run in this process, with their own settings and identity, and only read.
        """
}

extension CloudCommand {
    struct Plan: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what the manager's next runs would change, before they do.",
            discussion: """
                Takes each StaticGatewayConfiguration as it is in the API server now, whether or not a manager has seen it, \
                objects that are being deleted, and what carries the system's names and belongs to no object. \

                """ + exitCodes)
        @OptionGroup private var options: CloudOptions

        func run() async throws { try await options.run(.plan) }
    }

    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what somebody else has changed of that which was provisioned.", discussion: exitCodes)
        @OptionGroup private var options: CloudOptions

        func run() async throws { try await options.run(.diff) }
    }
}

/// Options of the commands that compare.
struct CloudOptions: ParsableArguments {
    @Option(help: "Path of the manager's host.yaml.") var config: String
    @Option(help: "Path of a kubeconfig, instead of the one that host.yaml names.") var kubeconfig: String?
    @Flag(help: "Print JSON.") var json = false
    @Option(help: "Seconds until a call to a plugin must have completed, 1 to 3600.") var timeout = 60

    func validate() throws {
        guard (1...3600).contains(timeout) else {
            throw ValidationError("--timeout is \(timeout); allowed are 1 to 3600")
        }
    }

    fileprivate func run(_ scope: CloudComparison.Scope) async throws {
        var logger = Logger(label: "egressctl") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        let plan: CloudPlan
        do {
            plan = try await CloudComparison(scope).run(
                configuration: try HostConfiguration.load(path: config), kubeconfig: kubeconfig,
                timeout: .seconds(timeout), logger: logger)
        } catch {
            FileHandle.standardError.write(Data("egressctl: \(error)\n".utf8))
            throw ExitCode.failure
        }
        Console.say(json ? try CloudReport.json(plan) : CloudReport.text(plan))
        if plan.hasChanges { throw ExitCode(2) }
        if !plan.isComplete { throw ExitCode.failure }
    }
}
