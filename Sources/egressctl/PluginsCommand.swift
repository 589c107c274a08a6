import ArgumentParser
import Foundation
import Host
import Logging
import ProviderKit

/// Plugins by hand: what is there, and what it answers.
struct PluginsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plugins", abstract: "Look at plugins, call them by hand, and say which files are to be trusted.",
        subcommands: [
            New.self, List.self, Call.self, Manifest.self, Verify.self, KeyGeneration.self, Describe.self,
        ])
}

private struct HostFile: ParsableArguments {
    @Option(help: "Path of host.yaml.")
    var config: String
}

private func plainLogger() -> Logger {
    var logger = Logger(label: "egressctl") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .warning
    return logger
}

private func complain(_ line: String) {
    FileHandle.standardError.write(Data("egressctl: \(line)\n".utf8))
}

extension PluginsCommand {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the plugins of the list, and how they fare in the running daemon.",
            discussion: """
                Opens the plugins' files and starts nothing. The state is that of the daemon that serves the status \
                socket of this host.yaml (observability.statusSocket); it is - if none does.
                """)
        @OptionGroup private var file: HostFile

        func run() async throws {
            let check = await ConfigurationCheck(path: file.config, depth: .files, logger: plainLogger())
            let running = await runningPlugins()
            let rows = check.plugins.map {
                [
                    $0.name, $0.provider, $0.version, $0.capabilities.joined(separator: ","), "\($0.trust)",
                    $0.isolation, Self.state(running[$0.name]), $0.file,
                ]
            }
            let titles = ["NAME", "PROVIDER", "VERSION", "CAPABILITIES", "TRUST", "ISOLATION", "STATE", "FILE"]
            Console.say(Console.table([titles] + rows))
            for plugin in check.plugins {
                guard let reason = running[plugin.name]?.reason else { continue }
                complain("plugin \(plugin.name): \(reason)")
            }
            for error in check.errors { complain(error) }
            if !check.errors.isEmpty { throw ExitCode.failure }
        }

        /// The plugins of the daemon that runs with this file, by name; none if no daemon answers.
        private func runningPlugins() async -> [String: PluginStatus] {
            guard let configuration = try? HostConfiguration.load(path: file.config),
                let socket = configuration.observability.statusSocket,
                let status = try? await StatusClient(socketPath: socket).status()
            else { return [:] }
            return Dictionary(status.plugins.map { ($0.name, $0) }) { first, _ in first }
        }

        private static func state(_ plugin: PluginStatus?) -> String {
            guard let plugin else { return "-" }
            let faults = plugin.faults.sorted { $0.key < $1.key }.map { ", \($0.value) \($0.key)" }.joined()
            let retry = plugin.retryInSeconds.map { " for \($0) s" } ?? ""
            return "\(plugin.state)\(retry) (\(plugin.calls) calls\(faults))"
        }
    }

    struct Call: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Call one verb of a plugin and print the result.",
            discussion: """
                Starts this one plugin with its settings, calls it, prints the JSON it answers, and ends it. The call is
                real: it changes what the plugin manages. The exit status is 0 only if the call and every item of it \
                ended with the code ok.
                """)
        @Argument(help: "The plugin's name in host.yaml.") var name: String
        @Argument(help: "For example load-balancer/1.") var capability: String
        @Argument(help: "ensure, remove, check, prune or status.") var verb: String
        @OptionGroup private var file: HostFile
        @Option(help: "File with the request's JSON; - reads standard input.") var input: String
        @Option(help: "Seconds until the call must have completed, 1 to 3600.") var timeout = 60

        func validate() throws {
            guard (1...3600).contains(timeout) else {
                throw ValidationError("--timeout is \(timeout); allowed are 1 to 3600")
            }
        }

        func run() async throws {
            let answer: PluginCall.Answer
            do {
                let host = try HostConfiguration.load(path: file.config)
                answer = try await PluginCall(plugin: name, capability: capability, verb: verb)
                    .run(
                        configuration: host, request: try readRequest(), timeout: .seconds(timeout),
                        logger: plainLogger())
            } catch let error as ProviderError {
                complain("\(error.code.rawValue): \(error.message)")
                throw ExitCode.failure
            } catch {
                complain(String(describing: error))
                throw ExitCode.failure
            }
            Console.say(String(decoding: answer.result, as: UTF8.self))
            for line in answer.failedItems { complain(line) }
            if !answer.failedItems.isEmpty { throw ExitCode.failure }
        }

        private func readRequest() throws -> Data {
            let limit = BatchLimits.maximumBytes
            let handle: FileHandle
            if input == "-" {
                handle = .standardInput
            } else if let file = FileHandle(forReadingAtPath: input) {
                handle = file
            } else {
                throw ProviderError(.invalid, "--input \(input): cannot be read: \(String(cString: strerror(errno)))")
            }
            var request = Data()
            while request.count <= limit, let part = try handle.read(upToCount: limit + 1 - request.count),
                !part.isEmpty
            { request += part }
            guard request.count <= limit else {
                throw ProviderError(.invalid, "--input \(input): more than \(limit) bytes, which is the most allowed")
            }
            return request
        }
    }
}
