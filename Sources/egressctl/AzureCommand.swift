import ArgumentParser
import AsyncHTTPClient
import Foundation
import JSONModel
import Lab
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL

/// The Azure simulator by itself, for people, scripts and other people's SDKs.
struct AzureCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "azure", abstract: "An Azure Resource Manager on loopback (docs/azure-simulator.md).",
        subcommands: [Serve.self, Inject.self, Audit.self], defaultSubcommand: Serve.self)
}

extension AzureCommand {
    struct Serve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Serve in the foreground until stopped; prints where, and how to sign in.")

        @Option(help: "Loopback address and port; port 0 lets the kernel choose.") var listen = "127.0.0.1:0"
        @Flag(help: "Serve https with a certificate made for this run; its path is printed.") var tls = false
        @Option(help: "Where --tls writes the certificate.") var certificateFile: String?
        @Option(help: "Subscription id.") var subscription = LabPlan.subscription
        @Option(help: "The one resource group.") var resourceGroup = LabPlan.resourceGroup
        @Option(help: "The one region.") var location = LabPlan.location
        @Option(help: "Virtual network, 10.243.0.0/16.") var vnet = LabPlan.virtualNetwork
        @Option(help: "Its subnet, 10.243.0.0/20.") var subnet = LabPlan.gatewaySubnet
        @Option(name: .customLong("subnet-ipv6"), help: "IPv6 block of the subnet; none: IPv4 only.")
        var subnetIPv6: String?
        @Option(help: "A scale set, NAME=COUNT; may be given several times.") var vmss: [String] = []
        @Option(help: "A pool of standalone machines, NAME=COUNT; may be given several times.") var vmPool: [String] =
            []
        @Option(help: "Loopback address and port of the instance metadata service.") var imds: String?
        @Option(help: "The computer name that the metadata service speaks for; default: the first.")
        var imdsInstance: String?
        @Option(help: "Times of a quiet (reference) or a busy region.") var latencies = "reference"
        @Option(help: "Factor on every latency; 0: at once.") var latencyScale = 1.0
        @Option(help: "Write every exchange to this file, one JSON object per line.") var record: String?
        @Option(help: "Elements per page of a list.") var pageSize = 100
        @Option(help: "Rate limits: generous, or those documented by Azure.") var rateLimits = "generous"
        @Option(help: "How long a token is good for, in seconds.") var tokenLifetime = 3600
        @Option(help: "A certificate (PEM file) that may sign assertions; may be given several times.")
        var clientCertificate: [String] = []
        @Option(help: "A trusted token issuer, ISSUER,SUBJECT[,PUBLIC-KEY-FILE]; may be given several times.")
        var federatedCredential: [String] = []
        @Option(help: "A managed identity, CLIENT-ID,OBJECT-ID,RESOURCE-ID; may be given several times.")
        var userAssignedIdentity: [String] = []

        func run() async throws {
            var logger = Logger(label: "azure") { StreamLogHandler.standardError(label: $0) }
            logger.logLevel = .warning
            let configuration = try configuration()
            let recorder = try record.map { try ExchangeRecorder(path: $0, logger: logger) }
            let simulator = try AzureSimulator(configuration: configuration, logger: logger, recorder: recorder)
            let certificatePath = try writeCertificate(configuration)
            let server = Task { try await simulator.run() }
            let announcement = Task { try await announce(simulator, configuration, certificatePath) }
            try await untilStopped(server)
            _ = try? await announcement.value
            await recorder?.flush()
        }

        /// Lines of `name: value`, so that scripts can read them; the last one says that all is ready.
        private func announce(
            _ simulator: AzureSimulator, _ configuration: AzureSimulator.Configuration, _ certificatePath: String?
        ) async throws {
            Console.say("endpoint: \(try await simulator.endpoint())")
            if let certificatePath { Console.say("certificate: \(certificatePath)") }
            if imds != nil { Console.say("metadata: \(try await simulator.metadataEndpoint())") }
            Console.say("subscription: \(configuration.subscription)")
            Console.say("resource-group: \(configuration.resourceGroup)")
            Console.say("tenant: \(configuration.identity.tenant)")
            Console.say("client-id: \(configuration.identity.clientID)")
            Console.say("client-secret: \(configuration.identity.clientSecret)")
            Console.say("ready: stop it with Ctrl-C")
        }

        private func writeCertificate(_ configuration: AzureSimulator.Configuration) throws -> String? {
            guard let certificate = configuration.certificate else { return nil }
            let path = certificateFile ?? NSTemporaryDirectory() + "egressctl-azure-\(getpid()).pem"
            try Data(certificate.certificate.utf8).write(to: URL(filePath: path))
            return path
        }
    }

    struct Inject: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Arm a one-shot fault, or bring one about.",
            discussion: "Kinds: " + AzureSimulator.FaultKind.allCases.map(\.rawValue).joined(separator: ", ") + ".")

        @OptionGroup var simulator: SimulatorOptions
        @Argument(help: "What goes wrong.") var kind: String

        func run() async throws {
            guard let kind = AzureSimulator.FaultKind(rawValue: kind) else {
                throw ValidationError(
                    "no fault \"\(kind)\"; there are "
                        + AzureSimulator.FaultKind.allCases.map(\.rawValue).joined(separator: ", "))
            }
            let answer = try await simulator.call("POST", "simulator/faults/\(kind.rawValue)")
            print(answer["message"]?.text ?? "")
        }
    }

    struct Audit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show calls, bytes, conflicts and refusals by operation.")

        @OptionGroup var simulator: SimulatorOptions
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let answer = try await simulator.call("GET", "simulator/audit")
            if json {
                print(String(decoding: try answer.json(), as: UTF8.self))
                return
            }
            let columns = ["calls", "requestBytes", "responseBytes", "conflicts", "throttled", "refusals"]
            var rows = [["OPERATION", "CALLS", "SENT", "ANSWERED", "CONFLICTS", "THROTTLED", "REFUSED"]]
            rows += (answer.members ?? [:]).sorted { $0.key < $1.key }.map { name, count in
                [name] + columns.map { count[$0]?.int.map(String.init) ?? "-" }
            }
            print(Console.table(rows))
        }
    }
}

/// Where a running simulator is.
struct SimulatorOptions: ParsableArguments {
    @Option(help: "The endpoint that the simulator printed.") var endpoint: String

    /// Asks the simulator's own interface.
    ///
    /// - Throws: `LabError` with what it answered.
    func call(_ method: String, _ path: String) async throws -> JSONValue {
        var configuration = HTTPClient.Configuration()
        // These calls carry no secret, and the certificate is the simulator's own; the address is loopback.
        configuration.tlsConfiguration = .makeClientConfiguration()
        configuration.tlsConfiguration?.certificateVerification = .none
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        defer { Task { try? await client.shutdown() } }
        var request = HTTPClientRequest(url: "\(endpoint)/\(path)")
        request.method = .init(rawValue: method)
        let response = try await client.execute(request, timeout: .seconds(10))
        let body = try await response.body.collect(upTo: 8 << 20)
        let value = try JSONValue(json: Data(body.readableBytesView))
        guard response.status == .ok else {
            throw LabError(
                code: .invalidInput, message: value["error.message"]?.text ?? "answered \(response.status.code)",
                advice: "see: egressctl lab azure inject --help")
        }
        return value
    }
}
