import AzureARM
import AzureLBProvider
import AzureTestSupport
import Foundation
import JSONModel
import Lab
import ProviderKit
import Testing

private let pool = PoolSelector(nodepoolName: "GWPool")
private let poolID = "5f1b9f86-5f5c-4c3b-9a55-0d5a0c6a7e11"

private func desired(_ id: String, pool: PoolSelector = pool) -> LoadBalancer.Desired {
    LoadBalancer.Desired(id: id, pool: pool, probe: .init(path: "/gw/\(id)", port: 8082))
}

private func provider(
    _ client: ARMTestClient, _ host: TestHost, changes: [String: JSONValue?] = [:]
) throws -> AzureLoadBalancer {
    let data = try pluginConfiguration(endpoint: client.endpoint, changes: changes)
    let cloud = try CloudConfiguration(pluginConfiguration: data)
    return AzureLoadBalancer(client: ARMClient(host: ProviderHost(host), configuration: cloud))
}

/// The provider against the simulator, over HTTP.
@Suite struct AzureLoadBalancerTests {
    @Test func `many configurations cost one PUT, and a second pass none`() async throws {
        try await withSimulator { simulator, client in
            let host = TestHost()
            let balancer = try provider(client, host)
            let items = (0..<50).map { desired("uid-\($0)") }
            let results = try await balancer.ensure(items, host.context())
            #expect(results.map(\.code) == Array(repeating: .ok, count: 50))
            #expect(results.map { $0.observed?.port } == (6000..<6050).map(Optional.init))
            #expect(Set(results.map { $0.observed?.frontendIP }) == ["10.243.0.6"])
            #expect(await simulator.audit()["LoadBalancers_CreateOrUpdate"]?.calls == 1)
            let again = try await balancer.ensure(items, host.context())
            #expect(again == results)
            #expect(await simulator.audit()["LoadBalancers_CreateOrUpdate"]?.calls == 1)
            #expect(await simulator.audit()["Token"]?.calls == 2)  // the test's own, and the provider's
            let rules = await simulator.snapshot().rules
            #expect(rules.count == 50)
            #expect(rules.allSatisfy { $0.floatingIP && $0.frontendName == poolID && $0.protocolName == "Udp" })
            #expect(rules[7].probe?.path == "/gw/uid-7" && rules[7].probe?.intervalSeconds == 5)
        }
    }

    @Test func `removing everything deletes the load balancer`() async throws {
        try await withSimulator { simulator, client in
            let host = TestHost()
            let balancer = try provider(client, host)
            _ = try await balancer.ensure([desired("a"), desired("b")], host.context())
            let one = try await balancer.remove([PoolReference(id: "a", pool: pool)], host.context())
            #expect(one.map(\.code) == [.ok])
            #expect(
                await simulator.managedResources().sorted()
                    == [
                        "loadBalancers/kubeegressgateway-ilb",
                        "loadBalancers/kubeegressgateway-ilb/backendAddressPools/\(poolID)",
                        "loadBalancers/kubeegressgateway-ilb/frontendIPConfigurations/\(poolID)",
                        "loadBalancers/kubeegressgateway-ilb/loadBalancingRules/b",
                        "loadBalancers/kubeegressgateway-ilb/probes/b",
                    ])
            let rest = try await balancer.remove(
                [PoolReference(id: "a", pool: pool), PoolReference(id: "b", pool: pool)], host.context())
            #expect(rest.map(\.code) == [.ok, .ok])
            #expect(await simulator.managedResources() == [])
            let nothing = try await balancer.remove([PoolReference(id: "b", pool: pool)], host.context())
            #expect(nothing.map(\.code) == [.ok])
        }
    }

    @Test func `a pool that does not exist fails its item alone`() async throws {
        try await withSimulator { _, client in
            let host = TestHost()
            let results = try await provider(client, host).ensure(
                [
                    desired("a", pool: .init(nodepoolName: "nowhere")), desired("b"),
                    desired("c", pool: .init(scaleSet: .init(resourceGroup: "kegw-lab", name: "gateways"))),
                    desired("d", pool: .init(scaleSet: .init(resourceGroup: "kegw-lab", name: "none"))),
                ], host.context())
            #expect(results.map(\.code) == [.retry, .ok, .ok, .retry])
            #expect(results[0].message?.contains("aks-managed-poolName \"nowhere\"") == true)
            #expect(results[3].message?.contains("none does not exist in resource group kegw-lab") == true)
            #expect(results[2].observed?.port == 6001)
        }
    }

    @Test func `foreign writers at the same moment lose nothing, and neither do we`() async throws {
        try await withSimulator(.test(latency: .milliseconds(5))) { simulator, client in
            let host = TestHost()
            let first = try provider(client, host)
            _ = try await first.ensure([desired("base")], host.context())
            let second = try provider(client, host)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, balancer) in [first, second].enumerated() {
                    group.addTask {
                        for index in 0..<5 {
                            let results = try await balancer.ensure([desired("w\(number)-\(index)")], host.context())
                            #expect(results.map(\.code) == [.ok], "\(results)")
                        }
                    }
                }
                group.addTask { try await tagRepeatedly(client) }
                try await group.waitForAll()
            }
            let rules = await simulator.snapshot().rules
            #expect(rules.count == 11)
            #expect(Set(rules.map(\.frontendPort)).count == 11)
            let body = try await client.call("GET", ARMTestClient.loadBalancer, version: ARMTestClient.networkVersion)
            #expect(body.body?["tags"]?.members?.count == 5)
        }
    }

    /// Somebody else: reads, adds a tag, writes with If-Match, starts over when refused.
    private func tagRepeatedly(_ client: ARMTestClient) async throws {
        var written = 0
        while written < 5 {
            let read = try await client.call("GET", ARMTestClient.loadBalancer, version: ARMTestClient.networkVersion)
            var body = read.body ?? [:]
            var tags = body["tags"]?.members ?? [:]
            tags["tag\(written)"] = "x"
            body["tags"] = .object(tags)
            let (answer, _) = try await client.write(
                "PUT", ARMTestClient.loadBalancer, version: ARMTestClient.networkVersion, body: body,
                headers: ["If-Match": read.headers["etag"] ?? ""])
            if answer.status == 200 { written += 1 }
        }
    }

    @Test func `a pool still in use is told, and goes later`() async throws {
        try await withSimulator { simulator, client in
            let host = TestHost()
            let balancer = try provider(client, host)
            _ = try await balancer.ensure([desired("a")], host.context())
            let path = "\(ARMTestClient.scaleSet)/virtualMachines/0"
            let profile = "properties.networkProfileConfiguration.networkInterfaceConfigurations"
            let instance = try await client.call("GET", path, version: ARMTestClient.computeVersion)
            var interface = instance.body?[profile]?.elements.first ?? [:]
            var children = interface["properties.ipConfigurations"]?.elements ?? []
            let poolReference = "\(ARMTestClient.loadBalancer)/backendAddressPools/\(poolID)"
            children[0]["properties.loadBalancerBackendAddressPools"] = [["id": .string(poolReference)]]
            interface["properties.ipConfigurations"] = .array(children)
            var body: JSONValue = [:]
            body[profile] = [interface]
            _ = try await client.write("PUT", path, version: ARMTestClient.computeVersion, body: body)
            let refused = try await balancer.remove([PoolReference(id: "a", pool: pool)], host.context())
            #expect(refused.map(\.code) == [.retry])
            #expect(refused[0].message?.contains("must be taken from the scale set") == true)
            #expect(await simulator.snapshot().rules.count == 1)
        }
    }

    @Test func `what a user can get wrong says what to do`() async throws {
        try await withSimulator { _, client in
            let host = TestHost()
            let wrongSubnet = try await provider(client, host, changes: ["subnetName": "none"])
                .ensure([desired("a")], host.context())
            #expect(wrongSubnet[0].code == .retry)
            #expect(wrongSubnet[0].message?.hasPrefix("cloudConfig.subnetName: subnet \"none\"") == true)
            #expect(wrongSubnet[0].reason == "SubnetNotFound")
            for (changes, code, reason, text) in [
                (
                    ["aadClientSecret": "wrong"], ResultCode.terminal, "CredentialRefused",
                    "give the cloud configuration a client secret"
                ),
                (["resourceGroup": "none"], .invalid, "ResourceGroupNotFound", "check the resource group's name"),
                (["subscriptionId": "none"], .invalid, "SubscriptionNotFound", "check subscriptionId"),
                (["cloud": "AzureChinaCloud"], .invalid, nil, "it offers AzureCloud"),
            ] as [([String: JSONValue?], ResultCode, String?, String)] {
                let error = await #expect(throws: ProviderError.self) {
                    _ = try await provider(client, host, changes: changes).ensure([desired("a")], host.context())
                }
                #expect(error?.code == code && error?.message.contains(text) == true, "\(error?.message ?? "")")
                #expect(error?.reason == reason)
            }
            #expect(!host.log.contains { $0.contains("lab-secret") || $0.contains("Bearer") })
        }
    }

    @Test func `an operation longer than the call is taken up by the next call`() async throws {
        try await withSimulator(.test(latency: .milliseconds(1500))) { _, client in
            let host = TestHost(clockJumpAfterWrite: .seconds(60))
            let balancer = try provider(client, host)
            let early = try await balancer.ensure([desired("a")], host.context(seconds: 60))
            #expect(early.map(\.code) == [.retry])
            #expect(early[0].message?.contains("still runs at the deadline") == true, "\(early[0].message ?? "")")
            let later = try await balancer.ensure([desired("a"), desired("b")], host.context())
            #expect(later.map { $0.observed?.port } == [6000, 6001])
        }
    }

    @Test func `a load balancer of our name that cannot serve is not written`() async throws {
        try await withSimulator { simulator, client in
            let host = TestHost()
            _ = try await provider(client, host).ensure([desired("a")], host.context())
            let writes = await simulator.audit()["LoadBalancers_CreateOrUpdate"]?.calls
            let moved = try provider(client, host, changes: ["location": "elsewhere"])
            let results = try await moved.ensure([desired("a"), desired("b")], host.context())
            #expect(results.map(\.code) == [.terminal, .terminal])
            #expect(results.map(\.reason) == ["LoadBalancerConflict", "LoadBalancerConflict"])
            #expect(results[0].message?.contains("has region labregion; gateways need region elsewhere") == true)
            #expect(await simulator.audit()["LoadBalancers_CreateOrUpdate"]?.calls == writes)
        }
    }

    @Test func `status reads what is there, without items all of ours`() async throws {
        try await withSimulator { simulator, client in
            let host = TestHost()
            let balancer = try provider(client, host)
            let (a, b) = ("0000000a-0000-4000-8000-000000000001", "0000000a-0000-4000-8000-000000000002")
            #expect(try await balancer.status([], host.context()) == [])
            let made = try await balancer.ensure([desired(a), desired(b), desired("by-hand")], host.context())
            #expect(try await balancer.status([], host.context()) == made.dropLast())
            let some = try await balancer.status(
                [PoolReference(id: b, pool: pool), PoolReference(id: "z", pool: pool)], host.context())
            #expect(some == [made[1], .ok("z")])
            #expect(await simulator.audit()["LoadBalancers_CreateOrUpdate"]?.calls == 1)
        }
    }

    @Test func `the binding speaks the JSON of the border`() async throws {
        try await withSimulator { _, client in
            let host = TestHost()
            let data = try pluginConfiguration(endpoint: client.endpoint)
            let plugin = try AzureLBProvider(host: ProviderHost(host), configuration: data)
            #expect(plugin.capabilities.map(\.identifier) == ["load-balancer/1"])
            #expect(AzureLBProvider.descriptor.capabilities == ["load-balancer/1"])
            #expect(throws: ProviderError.self) {
                _ = try AzureLBProvider(host: ProviderHost(host), configuration: Data("{}".utf8))
            }
        }
    }
}
