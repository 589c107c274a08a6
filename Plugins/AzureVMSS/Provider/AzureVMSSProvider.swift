import AzureARM
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The plugin AzureVMSS: egress addresses on the nodes of scale sets and of pools of standalone machines.
public struct AzureVMSSProvider: ProbingProvider {
    public static let descriptor = ProviderDescriptor(
        name: "AzureVMSS", version: "0.1.0", kind: .nodePool, capabilities: [NodePool.identifier],
        configurationSchema: CloudConfiguration.pluginConfigurationSchema)

    public let capabilities: [CapabilityBinding]
    private let client: ARMClient

    /// - Throws: ``ProviderError`` that names the field of the cloud configuration, its value and what is allowed.
    public init(host: ProviderHost, configuration: Data) throws {
        client = try ARMClient.make(host: host, pluginConfiguration: configuration)
        capabilities = [CapabilityBinding(AzureNodePool(client: client))]
    }

    public static func checkSettings(_ configuration: Data) throws {
        try ARMClient.checkSettings(configuration)
    }

    public func probe(_ context: CallContext) async throws -> ProbeResult {
        await client.probe(deadline: context.deadline)
    }
}
