import Foundation
import JSONModel
import Kubernetes
import Lab
import Reconcile
import Testing

@testable import CloudScenarios

/// A switch from the Go system: its objects and its resources are taken over as they are.
@Suite struct AdoptionTests {
    /// The objects of a gateway as the Go system leaves them.
    private func objects(_ name: String, in cluster: BenchCluster) async throws -> ReferenceManager.Gateway {
        let client = cluster.client
        let owner = try await client.create(
            StaticGatewayConfiguration(
                metadata: ObjectMeta(
                    name: name, namespace: BenchCluster.namespace,
                    finalizers: ["static-gateway-configuration-controller.microsoft.com"]),
                spec: StaticGatewayConfigurationSpec(gatewayNodepoolName: BenchCloud.pool)))
        let spec = GatewayConfigurationSpec(gatewayNodepoolName: BenchCloud.pool)
        let balancer = try await client.create(
            GatewayLBConfiguration(
                metadata: ObjectMeta(
                    name: name, namespace: BenchCluster.namespace,
                    finalizers: ["gateway-lb-configuration-controller.microsoft.com"],
                    ownerReferences: [owner.ownerReference()]), spec: spec))
        let machines = try await client.create(
            GatewayVMConfiguration(
                metadata: ObjectMeta(
                    name: name, namespace: BenchCluster.namespace,
                    finalizers: ["gateway-vm-configuration-controller.microsoft.com"],
                    ownerReferences: [balancer.ownerReference()]), spec: spec))
        return ReferenceManager.Gateway(
            uid: owner.metadata.uid, loadBalancerUID: balancer.metadata.uid, machinesUID: machines.metadata.uid)
    }

    @Test func `what the Go system made is taken over without a write`() async throws {
        try await BenchCluster.run { cluster in
            let names = Scenarios.names(3)
            var made: [ReferenceManager.Gateway] = []
            for name in names { made.append(try await objects(name, in: cluster)) }
            // The other system's calls are not counted as ours.
            let other = VirtualHost(simulator: cluster.simulator, clock: cluster.clock)
            _ = try await ReferenceManager(host: other, clock: cluster.clock).provision(made)
            let before = await cluster.simulator.snapshot()
            let resources = await cluster.simulator.managedResources()
            #expect(before.rules.count == 3 && before.prefixes.count == 3)
            try await cluster.withManager {
                try await cluster.wait("all are ready", limit: .seconds(120)) { cluster.readyCount == 3 }
                // Long enough for every periodic pass.
                try await cluster.clock.sleep(for: .seconds(900))
            }
            let writes = cluster.host.calls.filter { $0.isOfResources && !$0.isRead }
            #expect(writes.isEmpty, "\(writes)")
            #expect(await cluster.simulator.snapshot() == before)
            #expect(await cluster.simulator.managedResources() == resources)
            let blocks = Dictionary(uniqueKeysWithValues: before.prefixes.map { ($0.name, $0.block) })
            let ports = Dictionary(uniqueKeysWithValues: before.rules.map { ($0.name, $0.frontendPort) })
            for (name, gateway) in zip(names, made) {
                let key = ObjectKey(namespace: BenchCluster.namespace, name: name)
                let status = try #require(cluster.gateways.store[key]?.status)
                #expect(status.egressIpPrefix == blocks["egressgateway-\(gateway.machinesUID)"])
                #expect(Int(status.gatewayServerProfile.port) == ports[gateway.loadBalancerUID])
                #expect(status.gatewayServerProfile.ip == before.frontends.first?.address)
                #expect(cluster.machines.store[key]?.status?.gatewayVMProfiles.count == BenchCloud.instances)
            }
        }
    }
}
