import Foundation
import Kubernetes
import Lab
import ProviderKit
import Reconcile
import Synchronization

/// The runs of docs/benchmarks.md. Each asserts nothing: it gives figures, for the benchmark to print and for tests to
/// hold.
public enum Scenarios {
    /// What providing gateways cost.
    public struct Provisioning: Sendable {
        public var time = Duration.zero
        public var loadBalancerPuts = 0
        /// Most PUTs of one instance.
        public var instancePuts = 0
        /// Calls of the resource manager.
        public var calls = 0
        public var refused = 0
        /// Egress prefixes that gateways have; none is used twice.
        public var prefixes = 0
        /// Rules of the load balancer's frontends.
        public var rules = 0
    }

    public static func names(_ count: Int) -> [String] { (0..<count).map { "gw-\($0)" } }

    private static func count(_ calls: [VirtualHost.Call], into result: inout Provisioning) {
        let ours = calls.filter(\.isOfResources)
        result.calls = ours.count
        result.refused = ours.count { $0.status == 429 }
        result.loadBalancerPuts = ours.count { $0.method == "PUT" && $0.url.contains("/loadBalancers/") }
        result.instancePuts = instancePuts(ours).values.max() ?? 0
    }

    /// PUTs by instance.
    static func instancePuts(_ calls: [VirtualHost.Call]) -> [String: Int] {
        let written = calls.filter { $0.method == "PUT" && $0.url.contains("/virtualMachines/") }
        return Dictionary(written.map { (String($0.url.prefix { $0 != "?" }), 1) }, uniquingKeysWith: +)
    }

    // MARK: - The baseline

    /// The reference's way to as many gateways.
    public static func reference(_ count: Int) async throws -> Provisioning {
        let clock = VirtualClock()
        defer { clock.stop() }
        let simulator = try BenchCloud.simulator(clock: clock)
        let host = VirtualHost(simulator: simulator, clock: clock)
        var result = Provisioning()
        result.time = try await ReferenceManager(host: host, clock: clock).provision(
            names(count).map(ReferenceManager.Gateway.init))
        self.count(host.calls, into: &result)
        let topology = await simulator.snapshot()
        result.rules = topology.rules.count
        result.prefixes = await simulator.managedResources().count { $0.contains("publicIPPrefixes/") }
        return result
    }

    // MARK: - Ours

    /// Configurations that are all there when the manager starts.
    ///
    /// - Parameter shortage: for how long half of all calls are refused with 429.
    public static func provision(
        _ count: Int, in cluster: BenchCluster, shortage: Duration = .zero
    ) async throws -> Provisioning {
        if shortage > .zero { cluster.host.setLayer(refusing(half: shortage, from: cluster.clock.now.offset)) }
        var result = Provisioning()
        result.time = try await cluster.wait("\(count) configurations are ready", limit: .seconds(3600)) {
            cluster.readyCount == count
        }
        cluster.host.setLayer(nil)
        self.count(cluster.host.calls, into: &result)
        result.rules = await cluster.simulator.snapshot().rules.count
        result.prefixes = Set(cluster.gateways.store.all.compactMap(\.status?.egressIpPrefix)).count
        return result
    }

    /// Refuses calls of the resource manager at random, the same ones in each run of equal calls.
    private static func refusing(half length: Duration, from begin: Duration) -> VirtualHost.Layer {
        let numbers = Mutex(SeededNumbers(seed: 7))
        return { request, now in
            guard now - begin < length, request.url.contains("/subscriptions/"),
                numbers.withLock({ $0.next() }) % 2 == 0
            else { return nil }
            return HTTPResponse(
                status: 429, headers: [HTTPField("retry-after", "5")],
                body: Data(#"{"error": {"code": "TooManyRequests", "message": "slow down"}}"#.utf8))
        }
    }

    /// Calls of each of the next minutes, when nothing happens.
    public struct SteadyState: Sendable {
        public var readsPerMinute: [Int] = []
        public var writes = 0
    }

    public static func steadyState(minutes: Int, in cluster: BenchCluster) async throws -> SteadyState {
        // The last passes over what was just made.
        try await cluster.clock.sleep(for: .seconds(120))
        var result = SteadyState()
        for _ in 0..<minutes {
            let before = cluster.host.calls.count
            try await cluster.clock.sleep(for: .seconds(60))
            let calls = cluster.host.calls[before...].filter(\.isOfResources)
            result.readsPerMinute.append(calls.count(where: \.isRead))
            result.writes += calls.count { !$0.isRead }
        }
        return result
    }

    /// What a change in the cloud cost.
    public struct Repair: Sendable {
        /// Until every configuration has its addresses on every instance again.
        public var time = Duration.zero
        /// Most PUTs of one instance.
        public var instancePuts = 0
        /// PUTs of instances that were not touched by the change.
        public var otherPuts = 0
    }

    /// An instance goes; the one that comes in its place lacks all our ipConfigurations, as one that was made of an
    /// older model, and joins the cluster as a new node.
    public static func replacement(_ count: Int, in cluster: BenchCluster) async throws -> Repair {
        try await cluster.clock.sleep(for: .seconds(60))
        let before = Set(await cluster.simulator.snapshot().instances.map(\.computerName))
        try await cluster.simulator.inject(.replaceInstance)
        let made = await cluster.simulator.snapshot().instances.first { !before.contains($0.computerName) }
        guard let new = made else { throw BenchError("no new instance") }
        let start = cluster.host.calls.count
        try await ReferenceManager(
            host: VirtualHost(simulator: cluster.simulator, clock: cluster.clock), clock: cluster.clock
        ).strip(instance: new.instanceID)
        try await cluster.client.create(
            Node(
                metadata: ObjectMeta(
                    name: new.computerName, labels: ["kubeegressgateway.azure.com/mode": "true"])))
        var result = Repair()
        result.time = try await cluster.wait("the new instance serves all", limit: .seconds(3600)) {
            cluster.machines.store.all.count { machine in
                machine.status?.gatewayVMProfiles.contains { $0.nodeName == new.computerName } == true
            } == count
        }
        let puts = instancePuts(Array(cluster.host.calls[start...]))
        result.instancePuts = puts.filter { $0.key.hasSuffix("/\(new.instanceID)") }.values.max() ?? 0
        result.otherPuts = puts.filter { !$0.key.hasSuffix("/\(new.instanceID)") }.values.reduce(0, +)
        return result
    }

    /// Somebody else rolls out a model without our ipConfigurations, at the worst moment: just after the nodes' network
    /// interfaces were looked at.
    public static func strip(_ count: Int, in cluster: BenchCluster) async throws -> Repair {
        // What a scenario before this one set going has come to its end.
        try await cluster.clock.sleep(for: .seconds(60))
        let before = cluster.host.calls.count
        try await cluster.wait("a look at the network interfaces", limit: .seconds(120), every: .milliseconds(10)) {
            cluster.host.calls[before...].contains { $0.isRead && $0.url.contains("/networkInterfaces") }
        }
        let start = cluster.host.calls.count
        try await cluster.simulator.inject(.strip)
        var result = Repair()
        result.time = try await cluster.wait("all addresses are back", limit: .seconds(3600), every: .milliseconds(100))
        {
            await cluster.simulator.snapshot().instances.flatMap(\.ipConfigurations).count {
                $0.name.hasPrefix("egressgateway-") && $0.publicIP != nil
            } == count * BenchCloud.instances
        }
        result.instancePuts = instancePuts(Array(cluster.host.calls[start...])).values.max() ?? 0
        return result
    }
}

/// Numbers that look random and are the same in each run (SplitMix64).
private struct SeededNumbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
