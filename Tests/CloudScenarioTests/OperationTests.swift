import Foundation
import Kubernetes
import Lab
import ProviderKit
import Reconcile
import Testing

@testable import CloudScenarios

/// Long-running operations, as the whole manager meets them: its end in the middle of one, the ways to follow one, and
/// operations that do not succeed.
@Suite(.serialized) struct OperationTests {
    private func isReady(_ name: String, in cluster: BenchCluster) -> Bool {
        cluster.gateways.store[ObjectKey(namespace: BenchCluster.namespace, name: name)]?.status?.conditions?
            .contains { $0.type == "Ready" && $0.isTrue } == true
    }

    private func puts(_ kind: String, in cluster: BenchCluster) -> [VirtualHost.Call] {
        cluster.host.calls.filter { $0.method == "PUT" && $0.url.contains(kind) }
    }

    /// No conflict was provoked, nothing is there twice, and nothing half.
    private func expectWhole(_ count: Int, in cluster: BenchCluster) async {
        let topology = await cluster.simulator.snapshot()
        #expect(topology.rules.count == count && topology.prefixes.count == count)
        let addresses = topology.instances.flatMap(\.ipConfigurations).filter { $0.name.hasPrefix("egressgateway-") }
        #expect(addresses.count == count * BenchCloud.instances)
        #expect(Set(addresses.compactMap(\.publicIP)).count == count * BenchCloud.instances)
        let managed = await cluster.simulator.managedResources()
        #expect(managed.count { $0.contains("publicIPPrefixes/") } == count)
    }

    @Test(arguments: [
        "/loadBalancers/", "/publicIPPrefixes/", "/virtualMachineScaleSets/gateways?", "/virtualMachines/",
    ])
    func `a manager killed during a write is followed by one that waits for it`(kind: String) async throws {
        try await BenchCluster.run { cluster in
            try await cluster.create(["gw"])
            try await cluster.withManager {
                try await cluster.wait("the write is under way", limit: .seconds(120)) {
                    !puts(kind, in: cluster).isEmpty
                }
            }
            #expect(!isReady("gw", in: cluster))
            let before = puts(kind, in: cluster).count
            try await cluster.withManager {
                try await cluster.wait("the configuration is ready", limit: .seconds(120)) {
                    isReady("gw", in: cluster)
                }
            }
            // The next manager writes nothing of what the first one wrote.
            #expect(puts(kind, in: cluster).count == before, "\(puts(kind, in: cluster))")
            let audit = await cluster.simulator.audit()
            #expect(audit.values.reduce(0) { $0 + $1.conflicts } == 0)
            await expectWhole(1, in: cluster)
        }
    }

    /// What the first one wrote is not all that shall be: the second waits, then adds to it.
    @Test func `a write that must follow a dead manager's waits for its end and keeps what it wrote`() async throws {
        try await BenchCluster.run { cluster in
            try await cluster.create(["first"])
            try await cluster.withManager {
                try await cluster.wait("the write is under way", limit: .seconds(120)) {
                    !puts("/loadBalancers/", in: cluster).isEmpty
                }
            }
            try await cluster.create(["second"])
            try await cluster.withManager {
                try await cluster.wait("both are ready", limit: .seconds(300)) {
                    isReady("first", in: cluster) && isReady("second", in: cluster)
                }
            }
            // The load balancer says Succeeded while its operation runs, so one write is refused; it is not tried again
            // before the other's end.
            let audit = await cluster.simulator.audit()
            #expect(try #require(audit["LoadBalancers_CreateOrUpdate"]).conflicts <= 1)
            #expect(puts("/loadBalancers/", in: cluster).count <= 3)
            await expectWhole(2, in: cluster)
        }
    }

    @Test func `a manager killed during a removal is followed by one that ends it`() async throws {
        try await BenchCluster.run { cluster in
            try await cluster.create(["gw"])
            func deletes() -> Int { cluster.host.calls.count { $0.method == "DELETE" } }
            try await cluster.withManager {
                try await cluster.wait("it is ready", limit: .seconds(120)) { isReady("gw", in: cluster) }
                try await cluster.client.delete(
                    StaticGatewayConfiguration.self, namespace: BenchCluster.namespace, name: "gw")
                try await cluster.wait("the prefix is being deleted", limit: .seconds(300)) { deletes() == 1 }
            }
            try await cluster.withManager {
                try await cluster.wait("it is gone", limit: .seconds(300)) { cluster.gateways.store.all.isEmpty }
            }
            #expect(await cluster.simulator.managedResources() == [])
            // The prefix and the load balancer, each once.
            #expect(deletes() == 2)
            #expect(await cluster.simulator.audit().values.reduce(0) { $0 + $1.conflicts } == 0)
        }
    }

    /// Which addresses for polling an answer may lack.
    @Test(arguments: [["azure-asyncoperation"], ["azure-asyncoperation", "location"]])
    func `operations are followed by Location, and by the resource itself`(without: [String]) async throws {
        try await BenchCluster.run { cluster in
            cluster.host.setFilter { request, response in
                // A delete without any address to poll is no answer that Azure gives.
                guard request.method != "DELETE" || without.count == 1 else { return response }
                var response = response
                response.headers.removeAll { without.contains($0.name) }
                return response
            }
            try await cluster.create(["gw"])
            try await cluster.withManager {
                try await cluster.wait("it is ready", limit: .seconds(300)) { isReady("gw", in: cluster) }
                await expectWhole(1, in: cluster)
                try await cluster.client.delete(
                    StaticGatewayConfiguration.self, namespace: BenchCluster.namespace, name: "gw")
                try await cluster.wait("it is gone", limit: .seconds(300)) { cluster.gateways.store.all.isEmpty }
            }
            #expect(await cluster.simulator.managedResources() == [])
        }
    }

    /// The operation of the first write of a kind ends so.
    struct End: Sendable, CustomTestStringConvertible {
        var operation: String
        var status: String
        var path: String
        var testDescription: String { "\(operation) \(status)" }
    }

    static let ends: [End] = [
        ("LoadBalancers_CreateOrUpdate", "/loadBalancers/"), ("PublicIPPrefixes_CreateOrUpdate", "/publicIPPrefixes/"),
        ("VirtualMachineScaleSets_CreateOrUpdate", "/virtualMachineScaleSets/gateways?"),
        ("VirtualMachineScaleSetVMs_Update", "/virtualMachines/"),
    ].flatMap { operation, path in
        ["Failed", "Canceled"].map { End(operation: operation, status: $0, path: path) }
    }

    @Test(arguments: ends)
    func `an operation that does not succeed is written once more`(_ end: End) async throws {
        try await BenchCluster.run { cluster in
            try await cluster.simulator.arm(
                .init(
                    operation: end.operation,
                    outcome: .operationEnds(status: end.status, code: "InternalServerError", message: "No.")))
            try await cluster.create(["gw"])
            try await cluster.withManager {
                try await cluster.wait("it is ready", limit: .seconds(300)) { isReady("gw", in: cluster) }
            }
            let most = Scenarios.instancePuts(cluster.host.calls).values.max() ?? 0
            let written = end.path == "/virtualMachines/" ? most : puts(end.path, in: cluster).count
            #expect(written == 2, "\(written) writes")
            #expect(await cluster.simulator.audit().values.reduce(0) { $0 + $1.conflicts } == 0)
            await expectWhole(1, in: cluster)
        }
    }

    @Test func `every fault that can be injected is survived`() async throws {
        try await BenchCluster.run { cluster in
            for kind in [
                AzureSimulator.FaultKind.throttle, .conflict, .operationFailed, .operationCanceled, .serverError,
            ] {
                try await cluster.simulator.inject(kind)
            }
            try await cluster.create(["one", "two"])
            try await cluster.withManager {
                try await cluster.wait("both are ready", limit: .seconds(600)) {
                    isReady("one", in: cluster) && isReady("two", in: cluster)
                }
            }
            // A conflict, a cancellation and a success.
            #expect(puts("/loadBalancers/", in: cluster).count <= 4)
            #expect(puts("/publicIPPrefixes/", in: cluster).count == 3)
            await expectWhole(2, in: cluster)
        }
    }
}
