import JSONModel
import LinuxNet
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The plugin: pod routing behind any CNI plugin that made the pod's `eth0`. It has no settings.
public struct CNIChainProvider: ProbingProvider {
    public static let descriptor = ProviderDescriptor(
        name: "CNIChain", version: "0.1.0", kind: .podNetwork, capabilities: [PodNetwork.identifier],
        configurationSchema: ["type": "object", "additionalProperties": false])

    public let capabilities: [CapabilityBinding]

    public init(host: ProviderHost, configuration: Data) throws {
        try Self.checkSettings(configuration)
        capabilities = [CapabilityBinding(PodNetworkCapability())]
    }

    public static func checkSettings(_ configuration: Data) throws {
        let settings: [String: AnyValue]
        do {
            settings = try JSONDecoder().decode([String: AnyValue].self, from: configuration)
        } catch {
            throw ProviderError(.invalid, "configuration: must be a JSON object")
        }
        if let name = settings.keys.min() {
            throw ProviderError(.invalid, "configuration.\(name): unknown field; CNIChain has no settings")
        }
    }

    /// Whether this process may enter namespaces and use nftables there, tried on its own.
    public func probe(_ context: CallContext) async throws -> ProbeResult {
        do {
            try await NetworkNamespace.current.run {
                _ = try NFTables.listTable(.inet, "kube-egress-probe")
            }
            return ProbeResult(ready: true, facts: ["nftables": "usable", "namespaces": "usable"])
        } catch {
            return ProbeResult(
                ready: false, reason: "needs CAP_NET_ADMIN and CAP_SYS_ADMIN, and nftables in the kernel: \(error)")
        }
    }

    /// A JSON value nobody looks at.
    private struct AnyValue: Decodable {
        init(from decoder: any Decoder) throws {}
    }
}
