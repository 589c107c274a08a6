import AzureARM
import JSONModel
import ProviderKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// The plugin AzureLB: gateway frontends on an internal load balancer of Azure.
public struct AzureLBProvider: ProbingProvider {
    public static let descriptor = ProviderDescriptor(
        name: "AzureLB", version: "0.1.0", kind: .loadBalancer, capabilities: [LoadBalancer.identifier],
        configurationSchema: CloudConfiguration.pluginConfigurationSchema)

    public let capabilities: [CapabilityBinding]
    private let client: ARMClient

    /// - Throws: ``ProviderError`` that names the field of the cloud configuration, its value and what is allowed.
    public init(host: ProviderHost, configuration: Data) throws {
        client = try ARMClient.make(host: host, pluginConfiguration: configuration)
        capabilities = [CapabilityBinding(AzureLoadBalancer(client: client))]
    }

    public static func checkSettings(_ configuration: Data) throws {
        try ARMClient.checkSettings(configuration)
    }

    public func probe(_ context: CallContext) async throws -> ProbeResult {
        await client.probe(deadline: context.deadline)
    }
}
