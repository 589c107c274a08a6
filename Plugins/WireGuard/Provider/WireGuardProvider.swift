import LinuxNet
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// `tunnel/1` by WireGuard, in the kernel or in wireguard-go processes.
public struct WireGuardProvider: Provider {
    public static let descriptor = ProviderDescriptor(
        name: "WireGuard", version: "0.1.0", kind: .tunnel, capabilities: [Tunnel.identifier],
        configurationSchema: WireGuardSettings.schema)

    private let tunnels: TunnelService

    public init(host: ProviderHost, configuration: Data) throws {
        try self.init(host: host, configuration: configuration, node: .current)
    }

    /// - Parameter node: The namespace that UDP sockets live in; another one than the process's only in tests.
    init(host: ProviderHost, configuration: Data, node: NetworkNamespace) throws {
        let settings = try WireGuardSettings(json: configuration)
        tunnels = TunnelService(
            worker: TunnelWorker(node: node, settings: settings, forms: TunnelForms(settings), host: host))
    }

    public var capabilities: [CapabilityBinding] { [CapabilityBinding(tunnels)] }

    /// For tests that call the verbs without the JSON border.
    var service: TunnelService { tunnels }
}
