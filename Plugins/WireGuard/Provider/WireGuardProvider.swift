import LinuxNet
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// `tunnel/1` by WireGuard, in the kernel or in wireguard-go processes.
public struct WireGuardProvider: ProbingProvider, ReconfigurableProvider {
    public static let descriptor = ProviderDescriptor(
        name: "WireGuard", version: "0.1.0", kind: .tunnel, capabilities: [Tunnel.identifier],
        configurationSchema: WireGuardSettings.schema)

    private let settings: LiveSettings
    private let tunnels: TunnelService
    private let forms: TunnelForms
    private let node: NetworkNamespace

    public init(host: ProviderHost, configuration: Data) throws {
        try self.init(host: host, configuration: configuration, node: .current)
    }

    /// - Parameter node: The namespace that UDP sockets live in; another one than the process's only in tests.
    init(host: ProviderHost, configuration: Data, node: NetworkNamespace) throws {
        settings = LiveSettings(try WireGuardSettings(json: configuration))
        forms = TunnelForms(settings.current)
        self.node = node
        tunnels = TunnelService(worker: TunnelWorker(node: node, settings: settings, forms: forms, host: host))
    }

    public static func checkSettings(_ configuration: Data) throws {
        _ = try WireGuardSettings(json: configuration)
    }

    /// Takes `stallSeconds` and `persistentKeepaliveSeconds`; pod ends that exist have them within about a second.
    public func reconfigure(_ configuration: Data) throws {
        try settings.replace(with: try WireGuardSettings(json: configuration))
    }

    /// Which back end would carry a new tunnel.
    public func probe(_ context: CallContext) async throws -> ProbeResult {
        let forms = forms
        do {
            switch try await node.run({ try forms.choose() }) {
            case .kernel: return ProbeResult(ready: true, facts: ["backend": "kernel", "encrypted": "true"])
            case .userspace(let binary):
                return ProbeResult(
                    ready: true, facts: ["backend": "userspace", "encrypted": "true", "binary": binary])
            }
        } catch {
            return ProbeResult(ready: false, reason: "\(error)", facts: ["encrypted": "true"])
        }
    }

    public var capabilities: [CapabilityBinding] { [CapabilityBinding(tunnels)] }

    /// For tests that call the verbs without the JSON border.
    var service: TunnelService { tunnels }
}
