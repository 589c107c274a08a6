import AzureARM
import Foundation
import JSONModel
import Lab
import Logging
import ProviderKit

/// The subscription that all scenarios run in: one scale set of four instances that asks for prefixes of four addresses,
/// with the latencies of a quiet region.
public enum BenchCloud {
    public static let instances = 4
    public static let subscription = "00000000-0000-0000-0000-000000000001"
    public static let resourceGroup = "bench"
    public static let location = "benchregion"
    public static let pool = "gwpool"
    public static let scaleSet = "gateways"
    static let endpoint = "http://arm.invalid"
    public static let group = "/subscriptions/\(subscription)/resourceGroups/\(resourceGroup)"

    /// What exists at the start.
    public static var configuration: AzureSimulator.Configuration {
        AzureSimulator.Configuration(
            subscription: subscription, resourceGroup: resourceGroup, location: location,
            virtualNetwork: .init(
                name: "vnet", addressPrefix: "10.0.0.0/8",
                subnets: [.init(name: "gateways", addressPrefix: "10.1.0.0/16")]),
            scaleSets: [
                .init(
                    name: scaleSet,
                    tags: ["aks-managed-poolName": pool, "aks-managed-gatewayIPPrefixSize": "30"],
                    computerNames: (0..<instances).map { "gateway-\($0)" }, subnet: "gateways")
            ],
            publicAddressSpace: "198.18.0.0/16", latencies: .reference, seed: 1)
    }

    static func simulator(
        clock: VirtualClock, configuration: AzureSimulator.Configuration = configuration
    ) throws -> AzureSimulator {
        var logger = Logger(label: "azure-simulator")
        logger.logLevel = .error
        return try AzureSimulator(configuration: configuration, logger: logger, clock: clock)
    }

    /// A client of both plugins.
    ///
    /// - Parameter changes: fields of the cloud configuration that are other ones.
    static func client(
        _ host: some HostServices, budgets: RequestBudgets, changes: [String: JSONValue] = [:]
    ) throws -> ARMClient {
        var fields: JSONValue = [
            "cloudConfig": [
                "cloud": "AzurePublicCloud", "location": .string(location), "subscriptionId": .string(subscription),
                "resourceGroup": .string(resourceGroup), "vnetName": "vnet", "subnetName": "gateways",
                "tenantId": "00000000-0000-0000-0000-0000000000aa",
                "aadClientId": "00000000-0000-0000-0000-0000000000bb", "aadClientSecret": "lab-secret",
                "resourceManagerEndpoint": .string(endpoint),
            ]
        ]
        for (name, value) in changes { fields["cloudConfig.\(name)"] = value }
        return ARMClient(
            host: ProviderHost(host), configuration: try CloudConfiguration(pluginConfiguration: fields.json()),
            budgets: budgets)
    }
}
