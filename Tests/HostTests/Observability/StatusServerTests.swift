import CoreMetrics
import Foundation
import Logging
import Testing

@testable import Host

@Suite struct StatusServerTests {
    private let status = DaemonStatus(
        role: "node", isReady: false, reasons: ["plugin wireguard: quarantined"],
        plugins: [
            PluginStatus(
                name: "wireguard", provider: "WireGuard", version: "1.0.0", capabilities: ["tunnel/1"],
                file: "libWireGuard.so", isolation: "in-process", state: "quarantined", reason: "3 crashes",
                retryInSeconds: 9, calls: 4, faults: ["crash": 3])
        ])

    @Test func theSocketTellsStatusAndMetricsToItsOwnerOnly() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "keg-\(UUID().uuidString.prefix(8))").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        // What a killed daemon left.
        try Data().write(to: URL(filePath: path))
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "n_total", dimensions: []).increment(by: 1)
        var settings = ObservabilitySettings()
        settings.statusSocket = path
        let answer = status
        let server = StatusServer(settings: settings, metrics: registry, logger: Logger(label: "test")) { answer }
        let running = Task { try await server.run() }
        let client = StatusClient(socketPath: path)
        var got: DaemonStatus?
        for _ in 0..<100 where got == nil {
            try await Task.sleep(for: .milliseconds(20))
            got = try? await client.status()
        }
        #expect(got == answer)
        #expect(try await client.metrics().contains("n_total 1\n"))
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        running.cancel()
        try await running.value
        await #expect(throws: HostError.self) { try await client.status() }
    }

    @Test func badSettingsAreNamed() {
        let text = """
            role: manager
            observability:
              metricsPort: 8080
              healthPort: 8080
              statusSocket: here
              colour: red
            """
        let error = #expect(throws: HostError.self) { try HostConfiguration.parse(text, name: "host.yaml") }
        let message = error?.message ?? ""
        #expect(message.contains("observability.healthPort is 8080, the same as metricsPort"))
        #expect(message.contains("observability.statusSocket is \"here\"; allowed is an absolute path"))
        #expect(message.contains("colour"))
    }
}
