import LinuxNet
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// `tunnel/1` by the kernel's VXLAN links (RFC 7348). At the kernel's full speed and without any process, but neither
/// encrypted nor authenticated: for networks that are trusted, or protected below.
public struct VXLANProvider: ProbingProvider {
    public static let descriptor = ProviderDescriptor(
        name: "VXLAN", version: "0.1.0", kind: .tunnel, capabilities: [Tunnel.identifier],
        configurationSchema: VXLANSettings.schema)

    private let tunnels: TunnelService
    private let node: NetworkNamespace

    public init(host: ProviderHost, configuration: Data) throws {
        try self.init(host: host, configuration: configuration, node: .current)
    }

    /// - Parameter node: The namespace that UDP sockets live in; another one than the process's only in tests.
    init(host: ProviderHost, configuration: Data, node: NetworkNamespace) throws {
        let settings = try VXLANSettings(json: configuration)
        self.node = node
        tunnels = TunnelService(worker: TunnelWorker(node: node, settings: settings, host: host))
        host.log(
            .warning, "VXLAN neither encrypts nor authenticates: use it only inside a network you trust",
            ["encrypted": "false"])
    }

    public static func checkSettings(_ configuration: Data) throws {
        _ = try VXLANSettings(json: configuration)
    }

    /// Whether links can be asked for in the node's namespace. A kernel that has VXLAN as a module loads it with the
    /// first link, so its absence from memory says nothing against it.
    public func probe(_ context: CallContext) async throws -> ProbeResult {
        let facts = ["backend": "kernel", "encrypted": "false"]
        do {
            _ = try await RouteSocket.open(in: node)
        } catch {
            return ProbeResult(ready: false, reason: "no netlink socket: \(error)", facts: facts)
        }
        let isLoaded = FileManager.default.fileExists(atPath: "/sys/module/vxlan")
        return ProbeResult(
            ready: true, reason: isLoaded ? nil : "the kernel has not loaded vxlan yet; the first link will ask for it",
            facts: facts)
    }

    public var capabilities: [CapabilityBinding] { [CapabilityBinding(tunnels)] }

    /// For tests that call the verbs without the JSON border.
    var service: TunnelService { tunnels }
}
