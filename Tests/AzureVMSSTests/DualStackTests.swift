import AzureTestSupport
import AzureVMSSProvider
import JSONModel
import Lab
import ProviderKit
import Testing

/// IPv6 beside IPv4, where Azure has it; and the refusals that come before the first write.
@Suite struct DualStackTests {
    private static let network = ARMTestClient.network
    private static let both: [NodePool.IPFamily] = [.ipv4, .ipv6]

    @Test func `a configuration that asks has an IPv6 prefix and address beside the others, and gives them back`()
        async throws
    {
        for machines in [false, true] {
            let subnet = "fd00:243::/64"
            let u1 = "0000000b-0000-4000-8000-000000000001"
            try await withSimulator(machines ? .machines(subnetIPv6: subnet) : .test(subnetIPv6: subnet)) {
                simulator, client in
                let cloud = try Cloud(client)
                let pool = machines ? machinePool : pool
                try await cloud.prepare([u1], pool: pool)
                let plain = try await cloud.ensure([desired(u1, pool: pool)])
                #expect(plain[0].observed?.egressPrefixV6 == nil)
                let item = desired(u1, pool: pool, families: Self.both)
                #expect(
                    try await cloud.check([item])[0].drift?.first
                        == "publicIPPrefixes/egressgateway-\(u1)-ipv6: is missing; wanted: a prefix of length 127")
                let made = try await cloud.ensure([item])
                let observed = try #require(made[0].observed, "\(made[0].message ?? "")")
                #expect(observed.egressPrefix == plain[0].observed?.egressPrefix)
                #expect(observed.egressPrefixV6?.hasSuffix("/127") == true)
                #expect(observed.nodes.allSatisfy { $0.secondaryIPv6?.hasPrefix("fd00:243:") == true })
                #expect(observed.nodes.map(\.secondaryIP) == plain[0].observed?.nodes.map(\.secondaryIP))
                let addresses = await simulator.snapshot().instances.flatMap(\.ipConfigurations)
                    .compactMap(\.publicIP)
                #expect(addresses.filter { $0.contains(":") }.count == 2)
                #expect(try await cloud.check([item]) == made)
                #expect(try await cloud.pools.status([], cloud.host.context()) == made)
                // Without IPv6 again, all is as before.
                #expect(
                    try await cloud.check([desired(u1, pool: pool)])[0].drift?.first
                        == "publicIPPrefixes/egressgateway-\(u1)-ipv6: is there; wanted: nothing")
                #expect(try await cloud.ensure([desired(u1, pool: pool)]) == plain)
                #expect(await simulator.snapshot().prefixes.map(\.name) == ["egressgateway-\(u1)"])
                _ = try await cloud.ensure([item])
                #expect(try await cloud.remove([u1], pool: pool).map(\.code) == [.ok])
                #expect(await !simulator.managedResources().contains { $0.contains("/egressgateway-") })
            }
        }
    }

    @Test func `in private mode the nodes have private addresses of both versions`() async throws {
        try await withSimulator(.test(subnetIPv6: "fd00:243::/64")) { _, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1"])
            let made = try await cloud.ensure([desired("u1", publicIPs: false, families: Self.both)])
            let addresses = made[0].observed?.egressPrefixV6?.split(separator: ",") ?? []
            #expect(addresses.count == 2 && addresses.allSatisfy { $0.hasPrefix("fd00:243:") })
        }
    }

    @Test func `a subnet without IPv6 is told before anything is written; the others go on`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1", "u2"])
            let items = [desired("u1", families: Self.both), desired("u2"), desired("u3", families: [.ipv6])]
            let results = try await cloud.ensure(items)
            #expect(results.map(\.code) == [.invalid, .ok, .invalid])
            #expect(results[0].reason == "IPFamilyUnsupported" && results[2].reason == "IPFamilyUnsupported")
            #expect(results[0].message?.contains("subnet gateways of the pool has no IPv6 prefix") == true)
            #expect(await simulator.snapshot().prefixes.map(\.name) == ["egressgateway-u2"])
            #expect(try await cloud.check(items).map(\.reason) == results.map(\.reason))
        }
    }

    @Test func `one configuration of a pool can have IPv6, and keeps it`() async throws {
        try await withSimulator(.test(subnetIPv6: "fd00:243::/64")) { _, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1", "u2"])
            let items = [desired("u2", families: Self.both), desired("u1", families: Self.both)]
            let results = try await cloud.ensure(items)
            #expect(results.map(\.code) == [.ok, .invalid], "\(results.compactMap(\.message))")
            #expect(results[1].message?.contains("have the IPv6 ipConfiguration egressgateway-u2-ipv6") == true)
            #expect(try await cloud.ensure(items.reversed()).map(\.code) == [.invalid, .ok])
        }
    }

    @Test(arguments: [
        ("region", "prefixID: public IP prefix mine is in region elsewhere; the gateways are in labregion"),
        ("version", "prefixID: public IP prefix mine is of IP version IPv6; IPv4 is needed"),
    ])
    func `a prefix that cannot serve is told by what is wrong with it`(wrong: String, message: String) throws {
        var body: JSONValue = [
            "location": "Lab Region", "sku": ["name": "Standard", "tier": "Regional"],
            "properties": ["ipPrefix": "203.0.113.2/31", "prefixLength": 31, "provisioningState": "Succeeded"],
        ]
        let id =
            "/subscriptions/\(ARMTestClient.subscription)/resourceGroups/g/providers/Microsoft.Network"
            + "/publicIPPrefixes/mine"
        #expect(try PrefixRefusal.of(body, id: id) == nil)
        if wrong == "region" {
            body["location"] = "elsewhere"
        } else {
            body["properties.publicIPAddressVersion"] = "IPv6"
        }
        let error = try PrefixRefusal.of(body, id: id)
        #expect(error?.reason == "PrefixMismatch" && error?.message == message)
    }

    @Test func `a pool in another region or network is told before the first write`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client, location: "elsewhere")
            let result = try await cloud.ensure([desired("u1")])[0]
            #expect(result.code == .invalid && result.reason == "PoolUnsupported")
            #expect(
                result.message == "pool: gateways is in region labregion; cloudConfig.location is elsewhere")
            #expect(await simulator.managedResources() == [])
        }
    }
}
