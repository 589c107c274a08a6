import AzureARM
import AzureTestSupport
import AzureVMSSProvider
import JSONModel
import Lab
import ProviderKit
import Testing

// UIDs as Kubernetes gives them, in their order.
private let old = "0000000a-0000-4000-8000-000000000001"
private let u1 = "0000000b-0000-4000-8000-000000000001"
private let u2 = "0000000b-0000-4000-8000-000000000002"
private let u3 = "0000000b-0000-4000-8000-000000000003"

/// `prune`: only what is ours, only what nobody wants, and not too much at once.
@Suite struct PruneTests {
    private static let network = ARMTestClient.network

    private func makePrefix(_ client: ARMTestClient, _ name: String) async throws {
        _ = try await client.write(
            "PUT", "\(Self.network)/publicIPPrefixes/\(name)", version: ARMTestClient.networkVersion,
            body: ["location": "labregion", "sku": ["name": "Standard"], "properties": ["prefixLength": 31]])
    }

    @Test func `what no configuration has goes, and all else stays`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            let ids = [u1, u2, u3]
            try await cloud.prepare(ids)
            for name in ["theirs", "egressgateway-partner", "egressgateway-\(old)"] {
                try await makePrefix(client, name)
            }
            let made = try await cloud.ensure([
                desired(u1), desired(u2), desired(u3, publicIPs: false),
            ])
            let puts = await simulator.calls(instancePUT)
            // What people are shown before, is what goes.
            let shown = try await cloud.pools.status([], cloud.host.context()).map(\.id)
            #expect(shown == [old, u1, u2, u3])
            #expect(try await cloud.prune(keeping: [u1]) == [.ok(old), .ok(u2), .ok(u3)])
            let left = await simulator.snapshot().prefixes.map(\.name)
            #expect(left == ["egressgateway-\(u1)", "egressgateway-partner", "theirs"])
            #expect(try await cloud.pools.status([], cloud.host.context()) == [made[0]])
            // One PUT per instance for both configurations.
            #expect(await simulator.calls(instancePUT) == puts + 2)
            let writes = await simulator.writes
            #expect(try await cloud.prune(keeping: [u1.uppercased()]) == [])
            #expect(await simulator.writes == writes)
        }
    }

    @Test func `no more than the limit goes, and what is left is told`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client, pruneLimit: 1)
            for uid in [u1, u2, u3] { try await makePrefix(client, "egressgateway-\(uid)") }
            let first = try await cloud.prune(keeping: [])
            #expect(first.map(\.id) == [u1, u2, u3])
            #expect(first.map(\.code) == [.ok, .retry, .retry])
            #expect(first[1].message?.contains("removes at most 1 (config.pruneLimit)") == true)
            #expect(await simulator.snapshot().prefixes.count == 2)
            let none = try Cloud(client, pruneLimit: 0)
            #expect(try await none.prune(keeping: []).map(\.code) == [.retry, .retry])
            #expect(await simulator.snapshot().prefixes.count == 2)
            #expect(try await Cloud(client).prune(keeping: []).map(\.code) == [.ok, .ok])
        }
    }

    @Test func `a managed prefix that was brought to another configuration stays`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare([u1])
            try await makePrefix(client, "egressgateway-\(old)")
            let item = desired(u1, prefixID: "\(Self.network)/publicIPPrefixes/egressgateway-\(old)")
            let made = try await cloud.ensure([item])
            #expect(made.map(\.code) == [.ok], "\(made.compactMap(\.message))")
            #expect(try await cloud.pools.status([], cloud.host.context()).map(\.id) == [u1])
            #expect(try await cloud.prune(keeping: [u1]) == [])
            #expect(await simulator.snapshot().prefixes.map(\.name) == ["egressgateway-\(old)"])
            #expect(try await cloud.check([item]) == made)
        }
    }

    @Test func `machines lose configuration, addresses and prefix; foreign addresses stay`() async throws {
        try await withSimulator(.machines()) { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare([u1, u2], pool: machinePool)
            try await makePrefix(client, "mine")
            let mine = "\(Self.network)/publicIPPrefixes/mine"
            let loose = Names.publicAddress(prefix: "mine", networkInterface: "vm-0-nic")
            for name in [loose, "theirs"] {
                _ = try await client.write(
                    "PUT", "\(Self.network)/publicIPAddresses/\(name)", version: ARMTestClient.networkVersion,
                    body: [
                        "location": "labregion", "sku": ["name": "Standard"],
                        "properties": [
                            "publicIPAllocationMethod": "Static", "publicIPPrefix": ["id": .string(mine)],
                        ],
                    ])
            }
            let items = [u1, u2].map { desired($0, pool: machinePool) }
            let made = try await cloud.ensure(items)
            #expect(made.map(\.code) == [.ok, .ok], "\(made.compactMap(\.message))")
            let shown = try await cloud.pools.status([], cloud.host.context()).map(\.id)
            #expect(shown == [u1, u2, "publicIPAddresses/\(loose)"])
            let pruned = try await cloud.prune(keeping: [u1], pool: machinePool)
            #expect(pruned == [.ok(u2), .ok("publicIPAddresses/\(loose)")])
            let left = await simulator.managedResources().filter { $0.hasPrefix("publicIP") }
            let own = ["vm-0-nic", "vm-1-nic"].map {
                "publicIPAddresses/" + Names.publicAddress(prefix: "egressgateway-\(u1)", networkInterface: $0)
            }
            #expect(
                Set(left)
                    == Set(
                        ["publicIPPrefixes/egressgateway-\(u1)", "publicIPPrefixes/mine", "publicIPAddresses/theirs"]
                            + own
                    ))
            #expect(try await cloud.check([items[0]]) == [made[0]])
        }
    }
}
