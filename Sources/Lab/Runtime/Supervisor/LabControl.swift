import AsyncHTTPClient
import FoundationEssentials
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1

/// What `egressctl` asks of the running supervisor.
protocol LabOperations: Sendable {
    func status() async -> LabStatus
    /// Cuts a gateway node off: its daemon is killed and stays down, its cable is pulled.
    func fail(node: String) async throws
    /// Undoes `fail`.
    func restore(node: String) async throws
    /// Kills a daemon and keeps it down; its node goes on.
    func hold(daemon: String) async throws
    /// Undoes `hold`.
    func release(daemon: String) async throws
    /// Lets nodes and gateways use another tunnel provider from now on, also for the pods that run.
    func changeTunnel(to name: String) async throws
}

/// The supervisor's side: HTTP on a unix socket that only root can open.
struct LabControlServer {
    let socketPath: String
    let operations: any LabOperations
    let logger: Logger

    /// Serves until the task is cancelled.
    func run() async throws {
        let operations = operations
        let router = Router()
        router.get("status") { _, _ in
            try Self.answer(JSONEncoder().encode(await operations.status()))
        }
        router.post("nodes/{name}/fail") { _, context in
            try await Self.perform { try await operations.fail(node: context.parameters.require("name")) }
        }
        router.post("nodes/{name}/restore") { _, context in
            try await Self.perform { try await operations.restore(node: context.parameters.require("name")) }
        }
        router.post("daemons/{name}/hold") { _, context in
            try await Self.perform { try await operations.hold(daemon: context.parameters.require("name")) }
        }
        router.post("daemons/{name}/release") { _, context in
            try await Self.perform { try await operations.release(daemon: context.parameters.require("name")) }
        }
        router.post("tunnels/{name}") { _, context in
            try await Self.perform { try await operations.changeTunnel(to: context.parameters.require("name")) }
        }
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .notice)
        let application = Application(
            router: router,
            configuration: ApplicationConfiguration(address: .unixDomainSocket(path: socketPath)), logger: quiet)
        try await application.run()
    }

    private static func answer(_ body: Data, status: HTTPResponse.Status = .ok) -> Response {
        Response(status: status, body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }

    private static func perform(_ operation: () async throws -> Void) async throws -> Response {
        do {
            try await operation()
            return answer(Data())
        } catch {
            return answer(Data("\(error)".utf8), status: .badRequest)
        }
    }
}

/// The side of `egressctl` and of tests.
public struct LabControlClient: Sendable {
    private let socketPath: String
    /// Daemons that do not end by themselves are killed after 10 s.
    private static let timeout = TimeAmount.seconds(30)
    private static let bodyLimit = 4 << 20

    public init(_ layout: LabLayout) {
        socketPath = layout.controlSocket
    }

    /// - Throws: `notUp` if nobody answers.
    public func status() async throws -> LabStatus {
        try JSONDecoder().decode(LabStatus.self, from: try await request(.GET, "/status"))
    }

    /// Kills a gateway node's daemon, keeps it down, and pulls the node's cable.
    public func fail(node: String) async throws {
        _ = try await request(.POST, "/nodes/\(node)/fail")
    }

    /// Undoes `fail`.
    public func restore(node: String) async throws {
        _ = try await request(.POST, "/nodes/\(node)/restore")
    }

    /// Kills a daemon of ours and keeps it down; what it made on its node stays.
    ///
    /// - Parameter daemon: `manager` or a node's name.
    public func hold(daemon: String) async throws {
        _ = try await request(.POST, "/daemons/\(daemon)/hold")
    }

    /// Undoes `hold`.
    public func release(daemon: String) async throws {
        _ = try await request(.POST, "/daemons/\(daemon)/release")
    }

    /// Lets nodes and gateways use another tunnel provider from now on, also for the pods that run. Returns when their
    /// daemons have been started again.
    public func changeTunnel(to tunnel: LabPlan.TunnelProvider) async throws {
        _ = try await request(.POST, "/tunnels/\(tunnel.rawValue)")
    }

    private func request(_ method: HTTPMethod, _ path: String) async throws -> Data {
        guard let url = URL(httpURLWithSocketPath: socketPath, uri: path) else {
            throw LabError(
                code: .invalidInput, message: "socket path \"\(socketPath)\" is not allowed",
                advice: "use another state directory")
        }
        var request = HTTPClientRequest(url: url.absoluteString)
        request.method = method
        let status: UInt
        let body: Data
        do {
            let response = try await HTTPClient.shared.execute(request, timeout: Self.timeout)
            status = response.status.code
            body = Data((try await response.body.collect(upTo: Self.bodyLimit)).readableBytesView)
        } catch {
            throw LabError(
                code: .notUp, message: "the lab's supervisor does not answer on \(socketPath)", cause: "\(error)",
                advice: "start it with: egressctl lab up")
        }
        guard status == 200 else {
            throw LabError(
                code: .system, message: "the lab's supervisor refused \(path)",
                cause: String(decoding: body, as: UTF8.self), advice: "see its log")
        }
        return body
    }
}
