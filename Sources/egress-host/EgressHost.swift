import ArgumentParser
import Foundation
import Host
import Logging

/// The daemon. Its configuration file decides which role it plays and which plugins it loads.
@main
struct EgressHost: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "egress-host", abstract: "Egress gateway daemon: manager, gateway or node, by its host.yaml.",
        subcommands: [Run.self, CheckConfig.self, InstallCNI.self, PluginProcessCommand.self])

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

    struct CheckConfig: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check-config",
            abstract: "Check host.yaml and its plugins' settings without starting anything; print every mistake.")

        @Option(help: "Path of host.yaml.")
        var config: String

        func run() async throws {
            var logger = Logger(label: "egress-host") { StreamLogHandler.standardError(label: $0) }
            logger.logLevel = .warning
            let check = await ConfigurationCheck(path: config, depth: .instances, logger: logger)
            for error in check.errors { FileHandle.standardError.write(Data("\(error)\n".utf8)) }
            guard check.errors.isEmpty else { throw ExitCode.failure }
            for plugin in check.plugins {
                print(plugin.name, plugin.provider, plugin.version, plugin.capabilities.joined(separator: ","))
            }
            print("ok")
        }
    }

    /// The init container of the node DaemonSet; its image has no shell.
    struct InstallCNI: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "install-cni", abstract: "Put kube-egress-cni into the container runtime's plugin directory.")

        @Option(help: "The plugin directory, such as /opt/cni/bin.")
        var directory: String

        func run() async throws {
            do {
                print(try CNIExecutable.install(into: directory))
            } catch {
                FileHandle.standardError.write(Data("egress-host: \(error)\n".utf8))
                throw ExitCode.failure
            }
        }
    }

    /// Started by the host itself for a plugin with `isolation: process`.
    struct PluginProcessCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "plugin-process", shouldDisplay: false)

        func run() async throws {
            throw ExitCode(await PluginProcess.run())
        }
    }
}
