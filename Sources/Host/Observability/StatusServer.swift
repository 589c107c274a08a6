import FoundationEssentials
import Glibc
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle

/// Serves metrics and health over TCP and the daemon's status on a unix socket, each where the settings say so.
struct StatusServer: Service {
    let settings: ObservabilitySettings
    let metrics: PrometheusRegistry
    let logger: Logger
    let status: @Sendable () async -> DaemonStatus

    /// Serves until the task is cancelled or graceful shutdown begins.
    ///
    /// - Throws: ``HostError`` that names the field whose address cannot be listened on.
    func run() async throws {
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for listener in listeners() {
                    group.addTask { try await serve(listener) }
                }
                // With nothing to serve, still a service that ends only when it is told to.
                group.addTask { while true { try await Task.sleep(for: .seconds(3600)) } }
                do {
                    try await group.waitForAll()
                } catch is CancellationError {
                    group.cancelAll()
                }
            }
        }
    }

    private struct Listener {
        var field: String
        var address: BindAddress
        var routes: Set<Route>
    }

    private enum Route: String {
        case metrics, healthz, readyz, status
    }

    private func listeners() -> [Listener] {
        var listeners: [Listener] = []
        if let port = settings.metricsPort {
            listeners.append(
                Listener(
                    field: "metricsPort", address: .hostname(settings.address, port: port), routes: [.metrics]))
        }
        if let port = settings.healthPort {
            listeners.append(
                Listener(
                    field: "healthPort", address: .hostname(settings.address, port: port),
                    routes: [.healthz, .readyz]))
        }
        if let path = settings.statusSocket {
            listeners.append(
                Listener(
                    field: "statusSocket", address: .unixDomainSocket(path: path),
                    routes: [.metrics, .healthz, .readyz, .status]))
        }
        return listeners
    }

    private func serve(_ listener: Listener) async throws {
        // The server's own lines about connections cut off at its end tell nothing; what fails is thrown.
        var quiet = logger
        quiet.logLevel = .critical
        let path = listener.field == "statusSocket" ? settings.statusSocket : nil
        // What a daemon left that was killed would keep this one from listening.
        if let path { unlink(path) }
        let application = Application(
            router: router(listener.routes),
            configuration: ApplicationConfiguration(address: listener.address, serverName: nil),
            onServerRunning: { _ in
                if let path { chmod(path, 0o600) }
            }, logger: quiet)
        do {
            try await application.run()
        } catch let error as CancellationError {
            throw error
        } catch {
            throw HostError(.unavailable, "observability.\(listener.field): cannot listen: \(error)")
        }
    }

    private func router(_ routes: Set<Route>) -> Router<BasicRequestContext> {
        let router = Router()
        let metrics = metrics
        let status = status
        if routes.contains(.metrics) {
            router.get("metrics") { _, _ in
                Self.answer(Data(metrics.text().utf8), type: PrometheusText.contentType)
            }
        }
        if routes.contains(.healthz) {
            router.get("healthz") { _, _ in Self.answer(Data("ok\n".utf8), type: "text/plain") }
        }
        if routes.contains(.readyz) {
            router.get("readyz") { _, _ in
                let now = await status()
                guard !now.isReady else { return Self.answer(Data("ok\n".utf8), type: "text/plain") }
                let reasons = now.reasons.joined(separator: "\n") + "\n"
                return Self.answer(Data(reasons.utf8), type: "text/plain", status: .serviceUnavailable)
            }
        }
        if routes.contains(.status) {
            router.get("status") { _, _ in
                Self.answer(try JSONEncoder().encode(await status()), type: "application/json")
            }
        }
        return router
    }

    private static func answer(_ body: Data, type: String, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }
}
