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
    static let subscription = "00000000-0000-0000-0000-000000000001"
    static let resourceGroup = "bench"
    static let location = "benchregion"
    static let pool = "gwpool"
    static let scaleSet = "gateways"
    static let endpoint = "http://arm.invalid"
    static let group = "/subscriptions/\(subscription)/resourceGroups/\(resourceGroup)"

    /// - Parameter latencies: how long the cloud takes; the reference times of docs/benchmarks.md by default.
    static func simulator(
        clock: VirtualClock, latencies: AzureSimulator.Latencies = .reference
    ) throws -> AzureSimulator {
        var logger = Logger(label: "azure-simulator")
        logger.logLevel = .error
        return try AzureSimulator(
            configuration: .init(
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
                publicAddressSpace: "198.18.0.0/16", latencies: latencies, seed: 1),
            logger: logger, clock: clock)
    }

    /// A client of both plugins.
    static func client(_ host: VirtualHost, budgets: RequestBudgets) throws -> ARMClient {
        let fields: JSONValue = [
            "cloudConfig": [
                "cloud": "AzurePublicCloud", "location": .string(location), "subscriptionId": .string(subscription),
                "resourceGroup": .string(resourceGroup), "vnetName": "vnet", "subnetName": "gateways",
                "tenantId": "00000000-0000-0000-0000-0000000000aa",
                "aadClientId": "00000000-0000-0000-0000-0000000000bb", "aadClientSecret": "lab-secret",
                "resourceManagerEndpoint": .string(endpoint),
            ]
        ]
        return ARMClient(
            host: ProviderHost(host), configuration: try CloudConfiguration(pluginConfiguration: fields.json()),
            budgets: budgets)
    }
}
