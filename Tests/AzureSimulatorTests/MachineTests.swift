import AzureTestSupport
import JSONModel
import Testing

@testable import Lab

private typealias Client = ARMTestClient

extension AzureSimulator.MachinePool {
    /// Two machines of a gateway pool in the lab's subnet.
    static let test = gateways(named: "pool", machines: ["vm-1", "vm-2"], prefixLength: 31, subnet: "gateways")
}

@Suite struct MachineTests {
    private let interface = "\(Client.networkInterfaces)/vm-1-nic"
    private let address = "\(Client.network)/publicIPAddresses/a"
    private let prefix = "\(Client.network)/publicIPPrefixes/p"

    /// A pool, a load balancer with a pool, and a prefix, all done at second 1.
    private func prepared(limits: AzureSimulator.Limits = .azure, length: Int64 = 31) throws -> Bench {
        var bench = try Bench(.test(latency: .seconds(1), computerNames: [], machinePools: [.test], limits: limits))
        _ = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .zero)
        _ = bench.call("PUT", prefix, body: prefixBody(length: length), at: .zero)
        return bench
    }

    private func addressBody(_ more: [String: JSONValue] = [:]) -> JSONValue {
        var body: JSONValue = [
            "location": "labregion", "sku": ["name": "Standard"],
            "properties": ["publicIPAllocationMethod": "Static", "publicIPPrefix": ["id": .string(prefix)]],
        ]
        for (path, value) in more { body[path] = value }
        return body
    }

    /// The network interface's own body with one more ipConfiguration, and the pool on the primary one.
    private func withEgress(_ body: JSONValue?, publicAddress: String?) throws -> JSONValue {
        var body = try #require(body)
        var children = body["properties.ipConfigurations"]?.elements ?? []
        children[0]["properties.loadBalancerBackendAddressPools"] = [
            ["id": .string("\(Client.loadBalancer)/backendAddressPools/pool")]
        ]
        var properties: JSONValue = ["primary": false, "subnet": ["id": .string(Client.gatewaysSubnet)]]
        if let publicAddress { properties["publicIPAddress"] = ["id": .string(publicAddress)] }
        children.append(["name": "egressgateway-1", "properties": properties])
        body["properties.ipConfigurations"] = .array(children)
        return body
    }

    @Test func `machines and their network interfaces have the tags that a gateway looks for`() throws {
        var bench = try prepared()
        let machines = bench.call("GET", Client.machines, at: .zero).body?["value"]?.elements ?? []
        #expect(machines.map { $0["name"]?.text } == ["vm-1", "vm-2"])
        #expect(machines[0]["tags.aks-managed-poolName"] == "pool")
        #expect(machines[0]["tags.aks-managed-nic-name"] == "vm-1-nic")
        let interfaces = bench.call("GET", Client.networkInterfaces, at: .zero).body?["value"]?.elements ?? []
        #expect(interfaces.map { $0["tags.aks-managed-static-gateway-nic"]?.text } == ["true", "true"])
        #expect(interfaces[0]["properties.virtualMachine.id"]?.text == "\(Client.machines)/vm-1")
        let view = bench.call("GET", "\(Client.machines)/vm-1?$expand=instanceView", at: .zero)
        #expect(view.body?["properties.instanceView.statuses"]?.elements.last?["code"] == "PowerState/running")
    }

    @Test func `an attached network interface changes when its operation ends, and the fabric hears of it`() throws {
        var bench = try prepared()
        _ = bench.call("PUT", address, body: addressBody(), at: .seconds(1))
        let before = bench.call("GET", interface, at: .seconds(2))
        let body = try withEgress(before.body, publicAddress: address)
        let first = bench.call("PUT", interface, body: body, at: .seconds(2))
        #expect(first.status == 200 && first.body?["properties.provisioningState"] == "Updating")
        #expect(header(first, "Azure-AsyncOperation") != nil)
        #expect(bench.state.topology.instances[0].ipConfigurations.count == 1)
        let after = bench.call("GET", interface, at: .seconds(3))
        let children = after.body?["properties.ipConfigurations"]?.elements ?? []
        #expect(children.map { $0["properties.privateIPAddress"]?.text } == ["10.243.0.4", "10.243.0.7"])
        #expect(children[1]["properties.publicIPAddress"] == ["id": .string(address)])
        let topology = bench.state.topology
        #expect(topology.instances[0].ipConfigurations.map(\.publicIP) == [nil, "203.0.113.2"])
        #expect(topology.instances[0].computerName == "vm-1" && topology.instances[0].scaleSet == "")
        #expect(topology.rules[0].backends.map(\.address) == ["10.243.0.4"])
        let shown = bench.call("GET", address, at: .seconds(3))
        #expect(shown.body?["properties.ipConfiguration.id"] == children[1]["id"])
        #expect(
            bench.state.managedResources.contains("networkInterfaces/vm-1-nic/ipConfigurations/egressgateway-1"))
    }

    @Test func `what is in use cannot go, and goes once it is free`() throws {
        var bench = try prepared()
        _ = bench.call("PUT", address, body: addressBody(), at: .seconds(1))
        let before = bench.call("GET", interface, at: .seconds(2)).body
        _ = bench.call("PUT", interface, body: try withEgress(before, publicAddress: address), at: .seconds(2))
        for (path, code) in [
            (address, "PublicIPAddressCannotBeDeleted"), (prefix, "InUsePublicIpPrefixCannotBeDeleted"),
            (interface, "NicInUse"), (Client.loadBalancer, "InUseBackendAddressPoolCannotBeDeleted"),
        ] {
            let refused = bench.call("DELETE", path, at: .seconds(3))
            #expect(refused.status == 400 && refused.code == code)
        }
        _ = bench.call("PUT", interface, body: before, at: .seconds(3))
        for path in [address, Client.loadBalancer] {
            #expect(bench.call("DELETE", path, at: .seconds(4)).status == 202)
        }
        #expect(bench.call("DELETE", prefix, at: .seconds(5)).status == 202)
        bench.state.advance(to: .seconds(6))
        #expect(bench.state.managedResources == [])
    }

    @Test func `one public address serves one ipConfiguration`() throws {
        var bench = try prepared()
        _ = bench.call("PUT", address, body: addressBody(), at: .seconds(1))
        let first = bench.call("GET", interface, at: .seconds(2)).body
        _ = bench.call("PUT", interface, body: try withEgress(first, publicAddress: address), at: .seconds(2))
        let other = "\(Client.networkInterfaces)/vm-2-nic"
        let second = try withEgress(bench.call("GET", other, at: .seconds(2)).body, publicAddress: address)
        #expect(bench.call("PUT", other, body: second, at: .seconds(3)).code == "PublicIPAddressInUse")
        var twice = try withEgress(first, publicAddress: address)
        var children = twice["properties.ipConfigurations"]?.elements ?? []
        children.append(children[1])
        children[2]["name"] = "again"
        twice["properties.ipConfigurations"] = .array(children)
        #expect(
            bench.call("PUT", interface, body: twice, at: .seconds(3)).code == "PublicIPReferencedByMultipleIPConfigs")
    }

    @Test func `an address may be chosen from the prefix, once, and a full prefix refuses`() throws {
        var bench = try prepared()
        let chosen = addressBody(["properties.ipAddress": "203.0.113.3"])
        _ = bench.call("PUT", address, body: chosen, at: .seconds(1))
        #expect(bench.call("GET", address, at: .seconds(2)).body?["properties.ipAddress"] == "203.0.113.3")
        let again = bench.call("PUT", "\(address)2", body: chosen, at: .seconds(2))
        #expect(again.code == "PublicIPAddressInUse")
        let outside = addressBody(["properties.ipAddress": "203.0.113.9"])
        #expect(bench.call("PUT", "\(address)2", body: outside, at: .seconds(2)).code == "InvalidParameter")
        let moved = addressBody(["properties.ipAddress": "203.0.113.2"])
        #expect(bench.call("PUT", address, body: moved, at: .seconds(2)).code == "PropertyChangeNotAllowed")
        #expect(bench.call("PUT", "\(address)2", body: addressBody(), at: .seconds(2)).status == 201)
        let full = bench.call("PUT", "\(address)3", body: addressBody(), at: .seconds(2))
        #expect(full.code == "PublicIpPrefixOutOfIpAddressesForVMScaleSet")
    }

    @Test func `a network interface has its limits`() throws {
        var limits = AzureSimulator.Limits()
        limits.ipConfigurationsPerInterface = 2
        limits.rulesPerInterface = 2
        var bench = try prepared(limits: limits)
        var body = try withEgress(bench.call("GET", interface, at: .seconds(1)).body, publicAddress: nil)
        #expect(bench.call("PUT", interface, body: body, at: .seconds(1)).status == 200)
        let rules = (6000...6002).map { loadBalancerRule("rule-\($0)", port: $0) }
        let many = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(rules: rules), at: .seconds(2))
        #expect(many.status == 400 && many.code == "LoadBalancerRuleCountLimitReachedForNic")
        let two = loadBalancerBody(rules: Array(rules.prefix(2)))
        #expect(bench.call("PUT", Client.loadBalancer, body: two, at: .seconds(2)).status == 200)
        var children = body["properties.ipConfigurations"]?.elements ?? []
        children.append(["name": "third", "properties": ["subnet": ["id": .string(Client.gatewaysSubnet)]]])
        body["properties.ipConfigurations"] = .array(children)
        let wide = bench.call("PUT", interface, body: body, at: .seconds(3))
        #expect(wide.status == 400 && wide.code == "NetworkInterfaceIpConfigurationCountLimitReached")
    }

    @Test func `a free network interface is done at once; a machine that went keeps its own for a while`() throws {
        var bench = try prepared()
        let body: JSONValue = [
            "location": "labregion",
            "properties": [
                "ipConfigurations": [
                    [
                        "name": "one",
                        "properties": [
                            "subnet": ["id": .string(Client.gatewaysSubnet)], "privateIPAllocationMethod": "Static",
                            "privateIPAddress": "10.243.0.77",
                        ],
                    ]
                ]
            ],
        ]
        let path = "\(Client.networkInterfaces)/free"
        let made = bench.call("PUT", path, body: body, at: .seconds(1))
        #expect(made.status == 201 && header(made, "Azure-AsyncOperation") == nil)
        let address = made.body?["properties.ipConfigurations"]?.elements.first?["properties.privateIPAddress"]
        #expect(address == "10.243.0.77")
        let taken = bench.call("PUT", "\(path)2", body: body, at: .seconds(1))
        #expect(taken.code == "PrivateIPAddressIsAllocated")
        #expect(bench.call("GET", "\(path)2", at: .seconds(1)).status == 404)
        #expect(bench.call("DELETE", "\(Client.machines)/vm-1", at: .seconds(1)).status == 202)
        #expect(bench.call("GET", interface, at: .seconds(2)).body?["properties.virtualMachine"] == nil)
        #expect(bench.state.topology.instances.map(\.computerName) == ["vm-2"])
        let other: JSONValue = [
            "location": "labregion",
            "properties": [
                "hardwareProfile": ["vmSize": "Standard_D2s_v3"], "osProfile": ["computerName": "vm-3"],
                "networkProfile": ["networkInterfaces": [["id": .string(interface)]]],
            ],
        ]
        let reserved = bench.call("PUT", "\(Client.machines)/vm-3", body: other, at: .seconds(181))
        #expect(reserved.code == "NicReservedForAnotherVm")
        #expect(bench.call("PUT", "\(Client.machines)/vm-3", body: other, at: .seconds(182)).status == 201)
        #expect(bench.state.topology.instances.map(\.computerName).contains("vm-3"))
    }

    @Test func `lists come in pages that join to the whole`() throws {
        var bench = try Bench(.test(latency: .zero, pageSize: 3))
        for index in 0..<8 {
            _ = bench.call(
                "PUT", "\(Client.network)/publicIPPrefixes/p\(index)", body: prefixBody(length: 31), at: .zero)
        }
        var names: [String] = []
        var next: String? = "\(Client.network)/publicIPPrefixes?api-version=\(Client.networkVersion)"
        var pages = 0
        while let path = next {
            let page = bench.call("GET", path, at: .zero)
            names += (page.body?["value"]?.elements ?? []).compactMap { $0["name"]?.text }
            next = page.body?["nextLink"]?.text
            pages += 1
        }
        #expect(pages == 3 && names == (0..<8).map { "p\($0)" })
        let made = bench.call("GET", "\(Client.network)/publicIPPrefixes?$skiptoken=3", at: .zero)
        #expect(made.status == 400 && made.body?["error.target"] == "$skiptoken")
        let all = "/subscriptions/\(Client.subscription)/providers/Microsoft.Network/publicIPPrefixes"
        #expect(bench.call("GET", all, at: .zero).body?["value"]?.elements.count == 3)
    }

    @Test(arguments: [
        ("?colour=blue", "colour"), ("?$expand=everything", "$expand"), ("?$filter=x", "$filter"),
    ])
    func `a query that the operation does not take is refused`(query: String, target: String) throws {
        var bench = try prepared()
        let answer = bench.call("GET", "\(Client.machines)\(query)", at: .zero)
        #expect(answer.status == 400 && answer.code == "InvalidParameter")
        #expect(answer.body?["error.target"]?.text == target)
    }

    @Test func `a dual-stack subnet gives an IPv6 address, with a public one of an IPv6 prefix`() throws {
        var bench = try Bench(
            .test(latency: .zero, machinePools: [.test], subnetIPv6: "2001:db8:1::/64"))
        var six = prefixBody(length: 126)
        six["properties.publicIPAddressVersion"] = "IPv6"
        #expect(bench.call("PUT", prefix, body: six, at: .zero).status == 201)
        let wanted = addressBody(["properties.publicIPAddressVersion": "IPv6"])
        #expect(bench.call("PUT", address, body: wanted, at: .zero).status == 201)
        var body = try withEgress(bench.call("GET", interface, at: .zero).body, publicAddress: address)
        var children = body["properties.ipConfigurations"]?.elements ?? []
        children[0]["properties.loadBalancerBackendAddressPools"] = nil
        body["properties.ipConfigurations"] = .array(children)
        #expect(bench.call("PUT", interface, body: body, at: .zero).code == "InvalidParameter")
        children[1]["properties.privateIPAddressVersion"] = "IPv6"
        body["properties.ipConfigurations"] = .array(children)
        #expect(bench.call("PUT", interface, body: body, at: .zero).status == 200)
        bench.state.advance(to: .seconds(1))
        let machine = try #require(bench.state.topology.instances.first { $0.computerName == "vm-1" })
        #expect(machine.ipConfigurations[1].privateIP == "2001:db8:1::4")
        #expect(machine.ipConfigurations[1].publicIP?.hasPrefix("2001:db8:ffff::") == true)
    }
}
