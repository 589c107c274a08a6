import AzureARM
import AzureLBProvider
import AzureTestSupport
import Foundation
import JSONModel
import Lab
import ProviderKit
import Testing

private let pool = PoolSelector(nodepoolName: "gwpool")

private func uid(_ number: Int) -> String {
    "00000000-0000-4000-8000-0000000000\(String(number + 10))"
}

private func desired(_ number: Int) -> LoadBalancer.Desired {
    LoadBalancer.Desired(id: uid(number), pool: pool, probe: .init(path: "/gw/\(uid(number))", port: 8082))
}

private func provider(
    _ client: ARMTestClient, _ host: TestHost, pruneLimit: Int? = nil
) throws -> AzureLoadBalancer {
    var settings = try JSONValue(json: pluginConfiguration(endpoint: client.endpoint))
    if let pruneLimit { settings["pruneLimit"] = .integer(Int64(pruneLimit)) }
    let cloud = try CloudConfiguration(pluginConfiguration: settings.json())
    return AzureLoadBalancer(client: ARMClient(host: ProviderHost(host), configuration: cloud))
}

/// Somebody else changes the load balancer.
private func edit(_ client: ARMTestClient, _ change: (inout JSONValue) -> Void) async throws {
    let version = ARMTestClient.networkVersion
    var body = try #require(try await client.call("GET", ARMTestClient.loadBalancer, version: version).body)
    change(&body)
    let (answer, _) = try await client.write("PUT", ARMTestClient.loadBalancer, version: version, body: body)
    #expect(answer.status == 200)
}

/// `check` and `prune` against the simulator: what they see, and what is left in the cloud.
@Suite struct AzureLoadBalancerDriftTests {
    @Test func `check sees what somebody else did, costs one read and writes nothing`() async throws {
        try await withSimulator { simulator, client in
            let host = TestHost()
            let balancer = try provider(client, host)
            let items = (0..<20).map(desired)
            let made = try await balancer.ensure(items, host.context())
            #expect(try await balancer.check(items, host.context()) == made)
            try await edit(client) { body in
                var rules = body["properties.loadBalancingRules"]?.elements ?? []
                rules[4]["properties.enableFloatingIP"] = false
                rules.remove(at: 11)
                body["properties.loadBalancingRules"] = .array(rules)
            }
            let before = await simulator.audit()
            let results = try await balancer.check(items, host.context())
            let after = await simulator.audit()
            let calls = after.mapValues(\.calls).filter { $0.value != before[$0.key]?.calls }
            #expect(calls.keys.map(\.self) == ["LoadBalancers_Get"])
            #expect(after["LoadBalancers_Get"]?.calls == (before["LoadBalancers_Get"]?.calls ?? 0) + 1)
            #expect(results.filter { $0.code != .ok }.map(\.id) == [uid(4), uid(11)])
            let name = "loadBalancers/kubeegressgateway-ilb/loadBalancingRules"
            #expect(
                results[4].drift == ["\(name)/\(uid(4)): properties.enableFloatingIP is false; wanted: true"])
            // The port of the rule that is gone is free again, and the lowest one.
            #expect(results[11].drift == ["\(name)/\(uid(11)): is missing; wanted: UDP port 6011 with floating IP"])
            #expect(results[11].code == .conflict && results[11].observed == nil)
            let repaired = try await balancer.ensure([desired(4), desired(11)], host.context())
            #expect(repaired.map { $0.observed?.port } == [6004, 6011])
            #expect(try await balancer.check(items, host.context()) == made)
        }
    }

    @Test func `check tells what ensure would meet`() async throws {
        try await withSimulator { simulator, client in
            let host = TestHost()
            var lost = desired(1)
            lost.pool = PoolSelector(nodepoolName: "nowhere")
            let results = try await provider(client, host).check([desired(0), lost], host.context())
            #expect(results.map(\.code) == [.conflict, .retry])
            let line = "loadBalancers/kubeegressgateway-ilb: is missing; wanted: SKU Standard in labregion"
            #expect(results[0].drift?.first == line)
            #expect(results[1].reason == "PoolNotFound")
            #expect(await simulator.managedResources() == [])
        }
    }

    @Test func `prune takes ten of what nobody wants at a time and leaves what is not ours`() async throws {
        try await withSimulator { simulator, client in
            let host = TestHost()
            let balancer = try provider(client, host)
            _ = try await balancer.ensure((0..<15).map(desired), host.context())
            try await edit(client) { body in
                var rule = body["properties.loadBalancingRules"]?.elements[0] ?? [:]
                rule["name"] = "somebody-elses"
                rule["id"] = nil
                rule["etag"] = nil
                rule["properties.frontendPort"] = 53
                rule["properties.backendPort"] = 53
                rule["properties.probe"] = nil
                body["properties.loadBalancingRules"] = .array(
                    (body["properties.loadBalancingRules"]?.elements ?? []) + [rule])
            }
            let kept = [PoolReference(id: uid(0), pool: pool), PoolReference(id: uid(1), pool: pool)]
            let first = try await balancer.prune(keeping: kept, namespaces: [], host.context())
            #expect(first.map(\.code) == Array(repeating: .ok, count: 10) + Array(repeating: .retry, count: 3))
            #expect(first.last?.message?.contains("at most 10 (config.pruneLimit)") == true)
            #expect(await simulator.snapshot().rules.count == 6)
            let second = try await balancer.prune(keeping: kept, namespaces: [], host.context())
            #expect(second.map(\.code) == [.ok, .ok, .ok])
            #expect(
                Set(await simulator.snapshot().rules.map(\.name)) == [uid(0), uid(1), "somebody-elses"])
            let writes = await simulator.audit()["LoadBalancers_CreateOrUpdate"]?.calls
            #expect(try await balancer.prune(keeping: kept, namespaces: [], host.context()) == [])
            #expect(await simulator.audit()["LoadBalancers_CreateOrUpdate"]?.calls == writes)
            #expect(try await balancer.check([desired(0), desired(1)], host.context()).map(\.code) == [.ok, .ok])
        }
    }

    @Test func `pruneLimit of the settings is consent to more, or to none`() async throws {
        try await withSimulator { simulator, client in
            let host = TestHost()
            _ = try await provider(client, host).ensure((0..<15).map(desired), host.context())
            let told = try await provider(client, host, pruneLimit: 0).prune(
                keeping: [], namespaces: [], host.context())
            #expect(told.count == 15 && told.allSatisfy { $0.code == .retry })
            #expect(await simulator.snapshot().rules.count == 15)
            let all = try await provider(client, host, pruneLimit: 100).prune(
                keeping: [], namespaces: [], host.context())
            #expect(all.count == 15 && all.allSatisfy { $0.code == .ok })
            #expect(await simulator.managedResources() == [])
            let nothing = try await provider(client, host).prune(keeping: [], namespaces: [], host.context())
            #expect(nothing == [])
        }
    }

    @Test(arguments: ["-1", "10001", "\"10\"", "1.5", "true"])
    func aPruneLimitOutOfRangeIsRefused(value: String) throws {
        let text = #"{"cloudConfig": {}, "pruneLimit": "# + value + "}"
        let schema = try JSONSchema(compiling: #require(AzureLBProvider.descriptor.configurationSchema))
        #expect(try schema.mistakes(in: JSONValue(json: Data(text.utf8))).map(\.path) == ["/pruneLimit"])
        var settings = try JSONValue(json: pluginConfiguration(endpoint: "http://127.0.0.1:1"))
        settings["pruneLimit"] = try JSONValue(json: Data(value.utf8))
        let error = #expect(throws: ProviderError.self) {
            try CloudConfiguration(pluginConfiguration: settings.json())
        }
        #expect(error?.message.hasPrefix("config.pruneLimit: must be a whole number from 0 to 10000") == true)
    }
}
