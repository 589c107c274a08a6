import Foundation
import JSONModel
import Kubernetes
import Lab
import ProviderKit
import Reconcile
import Testing

@testable import CloudScenarios

/// What a person can get wrong about Azure: it ends as a condition with a reason of the closed list and a message that
/// says what to do, as one Event, and without a storm of calls.
@Suite(.serialized) struct BadInputTests {
    /// A wrong configuration, with what must be said about it.
    struct Mistake: Sendable {
        var name: String
        var spec: StaticGatewayConfigurationSpec
        var reason: FailureReason
        /// What the message must have: the thing, and what to do or what is allowed.
        var words: [String]

        init(
            _ name: String, _ reason: FailureReason, _ words: [String], pool: String = BenchCloud.pool,
            prefix: String = "", profile: GatewayVmssProfile = .init()
        ) {
            self.name = name
            self.reason = reason
            self.words = words
            spec = StaticGatewayConfigurationSpec(
                gatewayNodepoolName: profile == .init() ? pool : "", gatewayVmssProfile: profile,
                publicIpPrefixId: prefix)
        }
    }

    private static let prefixes = "\(BenchCloud.group)/providers/Microsoft.Network/publicIPPrefixes"

    private static func profile(
        _ name: String = BenchCloud.scaleSet, group: String = BenchCloud.resourceGroup, size: Int32 = 30
    ) -> GatewayVmssProfile {
        GatewayVmssProfile(vmssResourceGroup: group, vmssName: name, publicIpPrefixSize: size)
    }

    static let mistakes: [Mistake] = [
        Mistake("pool", .poolNotFound, ["aks-managed-poolName", "\"nowhere\""], pool: "nowhere"),
        Mistake("profile", .poolNotFound, ["nowhere", "does not exist"], profile: profile("nowhere")),
        Mistake(
            "group", .resourceGroupNotFound, ["check the resource group's name"], profile: profile(group: "elsewhere")),
        Mistake("untagged", .poolTagMissing, ["aks-managed-gatewayIPPrefixSize", "28..31"], pool: "untagged"),
        Mistake("size", .prefixLengthInvalid, ["27", "28..31"], profile: profile(size: 27)),
        Mistake("exhausted", .prefixExhausted, ["has 2 addresses", "4 nodes"], profile: profile(size: 31)),
        Mistake(
            "malformed", .prefixIDInvalid, ["prefixID: \"my-prefix\"", "/subscriptions/SUBSCRIPTION/"],
            prefix: "my-prefix"),
        Mistake(
            "type", .prefixIDInvalid, ["publicIPPrefixes/NAME"],
            prefix: "\(BenchCloud.group)/providers/Microsoft.Network/publicIPAddresses/a"),
        Mistake(
            "foreign", .foreignSubscription, ["00000000-0000-0000-0000-000000000009", BenchCloud.subscription],
            prefix: prefixes.replacing(BenchCloud.subscription, with: "00000000-0000-0000-0000-000000000009") + "/p"),
        Mistake("absent", .prefixNotFound, ["absent", "does not exist"], prefix: "\(prefixes)/absent"),
        Mistake("length", .prefixLengthInvalid, ["28", "30"], prefix: "\(prefixes)/longer"),
    ]

    private static var cloud: AzureSimulator.Configuration {
        var cloud = BenchCloud.configuration
        cloud.scaleSets.append(
            .init(
                name: "untagged", tags: ["aks-managed-poolName": "untagged"], computerNames: ["u-0"],
                subnet: "gateways"))
        return cloud
    }

    private func readiness(_ name: String, in cluster: BenchCluster) -> Condition? {
        cluster.gateways.store[ObjectKey(namespace: BenchCluster.namespace, name: name)]?.status?.conditions?
            .first { $0.type == "Ready" }
    }

    private func warnings(_ name: String, in cluster: BenchCluster) async throws -> [Event] {
        try await cluster.client.list(Event.self, namespace: BenchCluster.namespace).items
            .filter { $0.involvedObject.name == name && $0.type == "Warning" }
    }

    @Test func `each mistake is told by itself, beside a configuration that is right`() async throws {
        try await BenchCluster.run(cloud: Self.cloud) { cluster in
            let hand = ReferenceClient(VirtualHost(simulator: cluster.simulator, clock: cluster.clock))
            _ = try await hand.put(
                "\(Self.prefixes)/longer", ReferenceClient.network,
                [
                    "location": .string(BenchCloud.location), "sku": ["name": "Standard"],
                    "properties": ["prefixLength": 28, "publicIPAddressVersion": "IPv4"],
                ])
            for mistake in Self.mistakes { try await cluster.create([mistake.name], mistake.spec) }
            try await cluster.create(["right"])
            try await cluster.withManager {
                try await cluster.wait("all have been told", limit: .seconds(300)) {
                    readiness("right", in: cluster)?.isTrue == true
                        && Self.mistakes.allSatisfy { readiness($0.name, in: cluster)?.reason == $0.reason.rawValue }
                }
                // The first minute of a failure has many tries, each later than the last.
                try await cluster.clock.sleep(for: .seconds(120))
                let before = cluster.host.calls.count
                try await cluster.clock.sleep(for: .seconds(600))
                let calls = cluster.host.calls[before...].filter(\.isOfResources)
                #expect(calls.count <= 30 * 10, "\(calls.count) calls in ten minutes")
                #expect(calls.count { !$0.isRead } == 0)
            }
            for mistake in Self.mistakes {
                let condition = readiness(mistake.name, in: cluster)
                #expect(condition?.status == "False" && condition?.reason == mistake.reason.rawValue, "\(mistake.name)")
                for word in mistake.words { #expect(condition?.message.contains(word) == true, "\(mistake.name)") }
                let events = try await warnings(mistake.name, in: cluster)
                #expect(events.count == 1 && events.first?.count == 1, "\(mistake.name): \(events.map(\.message))")
            }
            #expect(try await warnings("right", in: cluster) == [])
        }
    }

    /// What somebody else decides about the subscription: an answer of Azure to calls of one kind.
    struct Refusal: Sendable, CustomTestStringConvertible {
        var method: String
        /// Part of the path.
        var path: String
        var status: Int
        var code: String
        var reason: FailureReason
        /// What to do.
        var word: String

        var testDescription: String { "\(method) \(path): \(code)" }
    }

    static let refusals: [Refusal] = [
        .init(
            method: "PUT", path: "/loadBalancers/", status: 403, code: "AuthorizationFailed", reason: .missingRole,
            word: "Network Contributor"),
        .init(
            method: "GET", path: "/virtualMachineScaleSets", status: 403, code: "AuthorizationFailed",
            reason: .missingRole, word: "Virtual Machine Contributor"),
        .init(
            method: "PUT", path: "/virtualMachineScaleSets/", status: 403, code: "LinkedAuthorizationFailed",
            reason: .missingRole, word: "join action"),
        .init(
            method: "PUT", path: "/publicIPPrefixes/", status: 403, code: "RequestDisallowedByPolicy",
            reason: .policyDenied, word: "ask who keeps the policy"),
        .init(
            method: "PUT", path: "/loadBalancers/", status: 409, code: "ScopeLocked", reason: .policyDenied,
            word: "remove the lock"),
        .init(
            method: "PUT", path: "/publicIPPrefixes/", status: 409, code: "MissingSubscriptionRegistration",
            reason: .serviceNotRegistered, word: "register the resource provider"),
        .init(
            method: "PUT", path: "/publicIPPrefixes/", status: 400, code: "PublicIPCountLimitReached",
            reason: .quotaExceeded, word: "raise the quota"),
        .init(
            method: "PUT", path: "/publicIPPrefixes/", status: 429, code: "QuotaExceeded", reason: .quotaExceeded,
            word: "raise the quota"),
        .init(
            method: "PUT", path: "/virtualMachines/", status: 400,
            code: "VMScaleSetCannotUseMultipleLoadBalancersOfSameType", reason: .loadBalancerConflict,
            word: "other internal load balancers"),
        .init(
            method: "PUT", path: "/virtualMachineScaleSets/", status: 400,
            code: "DifferentSkuLoadBalancersAndPublicIPAddressNotAllowed", reason: .prefixMismatch,
            word: "SKU Standard"),
    ]

    /// One after the other on one cluster: what is refused is told, and mended by itself once Azure lets it pass.
    @Test func `each refusal of the subscription is told, and passes with its cause`() async throws {
        try await BenchCluster.run { cluster in
            try await cluster.withManager {
                for (number, refusal) in Self.refusals.enumerated() {
                    let name = "refused-\(number)"
                    cluster.host.setLayer { request, _ in
                        guard request.method == refusal.method, request.url.contains(refusal.path) else { return nil }
                        let body = #"{"error": {"code": "\#(refusal.code)", "message": "No."}}"#
                        return HTTPResponse(status: refusal.status, headers: [], body: Data(body.utf8))
                    }
                    try await cluster.create([name])
                    try await cluster.wait("\(refusal.testDescription) is told", limit: .seconds(300)) {
                        readiness(name, in: cluster)?.reason == refusal.reason.rawValue
                    }
                    let condition = readiness(name, in: cluster)
                    #expect(condition?.status == "False" && condition?.message.contains(refusal.word) == true)
                    #expect(condition?.message.contains(refusal.code) == true)
                    let before = cluster.host.calls.count
                    try await cluster.clock.sleep(for: .seconds(250))
                    let writes = cluster.host.calls[before...].count { $0.isOfResources && !$0.isRead }
                    #expect(writes <= 4, "\(refusal.testDescription): \(writes) writes")
                    let events = try await warnings(name, in: cluster)
                    #expect(
                        events.count == 1 && events.first?.count == 1,
                        "\(refusal.testDescription): \(events.map(\.message))")
                    cluster.host.setLayer(nil)
                    try await cluster.wait("\(name) is ready", limit: .seconds(900)) {
                        readiness(name, in: cluster)?.isTrue == true
                    }
                    try await cluster.client.delete(
                        StaticGatewayConfiguration.self, namespace: BenchCluster.namespace, name: name)
                    try await cluster.wait("\(name) is gone", limit: .seconds(300)) {
                        cluster.gateways.store[ObjectKey(namespace: BenchCluster.namespace, name: name)] == nil
                    }
                }
            }
            #expect(await cluster.simulator.managedResources() == [])
        }
    }

    /// A cloud or a cloud configuration that cannot serve.
    struct Surroundings: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var cloud = BenchCloud.configuration
        var changes: [String: JSONValue] = [:]
        var reason: FailureReason
        var words: [String]
    }

    /// A subnet of three addresses, with so many gateway nodes.
    private static func narrow(_ nodes: Int) -> AzureSimulator.Configuration {
        var cloud = BenchCloud.configuration
        cloud.virtualNetwork.subnets.append(.init(name: "narrow", addressPrefix: "10.2.0.0/29"))
        cloud.scaleSets[0].subnet = "narrow"
        cloud.scaleSets[0].computerNames = (0..<nodes).map { "gateway-\($0)" }
        return cloud
    }

    private static var withoutPrefixes: AzureSimulator.Configuration {
        var cloud = BenchCloud.configuration
        cloud.limits.publicIPPrefixes = 0
        return cloud
    }

    static let surroundings: [Surroundings] = [
        .init(
            testDescription: "no address for the frontend", cloud: narrow(3), changes: ["subnetName": "narrow"],
            reason: .subnetFull, words: ["enlarge it or use another"]),
        .init(
            testDescription: "no address for the second node", cloud: narrow(2), reason: .subnetFull,
            words: ["enlarge it or use another"]),
        .init(
            testDescription: "another subnet", changes: ["subnetName": "nowhere"], reason: .subnetNotFound,
            words: ["cloudConfig.subnetName", "\"nowhere\""]),
        .init(
            testDescription: "another resource group", changes: ["loadBalancerResourceGroup": "nowhere"],
            reason: .resourceGroupNotFound, words: ["check the resource group's name"]),
        .init(
            testDescription: "another subscription",
            changes: ["subscriptionId": "00000000-0000-0000-0000-000000000009"], reason: .subscriptionNotFound,
            words: ["check subscriptionId"]),
        .init(
            testDescription: "another secret", changes: ["aadClientSecret": "wrong"], reason: .credentialRefused,
            words: ["client secret that is valid"]),
        .init(
            testDescription: "no prefix left", cloud: withoutPrefixes, reason: .quotaExceeded,
            words: ["raise the quota"]),
    ]

    @Test(arguments: surroundings)
    func `surroundings that cannot serve are told`(_ given: Surroundings) async throws {
        try await BenchCluster.run(cloud: given.cloud, changes: given.changes) { cluster in
            try await cluster.create(["gw"])
            try await cluster.withManager {
                try await cluster.wait("it is told", limit: .seconds(300)) {
                    readiness("gw", in: cluster)?.reason == given.reason.rawValue
                }
                let before = cluster.host.calls.count
                try await cluster.clock.sleep(for: .seconds(250))
                let calls = cluster.host.calls[before...]
                #expect(calls.count <= 80, "\(calls.count) calls")
                #expect(calls.count { $0.isOfResources && !$0.isRead } <= 4)
            }
            let condition = readiness("gw", in: cluster)
            for word in given.words {
                #expect(condition?.message.contains(word) == true, "\(condition?.message ?? "")")
            }
            let events = try await warnings("gw", in: cluster)
            #expect(events.count == 1 && events.first?.count == 1, "\(events.map(\.message))")
        }
    }

    @Test func `a full pool and a foreign rule in it are told`() async throws {
        var cloud = BenchCloud.configuration
        cloud.limits.rulesPerInterface = 1
        try await BenchCluster.run(cloud: cloud) { cluster in
            try await cluster.withManager {
                try await cluster.create(["first"])
                try await cluster.wait("the first is ready", limit: .seconds(300)) {
                    readiness("first", in: cluster)?.isTrue == true
                }
                try await cluster.create(["second"])
                try await cluster.wait("the second is told", limit: .seconds(300)) {
                    readiness("second", in: cluster)?.reason == "LoadBalancerFull"
                }
                #expect(readiness("second", in: cluster)?.message.contains("at most 300") == true)
                #expect(readiness("first", in: cluster)?.isTrue == true)
                // The rule of the first, bent by hand to a port that is none of ours.
                let hand = ReferenceClient(VirtualHost(simulator: cluster.simulator, clock: cluster.clock))
                let id = "\(BenchCloud.group)/providers/Microsoft.Network/loadBalancers/kubeegressgateway-ilb"
                var body = try #require(try await hand.get(id, ReferenceClient.network))
                var rule = try #require(body["properties.loadBalancingRules"]?.elements.first)
                rule["name"] = "foreign"
                rule["properties.frontendPort"] = 53
                rule["properties.backendPort"] = 53
                body["properties.loadBalancingRules"] = [rule]
                _ = try await hand.put(id, ReferenceClient.network, body)
                try await cluster.create(["third"])
                try await cluster.wait("the third is told", limit: .seconds(300)) {
                    readiness("third", in: cluster)?.reason == "LoadBalancerConflict"
                }
                #expect(readiness("third", in: cluster)?.message.contains("rule foreign") == true)
            }
        }
    }
}
