import ArgumentParser
import Foundation
import Host

/// The daemon. Its configuration file decides which role it plays and which plugins it loads.
@main
struct EgressHost: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "egress-host", abstract: "Egress gateway daemon: manager, gateway or node, by its host.yaml.",
        subcommands: [Run.self])

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run until SIGTERM or SIGINT.")

        @Option(help: "Path of host.yaml.")
        var config: String

        func run() async throws {
            do {
                try await Daemon.run(configurationPath: config)
            } catch {
                FileHandle.standardError.write(Data("egress-host: \(error)\n".utf8))
                throw ExitCode.failure
            }
        }
    }
}
