import AzureARM
import AzureLBProvider
import AzureTestSupport
import AzureVMSSProvider
import Foundation
import JSONModel
import Lab
import ProviderKit
import Testing

let pool = PoolSelector(nodepoolName: "gwpool")
/// A pool of standalone machines; see ``AzureSimulator/Configuration/machines(_:prefixLength:subnetIPv6:)``.
let machinePool = PoolSelector(nodepoolName: "VMPool")

let instancePUT = "VirtualMachineScaleSetVMs_Update"
let modelPUT = "VirtualMachineScaleSets_CreateOrUpdate"
let interfacePUT = "Interfaces_CreateOrUpdate"
let addressPUT = "PublicIPAddresses_CreateOrUpdate"
let prefixPUT = "PublicIPPrefixes_CreateOrUpdate"

func desired(
    _ id: String, publicIPs: Bool = true, length: Int? = nil, prefixID: String? = nil, pool: PoolSelector = pool,
    families: [NodePool.IPFamily]? = nil
) -> NodePool.Desired {
    NodePool.Desired(
        id: id, pool: pool, publicIPs: publicIPs, prefixLength: length, prefixID: prefixID, ipFamilies: families)
}

extension AzureSimulator.Configuration {
    /// Standalone machines `vm-0`... beside a scale set without instances.
    static func machines(_ count: Int = 2, prefixLength: Int = 31, subnetIPv6: String? = nil) -> Self {
        .test(
            computerNames: [],
            machinePools: [
                .gateways(
                    named: "vmpool", machines: (0..<count).map { "vm-\($0)" }, prefixLength: prefixLength,
                    subnet: "gateways")
            ], subnetIPv6: subnetIPv6)
    }
}

extension AzureSimulator {
    func calls(_ operation: String) async -> Int { audit()[operation]?.calls ?? 0 }

    /// Calls of operations whose names contain one of these.
    private func calls(containing words: [String]) -> Int {
        audit().filter { entry in words.contains { entry.key.contains($0) } }.values.reduce(0) { $0 + $1.calls }
    }

    /// Calls that read a resource or a list.
    var reads: Int {
        get async { calls(containing: ["_Get", "_List"]) }
    }

    /// Calls that make, change or delete a resource.
    var writes: Int {
        get async { calls(containing: ["_CreateOrUpdate", "_Update", "_Delete"]) }
    }
}

/// Both providers of one cloud; a pool's frontend comes before its addresses, as the manager does it.
struct Cloud: Sendable {
    let host: TestHost
    let pools: AzureNodePool
    let balancer: AzureLoadBalancer

    init(
        _ client: ARMTestClient, pruneLimit: Int? = nil, location: String = "labregion", isClockStopped: Bool = false
    ) throws {
        host = TestHost(isStopped: isClockStopped)
        let data = try pluginConfiguration(endpoint: client.endpoint, changes: ["location": .string(location)])
        var configuration = try CloudConfiguration(pluginConfiguration: data)
        if let pruneLimit { configuration.pruneLimit = pruneLimit }
        pools = AzureNodePool(client: ARMClient(host: ProviderHost(host), configuration: configuration))
        balancer = AzureLoadBalancer(client: ARMClient(host: ProviderHost(host), configuration: configuration))
    }

    func prepare(_ ids: [String], pool: PoolSelector = pool) async throws {
        let results = try await balancer.ensure(
            ids.map { .init(id: "lb-\($0)", pool: pool, probe: .init(path: "/gw/\($0)", port: 8082)) }, host.context())
        #expect(results.map(\.code) == ids.map { _ in .ok }, "\(results.compactMap(\.message))")
    }

    func ensure(_ items: [NodePool.Desired]) async throws -> [ItemResult<NodePool.Observed>] {
        try await pools.ensure(items, host.context())
    }

    func check(_ items: [NodePool.Desired]) async throws -> [ItemResult<NodePool.Observed>] {
        try await pools.check(items, host.context())
    }

    func remove(_ ids: [String], pool: PoolSelector = pool) async throws -> [ItemResult<Nothing>] {
        try await pools.remove(ids.map { PoolReference(id: $0, pool: pool) }, host.context())
    }

    func prune(keeping ids: [String], pool: PoolSelector = pool) async throws -> [ItemResult<Nothing>] {
        try await pools.prune(
            keeping: ids.map { PoolReference(id: $0, pool: pool) }, namespaces: [], host.context())
    }
}
