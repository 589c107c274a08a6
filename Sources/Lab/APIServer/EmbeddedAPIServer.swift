import FoundationEssentials
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization

/// A Kubernetes-style API server in this process: HTTP/1.1 on a loopback TCP port and on a unix socket at the same
/// time, over one store in SQLite.
///
/// It serves the core kinds Pod, Node, Namespace, Secret, ConfigMap and Event (also as events.k8s.io/v1), Lease, and
/// CustomResourceDefinitions with the kinds they define, as the real server does: optimistic concurrency, watches,
/// patches, finalizers, garbage collection, structural schemas, tables. It does **not** authenticate or authorise:
/// whoever reaches the port or the socket may do everything. For that reason, and for want of TLS, it listens on
/// loopback only.
public final class EmbeddedAPIServer: Service {
    public struct Configuration: Sendable {
        /// Folder for the database; made if it is missing. One server at a time may use it.
        public var storagePath: String
        /// Absolute path of the unix socket, at most 107 bytes (`sockaddr_un`); nil for none. A socket that a dead
        /// server left behind is replaced.
        public var unixSocketPath: String?
        /// Loopback address to listen on; nil for none. Allowed: `127.0.0.0/8`, `::1`, `localhost`.
        public var host: String?
        /// TCP port; 0 picks a free one, see ``EmbeddedAPIServer/boundPort``.
        public var port: Int
        /// Further unix sockets, with an authorizer each. Their rules are those of `unixSocketPath`.
        public var guardedSockets: [GuardedSocket] = []
        /// Called with the TCP port (nil without TCP) once all listeners accept connections.
        public var onReady: (@Sendable (_ port: Int?) -> Void)?

        public init(
            storagePath: String, unixSocketPath: String? = nil, host: String? = "127.0.0.1", port: Int = 0,
            onReady: (@Sendable (_ port: Int?) -> Void)? = nil
        ) {
            self.storagePath = storagePath
            self.unixSocketPath = unixSocketPath
            self.host = host
            self.port = port
            self.onReady = onReady
        }
    }

    private let configuration: Configuration
    private let logger: Logger
    private let service: APIService
    private let collector: APICollector
    private let readiness: APIReadiness

    /// Opens the store. Throws ``EmbeddedAPIServerError`` for a configuration that is not allowed and for storage
    /// that cannot be opened.
    public convenience init(configuration: Configuration, logger: Logger) throws {
        try self.init(configuration: configuration, logger: logger, clock: APIClock(), limits: .init())
    }

    /// Time and bounds as parameters, for tests.
    init(
        configuration: Configuration, logger: Logger, clock: APIClock, limits: APIObjectStore.Limits
    ) throws {
        try EmbeddedAPIServerError.check(configuration)
        self.configuration = configuration
        self.logger = logger
        let store = try Self.openStore(configuration, limits)
        let service = try APIService(store: store, clock: clock)
        let collector = APICollector(store: store, registry: { service.registry }, clock: clock, logger: logger)
        store.setCommitHandler { changes in
            service.note(changes)
            collector.note(changes)
        }
        self.service = service
        self.collector = collector
        readiness = APIReadiness(
            listeners: (configuration.host == nil ? 0 : 1) + (configuration.unixSocketPath == nil ? 0 : 1)
                + configuration.guardedSockets.count)
    }

    private static func openStore(
        _ configuration: Configuration, _ limits: APIObjectStore.Limits
    ) throws -> APIObjectStore {
        let builtIn = APIResourceRegistry()
        let path = configuration.storagePath + "/apiserver.sqlite"
        do {
            try FileManager.default.createDirectory(
                atPath: configuration.storagePath, withIntermediateDirectories: true)
            return try APIObjectStore(path: path, limits: limits) { kind, value in
                builtIn[kind]?.behaviour.selectableFields(value) ?? [:]
            }
        } catch {
            throw EmbeddedAPIServerError(
                code: .storage, message: "cannot open the API server's storage \(path)", cause: error,
                advice: "make the folder writable, and check that no other API server uses it")
        }
    }

    /// Serves until the task is cancelled or its service group shuts down; then ends all watches and returns.
    public func run() async throws {
        await createInitialNamespaces()
        logger.info(
            "API server has no authentication; it listens on loopback and unix sockets only",
            metadata: ["storage": "\(configuration.storagePath)"])
        let store = service.store
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                if let host = configuration.host {
                    let application = application(.hostname(host, port: configuration.port))
                    group.addTask { try await application.run() }
                }
                if let path = configuration.unixSocketPath {
                    let application = application(.unixDomainSocket(path: path))
                    group.addTask { try await application.run() }
                }
                for socket in configuration.guardedSockets {
                    let application = application(.unixDomainSocket(path: socket.path), allows: socket.allows)
                    group.addTask { try await application.run() }
                }
                let collector = collector
                group.addTask { await collector.run() }
                defer {
                    store.close()
                    readiness.fail()
                }
                try await withTaskCancellationHandler {
                    // Both listeners, or none: the end of one ends the server.
                    try await group.next()
                    group.cancelAll()
                    store.close()
                    try await group.waitForAll()
                } onCancel: {
                    store.close()
                }
            }
        } onGracefulShutdown: {
            store.close()
        }
        for path in [configuration.unixSocketPath].compactMap({ $0 }) + configuration.guardedSockets.map(\.path) {
            try? FileManager.default.removeItem(atPath: path)
        }
    }

    private func application(
        _ address: BindAddress, allows: (@Sendable (APIAccess) -> Bool)? = nil
    ) -> Application<APIResponder> {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .notice)
        let configuration = configuration
        let readiness = readiness
        return Application(
            responder: APIResponder(service: service, allows: allows),
            server: .http1(configuration: .init(additionalChannelHandlers: [APIConnectionMonitor()])),
            configuration: ApplicationConfiguration(address: address, serverName: nil),
            onServerRunning: { channel in
                if readiness.listenerIsUp(port: channel.localAddress?.port) {
                    configuration.onReady?(readiness.port)
                }
            }, logger: quiet)
    }

    /// A fresh cluster has the namespaces a real one has.
    private func createInitialNamespaces() async {
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let request = APIRequest(
                method: "POST", target: APIRequestTarget(path: "/api/v1/namespaces"), query: APIQuery(), accept: "",
                contentType: "application/json",
                body: APIValue(dictionaryLiteral: ("metadata", ["name": .string(name)])).encoded())
            // AlreadyExists after the first start.
            _ = await service.answer(request)
        }
    }

    /// The TCP port, once all listeners accept connections; nil if the server ends before, or has no TCP listener.
    public var boundPort: Int? {
        get async { await readiness.wait() ? readiness.port : nil }
    }
}

/// Counts the listeners that accept connections.
private final class APIReadiness: Sendable {
    private struct State {
        var missing: Int
        var hasFailed = false
        var port: Int?
        var waiters: [CheckedContinuation<Bool, Never>] = []
    }

    private let state: Mutex<State>

    init(listeners: Int) { state = Mutex(State(missing: listeners)) }

    var port: Int? { state.withLock { $0.port } }

    /// True for the last one.
    func listenerIsUp(port: Int?) -> Bool {
        let (isLast, waiters) = state.withLock { state in
            state.missing -= 1
            state.port = state.port ?? port
            guard state.missing == 0 else { return (false, [CheckedContinuation<Bool, Never>]()) }
            defer { state.waiters = [] }
            return (true, state.waiters)
        }
        for waiter in waiters { waiter.resume(returning: true) }
        return isLast
    }

    func fail() {
        let waiters = state.withLock { state in
            state.hasFailed = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: false) }
    }

    func wait() async -> Bool {
        await withCheckedContinuation { continuation in
            let answer: Bool? = state.withLock { state in
                if state.missing <= 0 { return true }
                if state.hasFailed { return false }
                state.waiters.append(continuation)
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }
}
