import LinuxNet
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// `tunnel/1` by the kernel's VXLAN links (RFC 7348). At the kernel's full speed and without any process, but neither
/// encrypted nor authenticated: for networks that are trusted, or protected below.
public struct VXLANProvider: Provider {
    public static let descriptor = ProviderDescriptor(
        name: "VXLAN", version: "0.1.0", kind: .tunnel, capabilities: [Tunnel.identifier],
        configurationSchema: VXLANSettings.schema)

    private let tunnels: TunnelService

    public init(host: ProviderHost, configuration: Data) throws {
        try self.init(host: host, configuration: configuration, node: .current)
    }

    /// - Parameter node: The namespace that UDP sockets live in; another one than the process's only in tests.
    init(host: ProviderHost, configuration: Data, node: NetworkNamespace) throws {
        let settings = try VXLANSettings(json: configuration)
        tunnels = TunnelService(worker: TunnelWorker(node: node, settings: settings, host: host))
        host.log(
            .warning, "VXLAN neither encrypts nor authenticates: use it only inside a network you trust",
            ["encrypted": "false"])
    }

    public var capabilities: [CapabilityBinding] { [CapabilityBinding(tunnels)] }

    /// For tests that call the verbs without the JSON border.
    var service: TunnelService { tunnels }
}
