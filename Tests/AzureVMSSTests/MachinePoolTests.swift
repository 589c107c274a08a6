import AzureARM
import AzureLBProvider
import AzureTestSupport
import AzureVMSSProvider
import JSONModel
import Lab
import ProviderKit
import Testing

/// Pools of standalone machines, over HTTP: names, number of writes and order are the Go system's.
@Suite struct MachinePoolTests {
    private static let network = ARMTestClient.network

    private func read(_ client: ARMTestClient, _ path: String) async throws -> JSONValue? {
        try await client.call("GET", "\(Self.network)/\(path)", version: ARMTestClient.networkVersion).body
    }

    private func configurations(_ client: ARMTestClient, _ interface: String) async throws -> [JSONValue] {
        try await read(client, "networkInterfaces/\(interface)")?["properties.ipConfigurations"]?.elements ?? []
    }

    @Test func `every network interface gets an address of its own resource, by the names of the Go system`()
        async throws
    {
        try await withSimulator(.machines()) { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1"], pool: machinePool)
            let result = try #require(try await cloud.ensure([desired("u1", pool: machinePool)]).first)
            #expect(result.code == .ok, "\(result.message ?? "")")
            let observed = try #require(result.observed)
            #expect(observed.egressPrefix == "203.0.113.2/31")
            #expect(observed.nodes.map(\.nodeName) == ["vm-0-nic", "vm-1-nic"])
            #expect(observed.nodes.map(\.primaryIP) == ["10.243.0.4", "10.243.0.5"])
            #expect(Set(observed.nodes.map(\.secondaryIP)) == ["10.243.0.7", "10.243.0.8"])

            let name = Names.publicAddress(prefix: "egressgateway-u1", networkInterface: "vm-0-nic")
            let address = try #require(try await read(client, "publicIPAddresses/\(name)"))
            #expect(address["sku"] == ["name": "Standard", "tier": "Regional"])
            #expect(address["properties.publicIPAllocationMethod"] == "Static")
            #expect(
                address["properties.publicIPPrefix.id"]?.text == "\(Self.network)/publicIPPrefixes/egressgateway-u1")
            let children = try await configurations(client, "vm-0-nic")
            #expect(children.map { $0["name"]?.text } == ["ipconfig1", "egressgateway-u1"])
            #expect(children[1]["properties.publicIPAddress.id"] == address["id"])
            #expect(children[1]["properties.primary"] == false)
            // The backend pool has the name-based UUID of the pool's name as it is typed.
            let pool = "backendAddressPools/\(Names.virtualMachinePoolID("VMPool"))"
            #expect(
                children[0]["properties.loadBalancerBackendAddressPools"]
                    == [["id": .string("\(ARMTestClient.loadBalancer)/\(pool)")]])
            let topology = await simulator.snapshot()
            #expect(topology.rules.first?.backends.map(\.computerName) == ["vm-0", "vm-1"])
            #expect(
                Set(topology.instances.flatMap(\.ipConfigurations).compactMap(\.publicIP))
                    == ["203.0.113.2", "203.0.113.3"])
        }
    }

    @Test func `many configurations cost one PUT per network interface, and a second pass none`() async throws {
        try await withSimulator(.machines()) { simulator, client in
            let cloud = try Cloud(client)
            let ids = (0..<8).map { "u\($0)" }
            try await cloud.prepare(ids, pool: machinePool)
            let items = ids.map { desired($0, publicIPs: $0 != "u3", pool: machinePool) }
            let results = try await cloud.ensure(items)
            #expect(results.map(\.code) == ids.map { _ in .ok }, "\(results.compactMap(\.message))")
            #expect(results[3].observed?.egressPrefix.split(separator: ",").count == 2)
            #expect(await simulator.calls(interfacePUT) == 2)
            #expect(await simulator.calls(prefixPUT) == 7)
            #expect(await simulator.calls(addressPUT) == 14)
            let writes = await simulator.writes
            #expect(try await cloud.ensure(items) == results)
            #expect(await simulator.writes == writes)
        }
    }

    @Test func `removal takes configuration, addresses and prefix, and the last one the pool, and nothing of others`()
        async throws
    {
        try await withSimulator(.machines()) { simulator, client in
            let cloud = try Cloud(client)
            let path = "\(Self.network)/networkInterfaces/vm-0-nic"
            var foreign = try #require(try await read(client, "networkInterfaces/vm-0-nic"))
            foreign["tags.owner"] = "somebody"
            foreign["properties.ipConfigurations"] = .array(
                (foreign["properties.ipConfigurations"]?.elements ?? []) + [
                    [
                        "name": "theirs",
                        "properties": ["primary": false, "subnet": ["id": .string(ARMTestClient.gatewaysSubnet)]],
                    ]
                ])
            _ = try await client.write("PUT", path, version: ARMTestClient.networkVersion, body: foreign)
            let before = await simulator.snapshot().instances
            try await cloud.prepare(["u1", "u2"], pool: machinePool)
            let items = [desired("u1", pool: machinePool), desired("u2", publicIPs: false, pool: machinePool)]
            #expect(try await cloud.ensure(items).map(\.code) == [.ok, .ok])
            #expect(try await cloud.remove(["u2"], pool: machinePool).map(\.code) == [.ok])
            #expect(
                try await configurations(client, "vm-0-nic").map { $0["name"]?.text }
                    == ["ipconfig1", "theirs", "egressgateway-u1"])
            #expect(try await cloud.remove(["u1", "never"], pool: machinePool).map(\.code) == [.ok, .ok])
            let gone = try await cloud.balancer.remove(
                ["lb-u1", "lb-u2"].map { PoolReference(id: $0, pool: machinePool) }, cloud.host.context())
            #expect(gone.map(\.code) == [.ok, .ok], "\(gone.compactMap(\.message))")
            #expect(await simulator.managedResources() == [])
            #expect(await simulator.snapshot().instances == before)
            #expect(try await read(client, "networkInterfaces/vm-0-nic")?["tags.owner"] == "somebody")
        }
    }

    @Test func `a change of mode gives the addresses back before the prefix`() async throws {
        try await withSimulator(.machines()) { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1"], pool: machinePool)
            _ = try await cloud.ensure([desired("u1", pool: machinePool)])
            let result = try await cloud.ensure([desired("u1", publicIPs: false, pool: machinePool)])[0]
            #expect(result.code == .ok, "\(result.message ?? "")")
            #expect(result.observed?.egressPrefix.split(separator: ",").count == 2)
            #expect(await simulator.snapshot().prefixes == [])
            #expect(await !simulator.managedResources().contains { $0.hasPrefix("publicIPAddresses") })
            let back = try await cloud.ensure([desired("u1", pool: machinePool)])[0]
            #expect(back.observed?.egressPrefix.hasSuffix("/31") == true, "\(back.message ?? "")")
        }
    }

    @Test func `a brought prefix serves one configuration of the pool; its addresses go, it stays`() async throws {
        try await withSimulator(.machines()) { simulator, client in
            let cloud = try Cloud(client)
            let id = "\(Self.network)/publicIPPrefixes/mine"
            _ = try await client.write(
                "PUT", id, version: ARMTestClient.networkVersion,
                body: ["location": "labregion", "sku": ["name": "Standard"], "properties": ["prefixLength": 31]])
            try await cloud.prepare(["u1", "u2"], pool: machinePool)
            let items = ["u1", "u2"].map { desired($0, prefixID: id, pool: machinePool) }
            let results = try await cloud.ensure(items)
            #expect(results.map(\.code) == [.ok, .terminal])
            #expect(results[1].reason == "PrefixExhausted")
            #expect(results[1].message?.contains("serves ipConfiguration egressgateway-u1 of this pool") == true)
            // Alone it fares no better: the address is still the first one's.
            #expect(try await cloud.ensure([items[1]]).map(\.reason) == ["PrefixExhausted"])
            #expect(await simulator.calls(interfacePUT) == 2)
            #expect(try await cloud.remove(["u1"], pool: machinePool).map(\.code) == [.ok])
            let left = await simulator.managedResources().filter { $0.hasPrefix("publicIP") }
            #expect(left == ["publicIPPrefixes/mine"])
            #expect(try await cloud.ensure([items[1]]).map(\.code) == [.ok])
        }
    }

    @Test func `a write that meets another one is decided and sent again`() async throws {
        try await withSimulator(.machines()) { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1"], pool: machinePool)
            // The first PUT of a network interface meets another etag, as if somebody had written meanwhile.
            for (status, code) in [(412, "PreconditionFailed"), (409, "AnotherOperationInProgress")] {
                try await simulator.arm(
                    .init(
                        operation: interfacePUT,
                        outcome: .answer(status: status, code: code, message: "not now", retryAfterSeconds: nil)))
            }
            let result = try await cloud.ensure([desired("u1", pool: machinePool)])[0]
            #expect(result.code == .ok, "\(result.message ?? "")")
            #expect(await simulator.calls(interfacePUT) == 4)
        }
    }

    @Test func `network interfaces without a machine have addresses, too, and a pool without machines can be left`()
        async throws
    {
        try await withSimulator(.machines()) { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1"], pool: machinePool)
            #expect(try await cloud.ensure([desired("u1", pool: machinePool)]).map(\.code) == [.ok])
            for name in ["vm-0", "vm-1"] {
                _ = try await client.write(
                    "DELETE", "\(ARMTestClient.machines)/\(name)", version: ARMTestClient.computeVersion)
            }
            let seen = try await cloud.pools.status(
                [PoolReference(id: "u1", pool: machinePool)], cloud.host.context())
            #expect(seen[0].observed?.nodes.count == 2)
            #expect(try await cloud.remove(["u1"], pool: machinePool).map(\.code) == [.ok])
            #expect(await !simulator.managedResources().contains { $0.contains("/egressgateway-") })
        }
    }

    @Test func `a pool that outgrows its prefix is told before anything is written`() async throws {
        try await withSimulator(.machines(3)) { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1"], pool: machinePool)
            let before = await simulator.audit()
            let result = try await cloud.ensure([desired("u1", pool: machinePool)])[0]
            #expect(result.code == .terminal && result.reason == "PrefixExhausted")
            let after = await simulator.audit()
            #expect(after[prefixPUT] == nil && after[interfacePUT] == nil, "\(before) \(after)")
            let longer = try await cloud.ensure([desired("u1", length: 30, pool: machinePool)])[0]
            #expect(longer.observed?.nodes.count == 3, "\(longer.message ?? "")")
        }
    }
}
