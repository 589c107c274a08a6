import AzureTestSupport
import Foundation
import JSONModel
import Testing

@testable import Lab

private typealias Client = ARMTestClient

@Suite struct SimulatorBehaviourTests {
    @Test func `instances have their primary addresses from the start`() async throws {
        try await withSimulator { simulator, _ in
            let instances = await simulator.snapshot().instances
            #expect(instances.map(\.computerName) == ["gateway-1", "gateway-2"])
            #expect(instances.flatMap(\.ipConfigurations).map(\.privateIP) == ["10.243.0.4", "10.243.0.5"])
            #expect(await simulator.managedResources() == [])
        }
    }

    @Test func `a prefix shows its block only when its operation has ended`() async throws {
        try await withSimulator(.test(latency: .milliseconds(150))) { _, client in
            let path = "\(Client.network)/publicIPPrefixes/egressgateway-1"
            let (first, last) = try await client.write(
                "PUT", path, version: Client.networkVersion, body: prefixBody(length: 31))
            #expect(first.status == 201)
            #expect(first.body?["properties.provisioningState"]?.text == "Updating")
            #expect(first.body?["properties.ipPrefix"] == nil)
            #expect(last?.status == 200 && last?.body == ["status": "Succeeded"])
            let after = try await client.call("GET", path, version: Client.networkVersion)
            #expect(after.body?["properties.ipPrefix"]?.text == "203.0.113.2/31")
            #expect(after.headers["etag"] == after.body?["etag"]?.text)
            let again = try await client.write(
                "PUT", path, version: Client.networkVersion, body: prefixBody(length: 31))
            #expect(again.first.status == 200)
            #expect(again.first.body?["properties.ipPrefix"]?.text == "203.0.113.2/31")
            let longer = try await client.call(
                "PUT", path, version: Client.networkVersion, body: prefixBody(length: 30))
            #expect(longer.status == 400 && longer.body?["error.target"]?.text == "properties.prefixLength")
        }
    }

    @Test func `prefixes are aligned, do not overlap, and run out`() async throws {
        try await withSimulator(.test(publicAddressSpace: "203.0.113.0/26")) { simulator, client in
            for (name, length) in [("a", 31), ("b", 28), ("c", 30)] as [(String, Int64)] {
                let (first, _) = try await client.write(
                    "PUT", "\(Client.network)/publicIPPrefixes/\(name)", version: Client.networkVersion,
                    body: prefixBody(length: length))
                #expect(first.status == 201)
            }
            #expect(
                await simulator.snapshot().prefixes.map(\.block)
                    == ["203.0.113.2/31", "203.0.113.16/28", "203.0.113.4/30"])
            let another = try await client.write(
                "PUT", "\(Client.network)/publicIPPrefixes/d", version: Client.networkVersion,
                body: prefixBody(length: 28))
            #expect(another.first.status == 201)
            let full = try await client.call(
                "PUT", "\(Client.network)/publicIPPrefixes/e", version: Client.networkVersion,
                body: prefixBody(length: 28))
            #expect(full.status == 400 && full.code == "PublicIPCountLimitReached")
        }
    }

    @Test func `a load balancer gets an address, ids and back references, and the fabric hears of it`() async throws {
        try await withSimulator { simulator, client in
            let changes = await simulator.changes()
            let first = try await client.call(
                "PUT", Client.loadBalancer, version: Client.networkVersion, body: loadBalancerBody())
            #expect(first.status == 201)
            #expect(first.body?["properties.provisioningState"]?.text == "Succeeded")
            let frontend = first.body?["properties.frontendIPConfigurations"]?.elements.first
            #expect(frontend?["properties.privateIPAddress"]?.text == "10.243.0.6")
            #expect(
                frontend?["properties.loadBalancingRules"]?.elements.first?["id"]?.text
                    == "\(Client.loadBalancer)/loadBalancingRules/rule")
            var seen: AzureTopology?
            for await topology in changes where !topology.rules.isEmpty {
                seen = topology
                break
            }
            let rule = try #require(seen?.rules.first)
            #expect(rule.frontendAddress == "10.243.0.6" && rule.frontendPort == 6000 && rule.floatingIP)
            #expect(rule.protocolName == "Udp" && rule.backends == [])
            #expect(rule.probe?.path == "/gw/1" && rule.probe?.intervalSeconds == 5 && rule.probe?.threshold == 1)
        }
    }

    @Test func `a PUT replaces: what the body omits is gone`() async throws {
        try await withSimulator { simulator, client in
            _ = try await client.write(
                "PUT", Client.loadBalancer, version: Client.networkVersion, body: loadBalancerBody())
            _ = try await client.write(
                "PUT", Client.loadBalancer, version: Client.networkVersion, body: loadBalancerBody(rules: []))
            let after = try await client.call("GET", Client.loadBalancer, version: Client.networkVersion)
            #expect(after.body?["properties.loadBalancingRules"] == [])
            #expect(
                after.body?["properties.frontendIPConfigurations"]?.elements.first?["properties.privateIPAddress"]?.text
                    == "10.243.0.6")
            #expect(!(await simulator.managedResources()).contains { $0.contains("loadBalancingRules") })
        }
    }

    @Test func `an etag that is not the latest is 412`() async throws {
        try await withSimulator { simulator, client in
            let (first, _) = try await client.write(
                "PUT", Client.loadBalancer, version: Client.networkVersion, body: loadBalancerBody())
            let old = try #require(first.body?["etag"]?.text)
            #expect(old.hasPrefix("W/\""))
            let good = try await client.write(
                "PUT", Client.loadBalancer, version: Client.networkVersion, body: loadBalancerBody(),
                headers: ["If-Match": old])
            #expect(good.first.status == 200)
            let stale = try await client.call(
                "PUT", Client.loadBalancer, version: Client.networkVersion, body: loadBalancerBody(),
                headers: ["If-Match": old])
            #expect(stale.status == 412 && stale.code == "PreconditionFailed")
            #expect(
                stale.body?["error.details"]?.elements.first?["code"]?.text == "PreconditionFailedEtagMismatch")
            let count = await simulator.audit()["LoadBalancers_CreateOrUpdate"]
            #expect(count?.calls == 3 && count?.conflicts == 1)
        }
    }
}
