import AzureTestSupport
import JSONModel
import Testing

@testable import Lab

private typealias Client = ARMTestClient

@Suite struct ScaleTests {
    private let modelPath = "properties.virtualMachineProfile.networkProfile.networkInterfaceConfigurations"
    private let prefix = "\(Client.network)/publicIPPrefixes/egressgateway-1"

    /// A load balancer, a prefix, and the egress ipConfiguration in the model; all done at second 10.
    private func prepared(
        _ policy: AzureSimulator.ScaleSet.UpgradePolicy, length: Int64 = 30, subnet: String = "10.243.0.0/24"
    ) throws -> Bench {
        var bench = try Bench(.test(latency: .seconds(1), subnet: subnet, upgradePolicy: policy))
        _ = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .zero)
        _ = bench.call("PUT", prefix, body: prefixBody(length: length), at: .zero)
        let model = bench.call("GET", Client.scaleSet, at: .seconds(1))
        var body: JSONValue = ["location": "labregion"]
        body[modelPath] = withEgress(model.body?[modelPath])
        #expect(bench.call("PUT", Client.scaleSet, body: body, at: .seconds(1)).status == 200)
        bench.state.advance(to: .seconds(10))
        return bench
    }

    private func scale(_ bench: inout Bench, to count: Int64, at now: Duration) -> ARMResponse {
        bench.call(
            "PUT", Client.scaleSet,
            body: ["location": "labregion", "sku": ["name": "Standard_D2s_v3", "capacity": .integer(count)]], at: now)
    }

    private func addresses(_ bench: Bench) -> [[String?]] {
        bench.state.topology.instances.map { $0.ipConfigurations.map(\.publicIP) }
    }

    @Test func `Automatic brings every instance to the model, Manual those that are named`() throws {
        let automatic = try prepared(.automatic)
        #expect(addresses(automatic) == [[nil, "203.0.113.4"], [nil, "203.0.113.5"]])
        var manual = try prepared(.manual)
        #expect(addresses(manual) == [[nil], [nil]])
        let path = "\(Client.scaleSet)/manualupgrade"
        let unknown = manual.call("POST", path, body: ["instanceIds": ["7"]], at: .seconds(10))
        #expect(unknown.status == 404)
        let missing = manual.call("POST", path, body: [:], at: .seconds(10))
        #expect(missing.status == 400 && missing.code == "InvalidRequestContent")
        let first = manual.call("POST", path, body: ["instanceIds": ["1"]], at: .seconds(10))
        #expect(first.status == 202 && header(first, "Location") != nil)
        manual.state.advance(to: .seconds(11))
        #expect(addresses(manual) == [[nil], [nil, "203.0.113.4"]])
        let stale = manual.call(
            "GET", "\(Client.scaleSet)/virtualMachines?$filter=properties/latestModelApplied eq false", at: .seconds(11)
        )
        #expect(stale.body?["value"]?.elements.map { $0["instanceId"] } == ["0"])
    }

    @Test func `new instances have the model from the start, and removed ones give their addresses back`() throws {
        var bench = try prepared(.manual)
        #expect(scale(&bench, to: 4, at: .seconds(10)).status == 200)
        bench.state.advance(to: .seconds(20))
        #expect(
            bench.state.topology.instances.map(\.computerName)
                == ["gateway-1", "gateway-2", "gateways000002", "gateways000003"])
        #expect(addresses(bench) == [[nil], [nil], [nil, "203.0.113.4"], [nil, "203.0.113.5"]])
        #expect(bench.state.topology.rules[0].backends.count == 2)
        #expect(scale(&bench, to: 5, at: .seconds(20)).code == "PublicIpPrefixOutOfIpAddressesForVMScaleSet")
        let gone = bench.call("DELETE", "\(Client.scaleSet)/virtualMachines/2", at: .seconds(20))
        #expect(gone.status == 202)
        #expect(scale(&bench, to: 2, at: .seconds(30)).status == 200)
        bench.state.advance(to: .seconds(40))
        #expect(bench.state.topology.instances.map(\.computerName) == ["gateway-1", "gateway-2"])
        let shown = bench.call("GET", prefix, at: .seconds(40))
        #expect(shown.body?["properties.publicIPAddresses"] == nil)
        // Ids are not used again.
        _ = scale(&bench, to: 3, at: .seconds(40))
        bench.state.advance(to: .seconds(50))
        #expect(bench.state.topology.instances.last?.instanceID == "4")
    }

    @Test func `a subnet that runs out leaves what could be made, and a failed operation`() throws {
        // A /28 has eleven usable addresses; the two instances and the frontend have three of them.
        var bench = try prepared(.manual, length: 28, subnet: "10.243.0.0/28")
        let first = scale(&bench, to: 8, at: .seconds(10))
        #expect(first.status == 200)
        let poll = bench.call("GET", try #require(header(first, "Azure-AsyncOperation")), at: .seconds(20))
        #expect(poll.body?["status"] == "Failed" && poll.body?["error.code"] == "SubnetIsFull")
        let list = bench.call("GET", "\(Client.scaleSet)/virtualMachines", at: .seconds(20))
        let states = (list.body?["value"]?.elements ?? []).map { $0["properties.provisioningState"]?.text ?? "" }
        #expect(states == Array(repeating: "Succeeded", count: 6) + ["Failed", "Failed"])
        #expect(bench.state.topology.instances.count == 6)
        let view = bench.call("GET", "\(Client.scaleSet)/instanceView", at: .seconds(20))
        #expect(view.body?["virtualMachine.statusesSummary"]?.elements.map { $0["count"]?.int } == [2, 6])
    }

    @Test func `a replaced instance has a new name, id and addresses`() throws {
        var bench = try prepared(.automatic)
        let replaced = bench.state.replaceInstance()
        let outcome = try #require(replaced)
        #expect(outcome.old == "gateway-1" && outcome.new == "gateways000002" && outcome.refusal == nil)
        #expect(bench.state.topology.instances.map(\.instanceID) == ["1", "2"])
        #expect(addresses(bench) == [[nil, "203.0.113.5"], [nil, "203.0.113.4"]])
    }

    @Test func `a roll-out without our ipConfigurations takes them from models and instances`() throws {
        var bench = try prepared(.automatic)
        #expect(bench.state.stripIPConfigurations() == 2)
        #expect(addresses(bench) == [[nil], [nil]])
        #expect(!bench.state.managedResources.contains { $0.contains("ipConfigurations/egressgateway") })
        #expect(bench.call("DELETE", prefix, at: .seconds(10)).status == 202)
    }

    @Test func `a scale set is made, and goes with its instances`() throws {
        var bench = try Bench(latency: .seconds(1))
        let path = "\(Client.compute)/virtualMachineScaleSets/made"
        var body: JSONValue = [
            "location": "labregion", "sku": ["name": "Standard_D2s_v3", "capacity": 2],
            "properties": [
                "virtualMachineProfile": [
                    "osProfile": ["computerNamePrefix": "made", "adminPassword": "secret"],
                    "networkProfile": [
                        "networkInterfaceConfigurations": [
                            [
                                "name": "nic",
                                "properties": [
                                    "ipConfigurations": [
                                        [
                                            "name": "one",
                                            "properties": ["subnet": ["id": .string(Client.gatewaysSubnet)]],
                                        ]
                                    ]
                                ],
                            ]
                        ]
                    ],
                ]
            ],
        ]
        let first = bench.call("PUT", path, body: body, at: .zero)
        #expect(first.status == 201 && first.body?["properties.provisioningState"] == "Creating")
        #expect(first.body?["properties.virtualMachineProfile.osProfile.adminPassword"] == nil)
        bench.state.advance(to: .seconds(5))
        #expect(bench.state.topology.instances.filter { $0.scaleSet == "made" }.count == 2)
        let exists = bench.call("PUT", path, body: body, headers: ["if-none-match": "*"], at: .seconds(5))
        #expect(exists.status == 412)
        body["properties.upgradePolicy"] = ["mode": "Rolling"]
        #expect(bench.call("PUT", path, body: body, at: .seconds(5)).code == "OperationNotSupported")
        #expect(bench.call("DELETE", path, at: .seconds(5)).status == 202)
        bench.state.advance(to: .seconds(10))
        #expect(bench.state.topology.instances.map(\.scaleSet) == ["gateways", "gateways"])
        #expect(bench.call("GET", path, at: .seconds(10)).status == 404)
    }

    @Test func `public addresses of instances are seen through the scale set`() throws {
        var bench = try prepared(.automatic)
        let version = "api-version=2018-10-01"
        let list = bench.call("GET", "\(Client.scaleSet)/publicipaddresses?\(version)", at: .seconds(10))
        let found = list.body?["value"]?.elements ?? []
        #expect(found.map { $0["properties.ipAddress"]?.text } == ["203.0.113.4", "203.0.113.5"])
        let one = bench.call("GET", "\(found[0]["id"]?.text ?? "")?\(version)", at: .seconds(10))
        #expect(one.status == 200 && one.body == found[0])
    }
}
