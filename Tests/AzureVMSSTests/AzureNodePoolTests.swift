import AzureARM
import AzureLBProvider
import AzureTestSupport
import AzureVMSSProvider
import Foundation
import JSONModel
import Lab
import ProviderKit
import Testing

/// The provider against the simulator, over HTTP.
@Suite struct AzureNodePoolTests {
    @Test func `every node gets an address of the pool's own prefix, and the fabric sees it`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1"])
            let result = try #require(try await cloud.ensure([desired("u1")]).first)
            #expect(result.code == .ok, "\(result.message ?? "")")
            let observed = try #require(result.observed)
            #expect(observed.egressPrefix == "203.0.113.2/31")
            #expect(observed.nodes.map(\.nodeName) == ["gateway-1", "gateway-2"])
            #expect(observed.nodes.map(\.primaryIP) == ["10.243.0.4", "10.243.0.5"])
            // Nodes are written at the same time: which of the two gets which free address is not decided.
            #expect(Set(observed.nodes.map(\.secondaryIP)) == ["10.243.0.7", "10.243.0.8"])
            let topology = await simulator.snapshot()
            #expect(
                Set(topology.instances.flatMap(\.ipConfigurations).compactMap(\.publicIP))
                    == ["203.0.113.2", "203.0.113.3"])
            #expect(topology.rules.first?.backends.map(\.computerName) == ["gateway-1", "gateway-2"])
            #expect(topology.rules.first?.backends.map(\.address) == ["10.243.0.4", "10.243.0.5"])
        }
    }

    @Test func `many configurations cost one PUT per node and one of the model; a second pass none`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            let ids = (0..<20).map { "u\($0)" }
            try await cloud.prepare(ids)
            let items = ids.map { desired($0) }
            let results = try await cloud.ensure(items)
            #expect(results.map(\.code) == ids.map { _ in .ok }, "\(results.compactMap(\.message))")
            #expect(Set(results.compactMap { $0.observed?.egressPrefix }).count == 20)
            var audit = await simulator.audit()
            #expect(audit[instancePUT]?.calls == 2 && audit[modelPUT]?.calls == 1)
            #expect(audit["PublicIPPrefixes_CreateOrUpdate"]?.calls == 20)
            let before = audit.values.reduce(0) { $0 + $1.calls }
            #expect(try await cloud.ensure(items) == results)
            audit = await simulator.audit()
            // Scale sets, prefixes, instances and NICs: one list each, however many configurations there are.
            #expect(audit.values.reduce(0) { $0 + $1.calls } == before + 4)
            #expect(audit[instancePUT]?.calls == 2 && audit[modelPUT]?.calls == 1)
            #expect(audit["PublicIPPrefixes_CreateOrUpdate"]?.calls == 20)
        }
    }

    @Test func `removal leaves nothing of ours, and everything of others`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            let before = await simulator.snapshot().instances
            try await cloud.prepare(["u1", "u2"])
            _ = try await cloud.ensure([desired("u1"), desired("u2", publicIPs: false)])
            #expect(try await cloud.remove(["u1", "u2", "never-made"]).map(\.code) == [.ok, .ok, .ok])
            let gone = try await cloud.balancer.remove(
                ["lb-u1", "lb-u2"].map { PoolReference(id: $0, pool: pool) }, cloud.host.context())
            #expect(gone.map(\.code) == [.ok, .ok])
            #expect(await simulator.managedResources() == [])
            #expect(await simulator.snapshot().instances == before)
        }
    }

    @Test func `private mode egresses with secondary addresses, and a change of mode removes the prefix`()
        async throws
    {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1"])
            _ = try await cloud.ensure([desired("u1")])
            #expect(await simulator.snapshot().prefixes.count == 1)
            let result = try #require(try await cloud.ensure([desired("u1", publicIPs: false)]).first)
            let addresses = result.observed?.egressPrefix.split(separator: ",").sorted()
            #expect(addresses == ["10.243.0.7", "10.243.0.8"], "\(result.message ?? "")")
            #expect(await simulator.snapshot().prefixes == [])
            #expect(await simulator.snapshot().instances.flatMap(\.ipConfigurations).allSatisfy { $0.publicIP == nil })
        }
    }

    @Test func `a brought prefix is used, kept, and checked; a wrong one fails alone`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            for (name, length) in [("mine", 31), ("long", 30)] as [(String, Int64)] {
                _ = try await client.write(
                    "PUT", "\(ARMTestClient.network)/publicIPPrefixes/\(name)", version: ARMTestClient.networkVersion,
                    body: [
                        "location": "labregion", "sku": ["name": "Standard"],
                        "properties": ["prefixLength": .integer(length)],
                    ])
            }
            func id(_ name: String) -> String { "\(ARMTestClient.network)/publicIPPrefixes/\(name)" }
            try await cloud.prepare(["a", "b", "c", "d", "e"])
            let foreign = id("mine").replacing(ARMTestClient.subscription, with: "00000000-0000-0000-0000-000000000002")
            let results = try await cloud.ensure([
                desired("a", prefixID: id("mine")), desired("b", prefixID: id("none")),
                desired("c", prefixID: id("long")), desired("d", prefixID: "mine"), desired("e", prefixID: foreign),
            ])
            #expect(results.map(\.code) == [.ok, .retry, .invalid, .invalid, .invalid])
            #expect(results[0].observed?.egressPrefix == "203.0.113.2/31", "\(results[0].message ?? "")")
            #expect(results[1].message?.contains("none does not exist") == true)
            #expect(results[2].message?.contains("has length 30; the pool needs 31") == true)
            #expect(results[3].message?.contains("must have the form /subscriptions/") == true)
            #expect(results[4].message?.contains("is not the gateway's own") == true)
            #expect(await simulator.snapshot().instances[0].ipConfigurations.count == 2)
            _ = try await cloud.remove(["a", "b", "c", "d", "e"])
            #expect(await simulator.snapshot().prefixes.map(\.name) == ["long", "mine"])
        }
    }

    @Test func `stripped ipConfigurations are put back with one PUT per node`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1", "u2"])
            let made = try await cloud.ensure([desired("u1"), desired("u2")])
            let path = "\(ARMTestClient.scaleSet)/virtualMachines/1"
            let profile = "properties.networkProfileConfiguration.networkInterfaceConfigurations"
            let read = try await client.call("GET", path, version: ARMTestClient.computeVersion)
            var interface = read.body?[profile]?.elements.first ?? [:]
            interface["properties.ipConfigurations"] = .array(
                Array((interface["properties.ipConfigurations"]?.elements ?? []).prefix(1)))
            var body: JSONValue = [:]
            body[profile] = [interface]
            _ = try await client.write("PUT", path, version: ARMTestClient.computeVersion, body: body)
            #expect(await simulator.snapshot().instances[1].ipConfigurations.count == 1)
            let calls = await simulator.audit()[instancePUT]?.calls ?? 0
            let healed = try await cloud.ensure([desired("u1"), desired("u2")])
            #expect(healed == made)
            #expect(await simulator.snapshot().instances[1].ipConfigurations.count == 3)
            #expect(await simulator.audit()[instancePUT]?.calls == calls + 1)
        }
    }

    @Test func `a pool larger than the prefix is told before anything is written`() async throws {
        try await withSimulator(.test(computerNames: ["a", "b", "c"])) { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1", "u2"])
            let results = try await cloud.ensure([desired("u1"), desired("u2", length: 30), desired("u3", length: 32)])
            #expect(results.map(\.code) == [.terminal, .ok, .invalid])
            #expect(results[0].message?.contains("has 2 addresses; the pool has 3 nodes") == true)
            #expect(results[1].observed?.nodes.count == 3)
            #expect(results[2].message == "prefixLength: 32 is not in 28..31")
            #expect(await simulator.audit()[instancePUT]?.calls == 3)
        }
    }

    @Test func `a full subnet is told with the instance's error, and heals when there is room`() async throws {
        // A /28 has eleven usable addresses: two nodes and the frontend leave eight, enough for four configurations.
        try await withSimulator(.test(subnet: "10.243.0.0/28")) { simulator, client in
            let cloud = try Cloud(client)
            let ids = ["u1", "u2", "u3", "u4", "u5"]
            try await cloud.prepare(ids)
            let first = try await cloud.ensure(ids.prefix(4).map { desired($0, publicIPs: false) })
            #expect(first.map(\.code) == [.ok, .ok, .ok, .ok], "\(first.compactMap(\.message))")
            let full = try await cloud.ensure(ids.map { desired($0, publicIPs: false) })
            #expect(full.map(\.code) == [.ok, .ok, .ok, .ok, .terminal])
            #expect(full[4].message?.contains("SubnetIsFull") == true)
            #expect(try await cloud.remove(["u1"]).map(\.code) == [.ok])
            let healed = try await cloud.ensure([desired("u5", publicIPs: false)])
            #expect(healed.map(\.code) == [.ok], "\(healed.compactMap(\.message))")
            #expect(await simulator.snapshot().instances.allSatisfy { $0.ipConfigurations.count == 5 })
        }
    }

    @Test func `without a frontend the pool cannot be joined, and that is told`() async throws {
        try await withSimulator { _, client in
            let results = try await Cloud(client).ensure([desired("u1", publicIPs: false)])
            #expect(results.map(\.code) == [.retry])
            #expect(results[0].message?.contains("InvalidResourceReference") == true)
        }
    }

    @Test func `status reads what is there and writes nothing`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1", "u2"])
            let made = try await cloud.ensure([desired("u1"), desired("u2", publicIPs: false)])
            let writes = await simulator.audit()[instancePUT]?.calls
            let seen = try await cloud.pools.status(
                ["u1", "u2", "u3"].map { PoolReference(id: $0, pool: pool) }, cloud.host.context())
            #expect(seen == made + [.ok("u3")])
            #expect(await simulator.audit()[instancePUT]?.calls == writes)
        }
    }

    @Test func `status without items lists all there is, prefixes that lost their nodes too`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            let (u1, u2) = ("0000000b-0000-4000-8000-000000000001", "0000000b-0000-4000-8000-000000000002")
            #expect(try await cloud.pools.status([], cloud.host.context()) == [])
            try await cloud.prepare([u1, u2])
            var made = try await cloud.ensure([desired(u1), desired(u2, publicIPs: false)])
            #expect(try await cloud.pools.status([], cloud.host.context()) == made)
            try await simulator.inject(.strip)
            made[0].observed?.nodes = []
            #expect(try await cloud.pools.status([], cloud.host.context()) == [made[0]])
            #expect(try await cloud.remove([u1, u2]).map(\.code) == [.ok, .ok])
            #expect(try await cloud.pools.status([], cloud.host.context()) == [])
        }
    }

    @Test func `of a pool that is gone only the prefix is removed`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            _ = try await client.write(
                "PUT", "\(ARMTestClient.network)/publicIPPrefixes/egressgateway-old",
                version: ARMTestClient.networkVersion,
                body: [
                    "location": "labregion", "sku": ["name": "Standard"], "properties": ["prefixLength": 31],
                ])
            let gone = try await cloud.pools.remove(
                [PoolReference(id: "old", pool: .init(nodepoolName: "gone"))], cloud.host.context())
            #expect(gone.map(\.code) == [.ok])
            #expect(await simulator.managedResources() == [])
        }
    }
}
