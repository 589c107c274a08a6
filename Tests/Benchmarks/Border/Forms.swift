import FoundationEssentials
import Host
import Logging
import MemoryTunnelProvider
import ProviderKit

/// A way to the same work.
enum Form: String, CaseIterable {
    case direct, coded, inProcess, checked, process

    var title: String {
        switch self {
        case .direct: "direct Swift call"
        case .coded: "direct, with the border's JSON"
        case .inProcess: "in process"
        case .checked: "in process, checking: full"
        case .process: "child process"
        }
    }
}

/// One call of one form.
typealias Call = @Sendable ([Tunnel.Desired]) async throws -> [ItemResult<Tunnel.Observed>]

/// All forms, each with an instance of its own of the same provider.
struct Forms {
    private let provider: MemoryTunnelProvider
    private let runtime: PluginRuntime
    private static let timeout = Duration.seconds(60)

    /// - Parameter folder: where the plugin's file and `egress-host` are.
    init(folder: String) async throws {
        let host = ProviderHost(MonotonicHost())
        provider = try MemoryTunnelProvider(host: host, configuration: Data("{}".utf8))
        var logger = Logger(label: "border-bench") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .error
        runtime = try await PluginRuntime(
            Self.loaded.map(Self.entry), directory: folder, trust: TrustPolicy(level: .any), logger: logger)
    }

    private static let loaded: [Form] = [.inProcess, .checked, .process]

    private static func entry(_ form: Form) -> PluginEntry {
        var entry = PluginEntry(name: form.rawValue, path: "libMemoryTunnel.so", configuration: Data("{}".utf8))
        if form == .checked { entry.checking = .full }
        if form == .process {
            entry.isolation = .process(memoryLimitMiB: PluginIsolation.defaultMemoryLimitMiB)
        }
        return entry
    }

    func call(_ form: Form) throws -> Call {
        let context = CallContext(
            deadline: HostInstant(nanoseconds: .max), host: ProviderHost(MonotonicHost()))
        switch form {
        case .direct:
            return { [provider] in try await provider.ensure($0, context) }
        case .coded:
            return { [provider] items in
                let request = try BatchRequest(items: items).json()
                let results = try await provider.ensure(
                    BatchRequest<Tunnel.Desired>(json: request).items, context)
                let answer = try JSONEncoder().encode(BatchResult(items: results))
                return try JSONDecoder().decode(BatchResult<Tunnel.Observed>.self, from: answer).items
            }
        case .inProcess, .checked, .process:
            guard let instance = runtime.instances.first(where: { $0.name == form.rawValue }),
                let capability = instance.capability(Tunnel.self, timeout: Self.timeout)
            else { throw BenchError(message: "form \(form.rawValue): its plugin offers no \(Tunnel.identifier)") }
            return { try await capability.ensure($0) }
        }
    }

    func close() async {
        runtime.close()
        await runtime.ended()
    }
}

struct BenchError: Error, CustomStringConvertible {
    var message: String
    var description: String { message }
}

/// What a direct call's provider sees of a host: the clock, and nobody to talk to.
private struct MonotonicHost: HostServices {
    private static let start = ContinuousClock.now

    func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {}

    func now() -> HostInstant {
        HostInstant(nanoseconds: 0).advanced(by: Self.start.duration(to: .now))
    }

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        throw ProviderError(.unsupported, "the benchmark sends nothing")
    }
}
