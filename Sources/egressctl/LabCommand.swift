import ArgumentParser
import Foundation
import Glibc
import Lab
import LinuxNet
import Logging

struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "A cluster with gateways on this one machine, in network namespaces (needs root).",
        subcommands: [
            Up.self, Status.self, Down.self, Kubeconfig.self, Exec.self, Fail.self, Restore.self, Tunnel.self,
            Serve.self,
            AzureCommand.self, APIServerCommand.self,
        ])
}

extension LabCommand {
    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Start the lab and wait until it is ready.")
        @OptionGroup var options: LabOptions
        @Option(help: "What carries the packets: wireguard or vxlan. VXLAN neither encrypts nor authenticates.")
        var tunnel = LabPlan.TunnelProvider.wireguard
        @Option(help: "The API server: embedded, real (Kubernetes' own libraries), or 1.20 (kube-apiserver itself).")
        var apiserver = LabPlan.APIServer.embedded

        func run() async throws {
            try requireRoot()
            let layout = try options.layout()
            let plan = LabPlan(tunnel: tunnel, apiServer: apiserver)
            let outcome = try await LabLauncher(layout: layout, plan: plan).up { Console.progress($0) }
            print(outcome == .started ? "the lab is up" : "the lab was up already")
            print("kubectl --kubeconfig \(layout.kubeconfig) get pods -A")
        }
    }

    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop the lab and remove all it made, also if it died.")
        @OptionGroup var options: LabOptions

        func run() async throws {
            try requireRoot()
            let wasThere = try await LabLauncher(layout: try options.layout()).down()
            print(wasThere ? "the lab is gone" : "no lab was up")
        }
    }

    struct Kubeconfig: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print the path of a kubeconfig for the lab.")
        @OptionGroup var options: LabOptions

        func run() async throws {
            let layout = try options.layout()
            try requireReady(layout)
            print(layout.kubeconfig)
        }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show what runs, and what the fabric sees.")
        @OptionGroup var options: LabOptions
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let layout = try options.layout()
            try requireReady(layout)
            let status = try await LabControlClient(layout).status()
            if json {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
                print(String(decoding: try encoder.encode(status), as: UTF8.self))
            } else {
                print(Self.text(status))
            }
        }

        private static func text(_ status: LabStatus) -> String {
            var rows = [["PROCESS", "PID", "RESTARTS", "LOG"]]
            rows += status.processes.map {
                [$0.name, $0.pid.map(String.init) ?? ($0.isHeld ? "held down" : "-"), "\($0.restarts)", $0.logFile]
            }
            rows += [[]] + [["BACKEND", "HEALTHY", "RULE"]]
            rows += status.backends.map { [$0.node, $0.isHealthy ? "yes" : "no", $0.rule] }
            rows += [[]] + [["POD", "ADDRESS", "ATTACHED IN"]]
            rows += status.attachments.map {
                ["\($0.namespace)/\($0.name)", $0.podIP, "\(Int(($0.addSeconds * 1000).rounded())) ms"]
            }
            return Console.table(rows) + "\nPublic prefixes: "
                + (status.prefixes.isEmpty ? "none" : status.prefixes.joined(separator: ", "))
        }
    }

    struct Exec: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a command in a pod's network namespace.",
            discussion: "A pod of the lab has no container: the command is this machine's, with the pod's network.")
        @OptionGroup var options: LabOptions
        @Option(name: .shortAndLong, help: "Namespace of the pod.") var namespace = "default"
        @Argument(help: "Name of the pod, or NAMESPACE/NAME.") var pod: String
        @Argument(parsing: .postTerminator, help: "The command, after --.") var command: [String] = []

        func run() async throws {
            try requireRoot()
            let layout = try options.layout()
            try requireReady(layout)
            guard !command.isEmpty else { throw ValidationError("no command; write: lab exec POD -- COMMAND") }
            let parts = pod.split(separator: "/", maxSplits: 1).map(String.init)
            let (podNamespace, name) = parts.count == 2 ? (parts[0], parts[1]) : (namespace, pod)
            let target = try NetworkNamespace(name: LabPlan().namespace(ofPod: name, in: podNamespace))
            // A namespace exists before CNI ADD has ended; nothing may run in it until then, as with a real runtime.
            let attachments = try await LabControlClient(layout).status().attachments
            guard target.exists, attachments.contains(where: { $0.namespace == podNamespace && $0.name == name }) else {
                throw LabError(
                    code: .invalidInput, message: "pod \(podNamespace)/\(name) is not running in this lab",
                    advice: "see: kubectl get pods -A")
            }
            let command = command
            // The thread that has entered the namespace becomes the command; nothing of this program goes on.
            let failure = try target.runBlocking {
                var arguments = command.map { strdup($0) }
                arguments.append(nil)
                guard let program = arguments[0] else { return ENOMEM }
                execvp(program, arguments)
                return errno
            }
            throw LabError(
                code: .processFailed, message: "cannot run \(command[0])", cause: String(cString: strerror(failure)),
                advice: "check the name")
        }
    }

    struct Fail: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Cut a gateway node off: kill its daemon, pull its cable.")
        @OptionGroup var options: LabOptions
        @Argument(help: "gateway-1 or gateway-2.") var node: String

        func run() async throws {
            try await LabControlClient(try options.layout()).fail(node: node)
        }
    }

    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Undo fail.")
        @OptionGroup var options: LabOptions
        @Argument(help: "gateway-1 or gateway-2.") var node: String

        func run() async throws {
            try await LabControlClient(try options.layout()).restore(node: node)
        }
    }

    struct Tunnel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let nodes and gateways use another tunnel, also for the pods that run.",
            discussion: "VXLAN neither encrypts nor authenticates.")
        @OptionGroup var options: LabOptions
        @Argument(help: "wireguard or vxlan.") var tunnel: LabPlan.TunnelProvider

        func run() async throws {
            try await LabControlClient(try options.layout()).changeTunnel(to: tunnel)
        }
    }

    /// The supervisor itself; `up` starts it.
    struct Serve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run the supervisor.", shouldDisplay: false)
        @OptionGroup var options: LabOptions
        @Option var latencyScale: Double = 0.1
        @Option var tunnel = LabPlan.TunnelProvider.wireguard
        @Option var apiserver = LabPlan.APIServer.embedded

        func run() async throws {
            try requireRoot()
            var logger = Logger(label: "lab") { StreamLogHandler.standardError(label: $0) }
            logger.logLevel = .info
            let supervisor = try LabSupervisor(
                plan: LabPlan(latencyScale: latencyScale, tunnel: tunnel, apiServer: apiserver),
                layout: try options.layout(), logger: logger)
            let sources = [SIGTERM, SIGINT].map { number in
                // The default action would end the process before the handler runs.
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number)
                source.setEventHandler { supervisor.stop() }
                source.resume()
                return source
            }
            defer { sources.forEach { $0.cancel() } }
            try await supervisor.run()
        }
    }
}

extension LabPlan.TunnelProvider: ExpressibleByArgument {}
extension LabPlan.APIServer: ExpressibleByArgument {}
