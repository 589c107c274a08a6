import Kubernetes
import Lab
import Testing

@testable import CloudScenarios

/// The figures that `make bench` prints, held in every test run: they are counts and virtual times, the same on any
/// machine.
@Suite(.serialized) struct CloudScenarioTests {
    /// Fewer than in the benchmark, because debug builds compute slowly; the counts do not depend on it.
    private static let count = 30

    @Test func `many configurations cost few writes, when made and when an instance is replaced`() async throws {
        let (made, replaced) = try await BenchCluster.run { cluster in
            try await cluster.create(Scenarios.names(Self.count))
            return try await cluster.withManager {
                let made = try await Scenarios.provision(Self.count, in: cluster)
                return (made, try await Scenarios.replacement(Self.count, in: cluster))
            }
        }
        #expect(made.rules == Self.count && made.prefixes == Self.count)
        #expect(made.loadBalancerPuts <= 3)
        #expect(made.instancePuts <= 3)
        // The serial way costs 52 s for each configuration: four instances of 12 s, and a prefix of 4 s.
        #expect(made.time < .seconds(Self.count * 52) / 20)
        #expect(replaced.instancePuts == 1)
        #expect(replaced.otherPuts == 0)
    }

    @Test func `a strip right after a look is repaired within a look and one round of writes`() async throws {
        let stripped = try await BenchCluster.run { cluster in
            try await cluster.create(Scenarios.names(5))
            return try await cluster.withManager {
                _ = try await Scenarios.provision(5, in: cluster)
                try await cluster.clock.sleep(for: .seconds(120))
                return try await Scenarios.strip(5, in: cluster)
            }
        }
        #expect(stripped.instancePuts == 1)
        #expect(stripped.time <= .seconds(45), "\(stripped.time)")
    }

    /// 12 s for each machine, 4 at a time, and 3 s for the model before them; the prefix is made meanwhile in 4 s.
    @Test(arguments: [(4, 12), (8, 24), (10, 36)])
    func `machines are written four at a time`(machines: Int, seconds: Int) async throws {
        let made = try await BenchCluster.run(cloud: cloud(["gateways": machines])) { cluster in
            try await cluster.create(["gw-0"], spec(scaleSet: "gateways"))
            return try await cluster.withManager { try await Scenarios.provision(1, in: cluster) }
        }
        #expect(made.instancePuts == 1)
        #expect(made.time >= .seconds(seconds) && made.time < .seconds(seconds + 20), "\(made.time)")
    }

    @Test func `pools do not wait for each other, and one pool of two names is written once`() async throws {
        let made = try await BenchCluster.run(cloud: cloud(["gateways": 4, "others": 4])) { cluster in
            try await cluster.create(["gw-0"], spec(scaleSet: "gateways"))
            try await cluster.create(["gw-1"], spec(scaleSet: "others"))
            try await cluster.create(["gw-2"], .init(gatewayNodepoolName: BenchCloud.pool))
            return try await cluster.withManager { try await Scenarios.provision(3, in: cluster) }
        }
        #expect(made.instancePuts == 1)
        #expect(made.prefixes == 3)
        #expect(made.time < .seconds(32), "\(made.time)")
    }

    private func spec(scaleSet: String) -> StaticGatewayConfigurationSpec {
        .init(
            gatewayVmssProfile: .init(
                vmssResourceGroup: BenchCloud.resourceGroup, vmssName: scaleSet, publicIpPrefixSize: 28))
    }

    /// - Parameter machines: how many each scale set has; "gateways" is the node pool that the benchmark names.
    private func cloud(_ machines: [String: Int]) -> AzureSimulator.Configuration {
        var cloud = BenchCloud.configuration
        cloud.scaleSets = machines.sorted { $0.key < $1.key }.map { name, count in
            .init(
                name: name,
                tags: name == BenchCloud.scaleSet
                    ? ["aks-managed-poolName": BenchCloud.pool, "aks-managed-gatewayIPPrefixSize": "28"] : [:],
                computerNames: (0..<count).map { "\(name)-\($0)" }, subnet: "gateways")
        }
        return cloud
    }

    @Test func `refusals of half of all calls for two minutes raise no storm`() async throws {
        func calls(_ shortage: Duration) async throws -> Scenarios.Provisioning {
            try await BenchCluster.run { cluster in
                try await cluster.create(Scenarios.names(20))
                return try await cluster.withManager {
                    try await Scenarios.provision(20, in: cluster, shortage: shortage)
                }
            }
        }
        let clean = try await calls(.zero)
        let faulted = try await calls(.seconds(120))
        #expect(clean.refused == 0 && faulted.refused > 0)
        #expect(faulted.prefixes == 20 && faulted.rules == 20)
        #expect(Double(faulted.calls) <= 1.5 * Double(clean.calls), "\(faulted.calls) calls, \(clean.calls) clean")
    }

    @Test func `the reference's way costs a write of everything for each configuration`() async throws {
        let baseline = try await Scenarios.reference(5)
        #expect(baseline.loadBalancerPuts == 5)
        #expect(baseline.instancePuts == 5)
        #expect(baseline.time >= .seconds(5 * 52))
        #expect(baseline.rules == 5 && baseline.prefixes == 5)
    }
}
