import AzureTestSupport
import Foundation
import JSONModel
import Kubernetes
import Lab
import Logging
import ProviderKit
import Reconcile
import Synchronization
import Testing

@testable import Host

/// The reasons that an object's condition `Ready` went through.
private final class ReasonHistory<Resource: KubernetesResource>: Sendable {
    private let seen = Mutex<[String]>([])
    private let messages = Mutex<[String: String]>([:])
    private let task: Mutex<Task<Void, Never>?> = Mutex(nil)

    var reasons: [String] { seen.withLock { $0 } }
    func message(of reason: String) -> String? { messages.withLock { $0[reason] } }

    /// Follows one object by a watch, which tells of every state it had.
    init(
        _ type: Resource.Type, _ name: String, _ client: KubernetesClient,
        conditions: @escaping @Sendable (Resource) -> [Condition]?
    ) async throws {
        let version = try await client.list(type, namespace: ManagerFixture.namespace).resourceVersion
        let events = try await client.watch(type, namespace: ManagerFixture.namespace, resourceVersion: version)
        let follower = Task { [self] in
            do {
                for try await event in events {
                    guard case .modified(let object) = event, object.metadata.name == name,
                        let condition = Conditions.find("Ready", in: conditions(object))
                    else { continue }
                    messages.withLock { $0[condition.reason] = condition.message }
                    seen.withLock { if $0.last != condition.reason { $0.append(condition.reason) } }
                }
            } catch {
                // The watch ends with the test.
            }
        }
        task.withLock { $0 = follower }
    }

    func stop() { task.withLock { $0?.cancel() } }
}

extension ManagerFixture {
    /// Somebody else changes the load balancer.
    fileprivate func editLoadBalancer(_ change: (inout JSONValue) -> Void) async throws {
        let version = ARMTestClient.networkVersion
        let read = try await foreigner.call("GET", ARMTestClient.loadBalancer, version: version)
        var body = try #require(read.body)
        change(&body)
        let (answer, _) = try await foreigner.write("PUT", ARMTestClient.loadBalancer, version: version, body: body)
        #expect(answer.status == 200)
    }

    /// Somebody puts a rule and a tag of their own in the place of one of ours.
    fileprivate func replaceRule(_ name: String) async throws {
        try await editLoadBalancer { body in
            let rules = body["properties.loadBalancingRules"]?.elements ?? []
            let own = rules.first { $0["name"]?.text == name }
            var foreign = ruleOfSomebody
            for member in ["frontendIPConfiguration", "backendAddressPool"] {
                foreign["properties.\(member)"] = own?["properties.\(member)"]
            }
            body["properties.loadBalancingRules"] = [foreign]
            body["tags"] = ["owner": "somebody"]
        }
    }

    fileprivate func readiness(_ name: String) async throws -> Condition? {
        Conditions.find("Ready", in: try await find(StaticGatewayConfiguration.self, name)?.status?.conditions)
    }

    fileprivate func calls(_ isCounted: (String) -> Bool) async -> Int {
        await simulator.audit().filter { isCounted($0.key) }.values.reduce(0) { $0 + $1.calls }
    }

    /// Calls that an audit of Azure would count as reads, tokens and polls apart.
    fileprivate func reads() async -> Int {
        await calls { $0.contains("_Get") && $0 != "Operations_Get" || $0.contains("_List") }
    }

    fileprivate func writes() async -> Int {
        await calls { $0.contains("_CreateOrUpdate") || $0.contains("_Update") || $0.contains("_Delete") }
    }
}

private let ruleOfSomebody: JSONValue = [
    "name": "somebody-elses",
    "properties": ["protocol": "Tcp", "frontendPort": 6500, "backendPort": 6500, "enableFloatingIP": false],
]

@Suite(.serialized) struct DriftTests {
    @Test func aRuleThatSomebodyRemovedIsToldAndRepairedAndTheConditionClears() async throws {
        try await ManagerFixture.run(changing: { $0.drift.checkSeconds = 1 }) { fixture in
            try await fixture.create("gw-a")
            let before = try #require(try await fixture.ready("gw-a").status)
            let balancer = try #require(try await fixture.find(GatewayLBConfiguration.self, "gw-a"))
            let reasons = try await ReasonHistory(GatewayLBConfiguration.self, "gw-a", fixture.client) {
                $0.status?.conditions
            }
            let toldAbove = try await ReasonHistory(StaticGatewayConfiguration.self, "gw-a", fixture.client) {
                $0.status?.conditions
            }
            // A run of a controller that was still to come mends the rule before anybody compares; it is removed again.
            for _ in 0..<5 where !reasons.reasons.contains("CloudDrift") {
                try await fixture.replaceRule(balancer.metadata.uid)
                try await fixture.eventually("the rule is back") {
                    await fixture.simulator.snapshot().rules.contains { $0.name == balancer.metadata.uid } ? () : nil
                }
                try await Task.sleep(for: .milliseconds(200))
            }
            let after = try await fixture.eventually("the conditions are cleared") {
                reasons.reasons.last == "Provisioned" && toldAbove.reasons.last == "Provisioned"
                    ? try await fixture.find(StaticGatewayConfiguration.self, "gw-a") : nil
            }
            #expect(reasons.reasons == ["CloudDrift", "Provisioned"])
            #expect(toldAbove.reasons == ["CloudDrift", "Provisioned"])
            let line =
                "loadBalancers/kubeegressgateway-ilb/loadBalancingRules/\(balancer.metadata.uid): is missing; "
                + "wanted: UDP port 6000 with floating IP"
            #expect(reasons.message(of: "CloudDrift") == line)
            #expect(
                toldAbove.message(of: "CloudDrift") == "\(line); traffic still leaves from \(before.egressIpPrefix)")
            #expect(after.status?.gatewayServerProfile == before.gatewayServerProfile)
            let events = try await fixture.eventually("the event is stored") {
                let found = try await fixture.events(about: "gw-a").filter { $0.reason == "CloudDrift" }
                return found.isEmpty ? nil : found
            }
            #expect(events.map(\.count) == [1] && events[0].type == "Warning")
            #expect(events[0].message == "GatewayLBConfiguration: \(line); it is being repaired")
            let rules = await fixture.simulator.snapshot().rules
            #expect(Set(rules.map(\.name)) == ["somebody-elses", balancer.metadata.uid])
            let body = try await fixture.foreigner.call(
                "GET", ARMTestClient.loadBalancer, version: ARMTestClient.networkVersion)
            #expect(body.body?["tags.owner"] == "somebody")
            reasons.stop()
            toldAbove.stop()
        }
    }

    @Test func addressesThatARollOutTookAreToldAndBackInTheSamePass() async throws {
        try await ManagerFixture.run(changing: { $0.drift.checkSeconds = 2 }) { fixture in
            try await fixture.create("gw-a")
            let before = try #require(try await fixture.ready("gw-a").status)
            let machines = try #require(try await fixture.find(GatewayVMConfiguration.self, "gw-a"))
            let name = "egressgateway-\(machines.metadata.uid)"
            let reasons = try await ReasonHistory(GatewayVMConfiguration.self, "gw-a", fixture.client) {
                $0.status?.conditions
            }
            func addresses() async -> [String?] {
                await fixture.simulator.snapshot().instances.flatMap(\.ipConfigurations).filter { $0.name == name }
                    .map(\.publicIP)
            }
            let whole = await addresses()
            #expect(whole.count == 2 && !whole.contains(nil))
            // As above: a run that was still to come may mend before anybody compares.
            for _ in 0..<5 where !reasons.reasons.contains("CloudDrift") {
                try await fixture.simulator.inject(.strip)
                try await fixture.eventually("the addresses are back") {
                    let now = await addresses()
                    return now.count == 2 && !now.contains(nil) ? () : nil
                }
                try await Task.sleep(for: .milliseconds(200))
            }
            try await fixture.eventually("the condition is cleared") {
                reasons.reasons.last == "Provisioned" ? () : nil
            }
            #expect(reasons.reasons == ["CloudDrift", "Provisioned"])
            let told = reasons.message(of: "CloudDrift") ?? ""
            #expect(told.contains("virtualMachines/0/ipConfigurations/\(name): is missing; wanted: IPv4"), "\(told)")
            let events = try await fixture.eventually("the event is stored") {
                let found = try await fixture.events(about: "gw-a").filter { $0.reason == "CloudDrift" }
                return found.isEmpty ? nil : found
            }
            #expect(events.map(\.count) == [1])
            // An Event's message has room for 1 KiB.
            let message = "GatewayVMConfiguration: \(told); it is being repaired"
            #expect(message.hasPrefix(events[0].message) && events[0].message.utf8.count > 500)
            let after = try await fixture.find(StaticGatewayConfiguration.self, "gw-a")?.status
            #expect(after?.egressIpPrefix == before.egressIpPrefix)
            reasons.stop()
        }
    }

    /// The object is written between the reading and the telling: the repair comes all the same, so it is now or never.
    @Test func driftIsToldOnceAlsoWhereSomebodyWroteTheObjectMeanwhile() async throws {
        try await ManagerFixture.run(isManaged: false) { fixture in
            try await fixture.create("gw-a")
            let gateway = try #require(try await fixture.find(StaticGatewayConfiguration.self, "gw-a"))
            let stale = try await fixture.client.create(
                GatewayLBConfiguration(
                    metadata: ObjectMeta(
                        name: "gw-a", namespace: ManagerFixture.namespace,
                        ownerReferences: [gateway.ownerReference()]),
                    spec: GatewayConfigurationSpec(gateway.spec)))
            _ = try await fixture.client.mergePatch(
                GatewayLBConfiguration.self, namespace: ManagerFixture.namespace, name: "gw-a",
                patch: ["metadata": ["labels": ["team": "a"]]])
            let teller = try fixture.watch(of: [stale]).teller
            for _ in 0..<2 { await teller.tell(["probes/p: is missing"], of: stale) }
            let told = try #require(try await fixture.find(GatewayLBConfiguration.self, "gw-a"))
            #expect(Conditions.find("Ready", in: told.status?.conditions)?.reason == "CloudDrift")
            #expect(told.metadata.labels["team"] == "a")
            #expect(try await fixture.readiness("gw-a")?.reason == "CloudDrift")
            let events = try await fixture.eventually("the event is stored") {
                let found = try await fixture.events(about: "gw-a").filter { $0.reason == "CloudDrift" }
                return found.isEmpty ? nil : found
            }
            #expect(events.map(\.count) == [1])
        }
    }

    @Test func whatBelongsToNobodyGoesByAndByAndTheRestStays() async throws {
        // The first prune runs by hand below, and the manager's never.
        try await ManagerFixture.run(changing: { $0.drift.pruneSeconds = 0 }) { fixture in
            try await fixture.create("gw-a")
            _ = try await fixture.ready("gw-a")
            let uid = try #require(try await fixture.find(GatewayLBConfiguration.self, "gw-a")).metadata.uid
            let provider = try fixture.plugins.require(LoadBalancer.self, timeout: .seconds(30))
            let strays = (10..<24).map { "00000000-0000-4000-8000-0000000000\($0)" }
            let made = try await provider.ensure(
                strays.map { id in
                    LoadBalancer.Desired(
                        id: id, pool: PoolSelector(nodepoolName: "gwpool"), probe: .init(path: "/gw/\(id)", port: 8082))
                })
            #expect(made.allSatisfy { $0.code == .ok })
            try await fixture.editLoadBalancer { body in
                var foreign = ruleOfSomebody
                let own = body["properties.loadBalancingRules"]?.elements[0]
                for member in ["frontendIPConfiguration", "backendAddressPool"] {
                    foreign["properties.\(member)"] = own?["properties.\(member)"]
                }
                body["properties.loadBalancingRules"] = .array(
                    (body["properties.loadBalancingRules"]?.elements ?? []) + [foreign])
            }
            let pruner = CloudPruner(
                objects: GatewayObjects(client: fixture.client), loadBalancer: BatchingCapability(provider),
                nodePool: BatchingCapability(try fixture.plugins.require(NodePool.self, timeout: .seconds(30))),
                keys: KeyPruner(
                    objects: GatewayObjects(client: fixture.client), settings: ManagerSettings(),
                    logger: Logger(label: "prune")), settings: ManagerSettings(),
                logger: Logger(label: "prune") { _ in SwiftLogNoOpLogHandler() },
                environment: ReconcileEnvironment())
            for left in [6, 2, 2] {
                #expect(await pruner.pass())
                let rules = Set(await fixture.simulator.snapshot().rules.map(\.name))
                #expect(rules.count == left && rules.isSuperset(of: [uid, "somebody-elses"]), "\(rules)")
            }
            #expect(try await fixture.readiness("gw-a")?.isTrue == true)
        }
    }

    @Test func theManagerPrunesByItselfOnceAllIsSeen() async throws {
        try await ManagerFixture.run(changing: {
            $0.drift.checkSeconds = 1
            $0.drift.pruneSeconds = 1
        }) { fixture in
            try await fixture.create("gw-a")
            _ = try await fixture.ready("gw-a")
            let uid = try #require(try await fixture.find(GatewayLBConfiguration.self, "gw-a")).metadata.uid
            let provider = try fixture.plugins.require(LoadBalancer.self, timeout: .seconds(30))
            let stray = "00000000-0000-4000-8000-000000000001"
            _ = try await provider.ensure([
                LoadBalancer.Desired(
                    id: stray, pool: PoolSelector(nodepoolName: "gwpool"), probe: .init(path: "/gw/\(stray)", port: 80))
            ])
            try await fixture.eventually("the stray rule is gone") {
                await fixture.simulator.snapshot().rules.map(\.name) == [uid] ? () : nil
            }
            let managed = await fixture.simulator.managedResources()
            #expect(managed.contains { $0.contains("publicIPPrefixes/egressgateway-") })
        }
    }

    /// What the store still knows may be on its way out: a repair must not bring it back.
    @Test func anObjectThatIsBeingDeletedIsNotRepaired() async throws {
        try await ManagerFixture.run(changing: { $0.drift.pruneSeconds = 0 }) { fixture in
            try await fixture.create("gw-a")
            _ = try await fixture.ready("gw-a")
            let stale = try #require(try await fixture.find(GatewayLBConfiguration.self, "gw-a"))
            try await fixture.client.delete(
                StaticGatewayConfiguration.self, namespace: ManagerFixture.namespace, name: "gw-a")
            try await fixture.eventually("gw-a is gone") {
                try await fixture.find(StaticGatewayConfiguration.self, "gw-a") == nil ? () : nil
            }
            let writes = await fixture.writes()
            let watch = try fixture.watch(of: [stale])
            #expect(await watch.pass() == .compared)
            #expect(await fixture.writes() == writes)
            #expect(await fixture.simulator.managedResources() == [])
        }
    }

    @Test func aFailureThatAPersonMustMendIsNotCoveredUp() async throws {
        try await ManagerFixture.run(changing: { $0.drift.pruneSeconds = 0 }) { fixture in
            try await fixture.create("gw-a")
            _ = try await fixture.ready("gw-a")
            var balancer = try #require(try await fixture.find(GatewayLBConfiguration.self, "gw-a"))
            let own = Condition(
                type: "Ready", status: "False", observedGeneration: balancer.metadata.generation, reason: "PolicyDenied"
            )
            balancer.status?.conditions = [own]
            try await fixture.editLoadBalancer { $0["properties.loadBalancingRules"] = [] }
            let writes = await fixture.writes()
            #expect(await (try fixture.watch(of: [balancer])).pass() == .compared)
            #expect(await fixture.writes() == writes)
            // What is only copied from the nodes does not keep the load balancer from being looked after.
            // A pass that meets a write of the manager's leaves the repair to the next one.
            let watch = try fixture.watch(of: [balancer], isInherited: true)
            try await fixture.eventually("the rule is back") {
                #expect(await watch.pass() == .compared)
                return await fixture.simulator.snapshot().rules.map(\.name) == [balancer.metadata.uid] ? () : nil
            }
        }
    }
}

extension ManagerFixture {
    /// A comparison of its own beside the manager's, which knows of these objects.
    fileprivate func watch<Object: ProvidedObject>(
        of objects: [Object], isInherited: Bool = false
    ) throws -> DriftWatch<Object> {
        let store = ObjectStore<Object>()
        store.replaceAll(objects)
        let logger = Logger(label: "drift") { _ in SwiftLogNoOpLogHandler() }
        return DriftWatch(
            store: store,
            capability: BatchingCapability(try plugins.require(Object.Contract.self, timeout: .seconds(30))),
            teller: DriftTeller(
                objects: GatewayObjects(client: client),
                events: EventRecorder(client: client, component: "test", logger: logger)),
            settings: ManagerSettings(), logger: logger, environment: ReconcileEnvironment(), enqueue: { _ in },
            isInherited: { _, _ in isInherited })
    }
}

@Suite(.serialized) struct SteadyStateTests {
    /// Both plugins, loaded from their files, and what the manager does with them in one minute in which nothing happens.
    @Test func aMinuteOfAHundredConfigurationsCostsTenReadsAndNoWrites() async throws {
        try await ManagerFixture.run(changing: { $0.drift.pruneSeconds = 0 }) { fixture in
            let numbers = 100..<200
            let balancers = numbers.map(ManagerFixture.balancer)
            let machines = numbers.map(ManagerFixture.machines)
            let settings = ManagerSettings()
            let madeRules = try await fixture.plugins.require(LoadBalancer.self, timeout: .seconds(60))
                .ensure(balancers.compactMap { $0.desired(settings) })
            let madeAddresses = try await fixture.plugins.require(NodePool.self, timeout: .seconds(60))
                .ensure(machines.compactMap { $0.desired(settings) })
            #expect(madeRules.count == 100 && madeRules.allSatisfy { $0.code == .ok })
            #expect(madeAddresses.count == 100 && madeAddresses.allSatisfy { $0.code == .ok })
            let balancerWatch = try fixture.watch(of: balancers)
            let machineWatch = try fixture.watch(of: machines)
            // The first pass may ask what only rarely changes.
            _ = (await balancerWatch.pass(), await machineWatch.pass())
            let (reads, writes) = (await fixture.reads(), await fixture.writes())
            for _ in 0..<(60 / settings.drift.checkSeconds) {
                #expect(await balancerWatch.pass() == .compared)
                #expect(await machineWatch.pass() == .compared)
            }
            #expect(await fixture.reads() - reads <= 10)
            #expect(await fixture.writes() == writes)
        }
    }
}

extension ManagerFixture {
    private static func metadata(_ number: Int, _ kind: String, _ finalizer: String) -> ObjectMeta {
        var metadata = ObjectMeta(name: "gw-\(number)", namespace: namespace)
        metadata.uid = "00000000-0000-4000-8000-\(kind)\(number)"
        metadata.finalizers = [finalizer]
        return metadata
    }

    /// A configuration as it is once it was provisioned.
    fileprivate static func balancer(_ number: Int) -> GatewayLBConfiguration {
        var metadata = metadata(number, "000000001", GatewayNames.loadBalancerFinalizer)
        metadata.ownerReferences = [
            OwnerReference(
                apiVersion: StaticGatewayConfiguration.resourceType.apiVersion,
                kind: StaticGatewayConfiguration.resourceType.kind, name: metadata.name,
                uid: "00000000-0000-4000-8000-000000000\(number)")
        ]
        return GatewayLBConfiguration(
            metadata: metadata, spec: GatewayConfigurationSpec(gatewayNodepoolName: "gwpool"),
            status: .init(frontendIp: "10.243.0.6", serverPort: 6000))
    }

    fileprivate static func machines(_ number: Int) -> GatewayVMConfiguration {
        GatewayVMConfiguration(
            metadata: metadata(number, "000000002", GatewayNames.nodePoolFinalizer),
            spec: GatewayConfigurationSpec(gatewayNodepoolName: "gwpool", provisionPublicIps: false),
            status: .init(egressIpPrefix: "10.243.0.9"))
    }
}
