import ArgumentParser
import Foundation
import Lab
import Logging

/// The embedded API server by itself, for people, scripts and tests.
struct APIServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apiserver",
        abstract: "A Kubernetes-style API server on loopback (docs/api-server.md).",
        discussion: "It serves in the foreground until stopped, and asks nobody who they are.")

    @Option(help: "Folder of its database; made if it is missing.") var storage: String
    @Option(help: "Loopback address and port; port 0 lets the kernel choose.") var listen = "127.0.0.1:0"
    @Option(help: "A unix socket to listen on as well.") var socket: String?
    @Option(help: "Where to write a kubeconfig once it is ready.") var kubeconfig: String?

    func run() async throws {
        var logger = Logger(label: "apiserver") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        let (host, port) = try AzureCommand.Serve.address(listen, "--listen")
        let server = try EmbeddedAPIServer(
            configuration: .init(storagePath: storage, unixSocketPath: socket, host: host, port: port), logger: logger)
        let service = Task { try await server.run() }
        let announcement = Task { try await announce(server, host) }
        try await untilStopped(service)
        try await announcement.value
    }

    /// Lines of `name: value`, so that scripts can read them; the last one says that all is ready.
    private func announce(_ server: EmbeddedAPIServer, _ host: String) async throws {
        guard let port = await server.boundPort else { return }
        let endpoint = EmbeddedAPIServer.Endpoint.tcp(host: host, port: port)
        if let kubeconfig {
            let text = EmbeddedAPIServer.kubeconfig(for: endpoint)
            try Data(text.utf8).write(to: URL(filePath: kubeconfig), options: .atomic)
        }
        Console.say("endpoint: \(endpoint.serverURL)")
        Console.say("ready: stop it with Ctrl-C")
    }
}
