import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The plugin: pod routing behind any CNI plugin that made the pod's `eth0`. It has no settings.
public struct CNIChainProvider: Provider {
    public static let descriptor = ProviderDescriptor(
        name: "CNIChain", version: "0.1.0", kind: .podNetwork, capabilities: [PodNetwork.identifier],
        configurationSchema: ["type": "object", "additionalProperties": false])

    public let capabilities: [CapabilityBinding]

    public init(host: ProviderHost, configuration: Data) throws {
        try Self.requireNoSettings(configuration)
        capabilities = [CapabilityBinding(PodNetworkCapability())]
    }

    static func requireNoSettings(_ configuration: Data) throws {
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

    /// A JSON value nobody looks at.
    private struct AnyValue: Decodable {
        init(from decoder: any Decoder) throws {}
    }
}
