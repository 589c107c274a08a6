import AzureTestSupport
import Foundation
import JSONModel
import Kubernetes
import Lab
import ProviderKit
import Testing

@testable import Host

extension ManagerFixture {
    fileprivate func review(_ settings: ManagerSettings = ManagerSettings()) throws -> CloudReview {
        CloudReview(
            client: client, loadBalancer: try plugins.require(LoadBalancer.self, timeout: .seconds(30)),
            nodePool: try plugins.require(NodePool.self, timeout: .seconds(30)), settings: settings)
    }

    fileprivate func writes() async -> Int {
        await simulator.audit().filter {
            $0.key.contains("_CreateOrUpdate") || $0.key.contains("_Update") || $0.key.contains("_Delete")
        }.values.reduce(0) { $0 + $1.calls }
    }

    /// A GatewayLBConfiguration as a manager leaves it, with its part of the cloud; there is no manager here.
    fileprivate func provisioned(_ name: String) async throws -> GatewayLBConfiguration {
        try await create(name)
        let gateway = try #require(try await find(StaticGatewayConfiguration.self, name))
        let balancer = try await client.create(
            GatewayLBConfiguration(
                metadata: ObjectMeta(
                    name: name, namespace: Self.namespace, finalizers: [GatewayNames.loadBalancerFinalizer],
                    ownerReferences: [gateway.ownerReference()]),
                spec: GatewayConfigurationSpec(gateway.spec)))
        let desired = try #require(balancer.desired(ManagerSettings()))
        let made = try await plugins.require(LoadBalancer.self, timeout: .seconds(30)).ensureOne(desired)
        let patch: JSONValue = [
            "status": ["frontendIp": .string(made.frontendIP), "serverPort": .integer(Int64(made.port))]
        ]
        return try await client.mergePatch(
            GatewayLBConfiguration.self, namespace: Self.namespace, name: name, patch: patch, subresource: .status)
    }

    /// Runs the command as a person does, on a thread of its own: it waits for the process.
    fileprivate func egressctl(_ arguments: [String]) async throws -> RunResult {
        let products = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let folder = FileManager.default.temporaryDirectory.appending(path: "kegwt-ctl-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let kubeconfig = folder.appending(path: "kubeconfig")
        try Data(
            """
            apiVersion: v1
            kind: Config
            current-context: c
            clusters: [{ name: c, cluster: { server: "\(server)" } }]
            users: [{ name: u, user: {} }]
            contexts: [{ name: c, context: { cluster: c, user: u } }]
            """.utf8
        ).write(to: kubeconfig)
        let config = String(decoding: try pluginConfiguration(endpoint: foreigner.endpoint), as: UTF8.self)
        let host = folder.appending(path: "host.yaml")
        try Data(
            """
            role: manager
            pluginDirectory: \(products.path)
            trust: { policy: any }
            kubernetes: { kubeconfig: \(kubeconfig.path) }
            plugins:
              - { name: azure-lb, path: libAzureLB.so, config: \(config) }
              - { name: azure-vmss, path: libAzureVMSS.so, config: \(config) }
            """.utf8
        ).write(to: host)
        let program = products.appending(path: "egressctl").path
        let line = ["cloud"] + arguments + ["--config", host.path]
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try runProgram(program, line) }) }
        }
    }
}

/// `run`, under a name that the fixture has not.
private func runProgram(_ program: String, _ arguments: [String]) throws -> RunResult { try run(program, arguments) }

@Suite(.serialized) struct CloudReviewTests {
    /// One object is as only a definition without rules lets it in.
    @Test func aPlanNamesWhatWouldBeMadeAndMakesNothing() async throws {
        try await ManagerFixture.run(isManaged: false, definitionsHaveRules: false) { fixture in
            try await fixture.create("gw-new")
            try await fixture.create("both") { $0.gatewayVmssProfile.vmssName = "gateways" }
            let result = try await fixture.egressctl(["plan"])
            #expect(result.status == 2, "\(result.error)")
            #expect(result.output.contains("create  GatewayLBConfiguration  team-a/gw-new\n"))
            #expect(
                result.output.contains(
                    "    loadBalancers/kubeegressgateway-ilb/loadBalancingRules/uid-of-team-a-gw-new: is missing; "
                        + "wanted: UDP port 6000 with floating IP\n"))
            #expect(result.output.contains("fail  StaticGatewayConfiguration  team-a/both\n    InvalidSpec: spec."))
            #expect(await fixture.writes() == 0)
            #expect(await fixture.simulator.managedResources() == [])
            #expect(try await fixture.find(GatewayLBConfiguration.self, "gw-new") == nil)

            let json = try await fixture.egressctl(["plan", "--json"])
            let plan = try JSONDecoder().decode(CloudPlan.self, from: Data(json.output.utf8))
            #expect(json.status == 2 && plan.hasChanges)
            #expect(plan == (try await fixture.review().plan()))
        }
    }

    @Test func aPlanNamesWhatGoesAndWhatBelongsToNobody() async throws {
        try await ManagerFixture.run(isManaged: false) { fixture in
            let balancer = try await fixture.provisioned("gw-old")
            _ = try await fixture.provisioned("gw-stays")
            try await fixture.client.delete(
                GatewayLBConfiguration.self, namespace: ManagerFixture.namespace, name: "gw-old")
            let stray = "00000000-0000-4000-8000-000000000001"
            _ = try await fixture.plugins.require(LoadBalancer.self, timeout: .seconds(30)).ensureOne(
                LoadBalancer.Desired(
                    id: stray, pool: PoolSelector(nodepoolName: "gwpool"), probe: .init(path: "/gw/\(stray)", port: 80))
            )
            let writes = await fixture.writes()
            let kind = "GatewayLBConfiguration"
            let plan = try await fixture.review().plan()
            let rules = plan.entries.filter { $0.kind == kind }
            #expect(
                rules == [
                    CloudPlan.Entry(
                        .remove, kind, namespace: "team-a", name: "gw-old",
                        details: ["frontend 10.243.0.6, UDP port 6000"]),
                    CloudPlan.Entry(.prune, kind, name: stray, details: ["frontend 10.243.0.6, UDP port 6002"]),
                ])
            #expect(plan.asDesired >= 1)
            var settings = ManagerSettings()
            settings.drift.pruneSeconds = 0
            let quiet = try await fixture.review(settings).plan().entries.filter { $0.kind == kind }
            #expect(quiet.map(\.action) == [.remove])
            #expect(await fixture.writes() == writes)
            #expect(await fixture.simulator.snapshot().rules.contains { $0.name == balancer.metadata.uid })
        }
    }

    @Test func aDiffNamesWhatSomebodyChangedAndAPlanWhatTheSpecChanges() async throws {
        try await ManagerFixture.run(isManaged: false) { fixture in
            let balancer = try await fixture.provisioned("gw-a")
            try await fixture.create("gw-new")
            let before = try await fixture.review().diff()
            #expect(before.entries.filter { $0.kind == "GatewayLBConfiguration" } == [] && before.asDesired == 1)
            let version = ARMTestClient.networkVersion
            var body = try #require(
                try await fixture.foreigner.call("GET", ARMTestClient.loadBalancer, version: version).body)
            var probes = body["properties.probes"]?.elements ?? []
            probes[0]["properties.port"] = 80
            body["properties.probes"] = .array(probes)
            _ = try await fixture.foreigner.write("PUT", ARMTestClient.loadBalancer, version: version, body: body)
            let writes = await fixture.writes()
            let result = try await fixture.egressctl(["diff"])
            #expect(result.status == 2, "\(result.error)")
            #expect(
                result.output == """
                    change  GatewayLBConfiguration  team-a/gw-a
                        loadBalancers/kubeegressgateway-ilb/probes/\(balancer.metadata.uid): properties.port is 80; \
                    wanted: 8082
                    1 change, 0 as desired

                    """)
            let patch: JSONValue = ["spec": ["gatewayNodepoolName": "nowhere"]]
            try await fixture.client.mergePatch(
                StaticGatewayConfiguration.self, namespace: ManagerFixture.namespace, name: "gw-a", patch: patch)
            let entries = try await fixture.review().plan().entries
            let planned = try #require(entries.first { $0.kind == "GatewayLBConfiguration" && $0.name == "gw-a" })
            #expect(planned.action == .fail && planned.reason == "PoolNotFound")
            #expect(await fixture.writes() == writes)
        }
    }

    @Test func whatCannotBeComparedIsNoSuccess() async throws {
        try await ManagerFixture.run(isManaged: false) { fixture in
            _ = try await fixture.provisioned("gw-a")
            let intact = try await fixture.egressctl(["diff"])
            #expect(intact.status == 0 && intact.output == "1 as desired\n", "\(intact.error)")
            try await fixture.simulator.arm(
                .init(
                    operation: "LoadBalancers_Get",
                    outcome: .answer(
                        status: 403, code: "AuthorizationFailed", message: "no right", retryAfterSeconds: nil)))
            let refused = try await fixture.egressctl(["diff"])
            #expect(refused.status == 1, "\(refused.output)")
            #expect(refused.output.hasPrefix("unknown  GatewayLBConfiguration  team-a/gw-a\n"))
        }
    }
}
