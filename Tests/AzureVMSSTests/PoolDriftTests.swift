import AzureTestSupport
import AzureVMSSProvider
import JSONModel
import Lab
import ProviderKit
import Testing

/// `check`: what it sees, what it says, and what it costs.
@Suite struct PoolDriftTests {
    private static let network = ARMTestClient.network

    @Test func `any number of configurations costs seven reads a minute, and one more now and then`()
        async throws
    {
        let names = (0..<4).map { "gateway-\($0)" }
        var configuration = AzureSimulator.Configuration.test(
            latency: .zero, subnet: "10.243.0.0/22", computerNames: names)
        configuration.publicAddressSpace = "203.0.112.0/22"
        configuration.virtualNetwork.subnets.removeLast()
        try await withSimulator(configuration) { simulator, client in
            let cloud = try Cloud(client, isClockStopped: true)
            let ids = (0..<25).map { "u\($0)" }
            try await cloud.prepare(ids)
            let items = ids.map { desired($0, length: 30) }
            let made = try await cloud.ensure(items)
            #expect(made.allSatisfy { $0.code == .ok }, "\(made.compactMap(\.message).prefix(3))")
            // The first look learns the instances' names.
            #expect(try await cloud.check(items) == made)
            let writes = await simulator.writes
            // Network interfaces each time, the model every second time, prefixes once a minute; and after five minutes
            // the instances' own models.
            var cost: [Int] = []
            for _ in 0..<20 {
                cloud.host.advance(by: .seconds(15))
                let before = await simulator.reads
                #expect(try await cloud.check(items) == made)
                cost.append(await simulator.reads - before)
            }
            #expect(cost == [1, 2, 1, 3, 1, 2, 1, 3, 1, 2, 1, 3, 1, 2, 1, 3, 1, 2, 1, 4], "\(cost)")
            #expect(await simulator.writes == writes)
        }
    }

    @Test func `what is not read at every look is seen within a minute, and own writes at once`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1", "u2"])
            _ = try await cloud.ensure([desired("u1")])
            #expect(try await cloud.check([desired("u1")])[0].code == .ok)
            // The prefix of u2 is made after the list was read.
            _ = try await cloud.ensure([desired("u2")])
            #expect(try await cloud.check([desired("u1"), desired("u2")]).map(\.code) == [.ok, .ok])
            let path = "\(ARMTestClient.compute)/virtualMachineScaleSets/gateways"
            var body = try #require(
                try await client.call("GET", path, version: ARMTestClient.computeVersion).body)
            let interfaces = "properties.virtualMachineProfile.networkProfile.networkInterfaceConfigurations"
            var list = body[interfaces]?.elements ?? []
            list[0]["properties.ipConfigurations"] = .array(
                (list[0]["properties.ipConfigurations"]?.elements ?? []).filter {
                    $0["name"]?.text != "egressgateway-u1"
                })
            body[interfaces] = .array(list)
            _ = try await client.write("PUT", path, version: ARMTestClient.computeVersion, body: body)
            #expect(try await cloud.check([desired("u1")])[0].code == .ok)
            cloud.host.advance(by: .seconds(30))
            let drift = try await cloud.check([desired("u1")])[0].drift ?? []
            let model = "virtualMachineScaleSets/gateways (model)/ipConfigurations/egressgateway-u1: is missing"
            #expect(drift.count == 1 && drift[0].hasPrefix(model), "\(drift)")
        }
    }

    @Test func `machines cost two reads a look`() async throws {
        try await withSimulator(.machines()) { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1", "u2"], pool: machinePool)
            let items = [desired("u1", pool: machinePool), desired("u2", publicIPs: false, pool: machinePool)]
            let made = try await cloud.ensure(items)
            let (reads, writes) = (await simulator.reads, await simulator.writes)
            #expect(try await cloud.check(items) == made)
            #expect(await simulator.reads == reads + 2)
            #expect(await simulator.writes == writes)
        }
    }

    @Test func `absent configurations are told, part by part, and none is made`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            let result = try await cloud.check([desired("u1")])[0]
            #expect(result.code == .conflict)
            let drift = result.drift ?? []
            #expect(drift.first == "publicIPPrefixes/egressgateway-u1: is missing; wanted: a prefix of length 31")
            let model = "virtualMachineScaleSets/gateways (model)/ipConfigurations/egressgateway-u1: is missing"
            #expect(drift.contains { $0.hasPrefix(model) })
            let node =
                "virtualMachineScaleSets/gateways/virtualMachines/1/ipConfigurations/egressgateway-u1: is missing"
            #expect(drift.contains { $0.hasPrefix(node) })
            #expect(drift.contains { $0.contains("loadBalancerBackendAddressPools lacks the pool") })
            #expect(await simulator.managedResources() == [])
        }
    }

    @Test func `a strip is seen, named and mended by ensure`() async throws {
        for machines in [false, true] {
            try await withSimulator(machines ? .machines() : .test()) { simulator, client in
                let cloud = try Cloud(client)
                let pool = machines ? machinePool : pool
                try await cloud.prepare(["u1"], pool: pool)
                let item = desired("u1", pool: pool)
                let made = try await cloud.ensure([item])
                #expect(try await cloud.check([item]) == made)
                try await simulator.inject(.strip)
                let result = try await cloud.check([item])[0]
                #expect(result.code == .conflict)
                let resource =
                    machines ? "networkInterfaces/vm-1-nic" : "virtualMachineScaleSets/gateways/virtualMachines/1"
                let line = result.drift?.first { $0.hasPrefix("\(resource)/ipConfigurations/egressgateway-u1") }
                #expect(line?.contains("is missing; wanted: IPv4 with") == true, "\(result.drift ?? [])")
                #expect(try await cloud.ensure([item]).map(\.code) == [.ok])
                #expect(try await cloud.check([item])[0].code == .ok)
            }
        }
    }

    @Test func `what somebody changed is told with what was found and what is wanted`() async throws {
        try await withSimulator(.machines()) { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1"], pool: machinePool)
            let item = desired("u1", pool: machinePool)
            _ = try await cloud.ensure([item])
            let path = "\(Self.network)/networkInterfaces/vm-0-nic"
            var body = try #require(
                try await client.call("GET", path, version: ARMTestClient.networkVersion).body)
            var children = body["properties.ipConfigurations"]?.elements ?? []
            children[1]["properties.publicIPAddress"] = nil
            children[0]["properties.loadBalancerBackendAddressPools"] = nil
            body["properties.ipConfigurations"] = .array(children)
            _ = try await client.write("PUT", path, version: ARMTestClient.networkVersion, body: body)
            let drift = try await cloud.check([item])[0].drift ?? []
            #expect(drift.count == 2)
            let first = "networkInterfaces/vm-0-nic/ipConfigurations/egressgateway-u1: "
            #expect(drift.first?.hasPrefix("\(first)properties.publicIPAddress.id is absent; wanted: \"/sub") == true)
            #expect(drift.last?.contains("/ipconfig1: properties.loadBalancerBackendAddressPools lacks") == true)
            #expect(try await cloud.ensure([item]).map(\.code) == [.ok])
            #expect(try await cloud.check([item])[0].drift == nil)
            #expect(await simulator.calls(interfacePUT) == 4)
        }
    }

    @Test func `a new instance is seen at once, and has its address by the model`() async throws {
        try await withSimulator { simulator, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1"])
            _ = try await cloud.ensure([desired("u1")])
            #expect(try await cloud.check([desired("u1")])[0].code == .ok)
            try await simulator.inject(.replaceInstance)
            let result = try await cloud.check([desired("u1")])[0]
            let names = await simulator.snapshot().instances.map(\.computerName)
            #expect(result.code == .ok, "\(result.drift ?? [])")
            #expect(result.observed?.nodes.map(\.nodeName) == names)
        }
    }

    @Test func `leftovers are drift, and what ensure would refuse is told as ensure tells it`() async throws {
        try await withSimulator { _, client in
            let cloud = try Cloud(client)
            try await cloud.prepare(["u1"])
            _ = try await cloud.ensure([desired("u1")])
            let private1 = try await cloud.check([desired("u1", publicIPs: false)])[0]
            #expect(private1.drift?.first == "publicIPPrefixes/egressgateway-u1: is there; wanted: nothing")
            #expect(private1.drift?.contains { $0.contains("wanted: absent") } == true)
            let items = [
                desired("a", length: 24), desired("b", prefixID: "mine"),
                desired("c", pool: PoolSelector(nodepoolName: "none")),
                desired("d", prefixID: "\(Self.network)/publicIPPrefixes/none"),
                desired("e", pool: PoolSelector(scaleSet: .init(resourceGroup: "", name: "../gateways?x="))),
            ]
            let checked = try await cloud.check(items)
            let ensured = try await cloud.ensure(items)
            #expect(checked.map(\.reason) == ensured.map(\.reason))
            #expect(
                checked.map(\.reason) == [
                    "PrefixLengthInvalid", "PrefixIDInvalid", "PoolNotFound", "PrefixNotFound", "PoolNotFound",
                ])
            #expect(ensured.last?.message == "pool.scaleSet.name: \"../gateways?x=\" is no name of Azure's")
        }
    }

    @Test func `a brought prefix that another configuration of the machines has is no drift but a refusal`()
        async throws
    {
        try await withSimulator(.machines()) { _, client in
            let cloud = try Cloud(client)
            let id = "\(Self.network)/publicIPPrefixes/mine"
            _ = try await client.write(
                "PUT", id, version: ARMTestClient.networkVersion,
                body: ["location": "labregion", "sku": ["name": "Standard"], "properties": ["prefixLength": 31]])
            try await cloud.prepare(["u1", "u2"], pool: machinePool)
            let items = ["u1", "u2"].map { desired($0, prefixID: id, pool: machinePool) }
            let made = try await cloud.ensure(items)
            #expect(made.map(\.code) == [.ok, .terminal])
            #expect(try await cloud.check(items) == made)
        }
    }
}
