import Foundation
import Glibc
import Logging
import ProviderKit
import Testing
import UnixSignals

@testable import Host

@Suite(.serialized) struct ConfigurationReloadTests {
    private let logger: Logger = {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }()

    /// A daemon's plugins and its reloader, on a real file.
    private struct Running {
        let path: String
        let plugins: PluginRuntime
        let reloader: ConfigurationReloader

        var status: DaemonStatus {
            DaemonStatus(role: .manager, plugins: plugins, configuration: reloader.running.difference)
        }

        func state(_ name: String) -> String? { status.plugins.first { $0.name == name }?.state }

        /// What the plugin itself answers with.
        func label(_ name: String) async throws -> String {
            let plugin = try #require(plugins.instances.first { $0.name == name })
            let balancer = try #require(plugin.capability(LoadBalancer.self, timeout: .seconds(5)))
            let item = LoadBalancer.Desired(
                id: "a", pool: PoolSelector(nodepoolName: "p"), probe: .init(path: "/gw/a", port: 8082))
            return try #require(await balancer.ensure([item]).first?.observed).frontendIP
        }

        func eventually(_ condition: () async throws -> Bool) async throws {
            for _ in 0..<250 {
                if try await condition() { return }
                try await Task.sleep(for: .milliseconds(20))
            }
            Issue.record("not within 5 s: \(status)")
        }
    }

    private let text = """
        role: manager
        trust: { policy: any }
        plugins:
          - { name: one, path: PLUGIN, config: { label: first, fixed: 1 } }
          - { name: two, path: PLUGIN, config: { label: second, fixed: 2 } }
        """

    private func withDaemon(
        interval: Duration = .milliseconds(20), trapping: Bool = false, mounted: Bool = false,
        _ body: (Running, (String) throws -> Void) async throws -> Void
    ) async throws {
        let workshop = try PluginWorkshop()
        defer { workshop.remove() }
        let plugin = try workshop.build("settable", SettablePlugin.source(schema: SettablePlugin.schema))
        let file = workshop.folder.appending(path: "host.yaml").path
        let write: (String) throws -> Void = { text in
            let data = Data(text.replacing("PLUGIN", with: plugin).utf8)
            guard mounted else { return try data.write(to: URL(filePath: file), options: .atomic) }
            try Self.mount(data, in: workshop.folder)
        }
        try write(text)
        let configuration = try HostConfiguration.load(path: file)
        let plugins = try await PluginRuntime(
            configuration.plugins, directory: "/", trust: configuration.trust, role: .manager, logger: logger)
        var hangups: UnixSignalsSequence?
        if trapping { hangups = await UnixSignalsSequence(trapping: .sighup) }
        let reloader = ConfigurationReloader(
            path: file, plugins: plugins, running: RunningConfiguration(configuration),
            logLevel: LiveLogLevel(.info), hangups: hangups, logger: logger, interval: interval)
        let service = Task { await reloader.run() }
        let result: Result<Void, any Error>
        do {
            try await body(Running(path: file, plugins: plugins, reloader: reloader), write)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        service.cancel()
        await service.value
        plugins.close()
        await plugins.ended()
        try result.get()
    }

    /// As a kubelet writes a ConfigMap: `host.yaml -> ..data/host.yaml`, and `..data` is moved to a new folder.
    private static func mount(_ data: Data, in folder: URL) throws {
        let version = "..\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            at: folder.appending(path: version), withIntermediateDirectories: false)
        try data.write(to: folder.appending(path: "\(version)/host.yaml"))
        let link = folder.appending(path: "host.yaml").path
        if (try? FileManager.default.destinationOfSymbolicLink(atPath: link)) == nil {
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "..data/host.yaml")
        }
        let staged = folder.appending(path: "..data_tmp").path
        try FileManager.default.createSymbolicLink(atPath: staged, withDestinationPath: version)
        try #require(rename(staged, folder.appending(path: "..data").path) == 0)
    }

    @Test(arguments: [false, true])
    func aChangedFileReachesTheOneInstanceItChanges(mounted: Bool) async throws {
        try await withDaemon(mounted: mounted) { daemon, write in
            #expect(try await daemon.label("one") == "first")
            #expect(try await daemon.label("two") == "second")
            try write(text.replacing("label: second", with: "label: other") + "\nlogLevel: debug")
            try await daemon.eventually { try await daemon.label("two") == "other" }
            #expect(try await daemon.label("one") == "first")
            try await daemon.eventually { daemon.reloader.logLevel.current == .debug }
            #expect(daemon.status.restartNeeded.isEmpty && daemon.state("two") == "healthy")
        }
    }

    @Test func aFileWithMistakesChangesNothing() async throws {
        try await withDaemon { daemon, write in
            try write(
                text.replacing("label: second", with: "label: other").replacing("fixed: 1", with: "fixed: 10")
                    + "\ncolour: red")
            try await daemon.eventually { daemon.status.configurationMistakes.count == 2 }
            #expect(
                daemon.status.configurationMistakes.contains(
                    "\(daemon.path): line 4: plugins[0].config.fixed: is 10; allowed: at most 9"))
            try write("role: [manager")
            try await daemon.eventually {
                daemon.status.configurationMistakes.first?.contains("is not YAML") == true
            }
            #expect(try await daemon.label("two") == "second")
            #expect(daemon.state("two") == "healthy" && daemon.status.isReady)
            try write(text.replacing("label: second", with: "label: other"))
            try await daemon.eventually { try await daemon.label("two") == "other" }
            try await daemon.eventually { daemon.status.configurationMistakes.isEmpty }
        }
    }

    @Test func whatNeedsARestartIsNamedUntilTheFileIsAsBefore() async throws {
        try await withDaemon { daemon, write in
            try write(text.replacing("fixed: 2", with: "fixed: 3") + "\nmanager: { resyncSeconds: 60 }")
            try await daemon.eventually { daemon.state("two") == "restart needed" }
            let status = daemon.status
            #expect(status.isReady && status.plugins.first?.state == "healthy")
            #expect(status.plugins.last?.reason == "\(daemon.path): line 5: fixed takes a new instance")
            #expect(status.restartNeeded.first == "manager" && status.restartNeeded.count == 2)
            #expect(try await daemon.label("two") == "second")
            try write(text.replacing("label: first", with: "label: bad"))
            try await daemon.eventually { daemon.state("one") == "settings refused" }
            #expect(daemon.status.plugins.first?.reason == "\(daemon.path): line 4: label: bad is not allowed")
            #expect(daemon.state("two") == "healthy" && daemon.status.restartNeeded.isEmpty)
            #expect(try await daemon.label("one") == "first")
            try write(text)
            try await daemon.eventually { daemon.state("one") == "healthy" }
        }
    }

    @Test func aSignalReadsTheFileAtOnce() async throws {
        try await withDaemon(interval: .seconds(3600), trapping: true) { daemon, write in
            try write(text.replacing("label: first", with: "label: asked"))
            try await Task.sleep(for: .milliseconds(100))
            #expect(try await daemon.label("one") == "first")
            #expect(kill(getpid(), SIGHUP) == 0)
            try await daemon.eventually { try await daemon.label("one") == "asked" }
        }
    }

    /// The daemon itself, in a process of its own; its cluster is not there, which it bears.
    @Test func theDaemonOutlivesTheSignal() async throws {
        let workshop = try PluginWorkshop()
        defer { workshop.remove() }
        let plugin = try workshop.build("settable", SettablePlugin.source(schema: SettablePlugin.schema))
        let folder = workshop.folder
        let kubeconfig = folder.appending(path: "kubeconfig").path
        try Data(
            """
            apiVersion: v1
            kind: Config
            current-context: c
            contexts: [{ name: c, context: { cluster: c, user: u } }]
            clusters: [{ name: c, cluster: { server: "http://127.0.0.1:1" } }]
            users: [{ name: u, user: {} }]
            """.utf8
        ).write(to: URL(filePath: kubeconfig))
        let socket = "/run/kegwt-\(UUID().uuidString.prefix(8)).sock"
        defer { unlink(socket) }
        let file = folder.appending(path: "host.yaml")
        let text =
            text.replacing("PLUGIN", with: plugin)
            + "\nobservability: { statusSocket: \(socket) }\nkubernetes: { kubeconfig: \(kubeconfig) }\n"
        try Data(text.utf8).write(to: file)
        let log = folder.appending(path: "log")
        try Data().write(to: log)
        let daemon = Process()
        daemon.executableURL = URL(filePath: try ChildProcess.hostProgram())
        daemon.arguments = ["run", "--config", file.path]
        daemon.standardInput = FileHandle.nullDevice
        daemon.standardOutput = FileHandle.nullDevice
        daemon.standardError = try FileHandle(forWritingTo: log)
        try daemon.run()
        defer {
            kill(daemon.processIdentifier, SIGKILL)
            daemon.waitUntilExit()
        }
        let client = StatusClient(socketPath: socket)
        func eventually(_ condition: () async throws -> Bool) async throws {
            for _ in 0..<300 where daemon.isRunning {
                if (try? await condition()) == true { return }
                try await Task.sleep(for: .milliseconds(100))
            }
            Issue.record("not within 30 s: \(try String(contentsOf: log, encoding: .utf8))")
        }
        try await eventually { try await client.status().plugins.count == 2 }
        kill(daemon.processIdentifier, SIGHUP)
        try await eventually { try String(contentsOf: log, encoding: .utf8).contains("nothing changed") }
        try Data(text.replacing("fixed: 2", with: "fixed: 3").utf8).write(to: file)
        kill(daemon.processIdentifier, SIGHUP)
        try await eventually { try await client.status().plugins.last?.state == "restart needed" }
        #expect(daemon.isRunning)
    }
}
