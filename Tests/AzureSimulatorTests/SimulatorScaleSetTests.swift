import AzureTestSupport
import Foundation
import JSONModel
import Testing

@testable import Lab

private typealias Client = ARMTestClient

/// The NIC configurations of `body` with one more ipConfiguration, and the pool on the primary one.
func withEgress(
    _ configurations: JSONValue?, prefix: String? = "egressgateway-1", pool: Bool = true
) -> JSONValue {
    var interface = configurations?.elements.first ?? [:]
    var children = interface["properties.ipConfigurations"]?.elements ?? []
    if pool {
        children[0]["properties.loadBalancerBackendAddressPools"] = [
            ["id": .string("\(ARMTestClient.loadBalancer)/backendAddressPools/pool")]
        ]
    }
    var properties: JSONValue = [
        "primary": false, "privateIPAddressVersion": "IPv4",
        "subnet": ["id": .string(ARMTestClient.gatewaysSubnet)],
    ]
    if let prefix {
        properties["publicIPAddressConfiguration"] = [
            "name": "egressgateway-1",
            "properties": [
                "publicIPPrefix": ["id": .string("\(ARMTestClient.network)/publicIPPrefixes/\(prefix)")]
            ],
        ]
    }
    children.append(["name": "egressgateway-1", "properties": properties])
    interface["properties.ipConfigurations"] = .array(children)
    return [interface]
}

@Suite struct SimulatorScaleSetTests {
    private let modelPath = "properties.virtualMachineProfile.networkProfile.networkInterfaceConfigurations"
    private let instancePath = "properties.networkProfileConfiguration.networkInterfaceConfigurations"

    private func prepare(_ client: ARMTestClient, length: Int64 = 31) async throws {
        _ = try await client.write(
            "PUT", Client.loadBalancer, version: Client.networkVersion, body: loadBalancerBody())
        _ = try await client.write(
            "PUT", "\(Client.network)/publicIPPrefixes/egressgateway-1", version: Client.networkVersion,
            body: prefixBody(length: length))
    }

    private func putModel(
        _ client: ARMTestClient, _ change: (JSONValue?) -> JSONValue
    ) async throws -> (first: ARMTestAnswer, last: ARMTestAnswer?) {
        let model = try await client.call("GET", Client.scaleSet, version: Client.computeVersion)
        var body: JSONValue = ["location": "labregion"]
        body[modelPath] = change(model.body?[modelPath])
        return try await client.write("PUT", Client.scaleSet, version: Client.computeVersion, body: body)
    }

    private func putInstance(
        _ client: ARMTestClient, _ id: String, _ change: (JSONValue?) -> JSONValue
    ) async throws -> (first: ARMTestAnswer, last: ARMTestAnswer?) {
        let path = "\(Client.scaleSet)/virtualMachines/\(id)"
        let instance = try await client.call("GET", path, version: Client.computeVersion)
        var body: JSONValue = [:]
        body[instancePath] = change(instance.body?[instancePath])
        return try await client.write("PUT", path, version: Client.computeVersion, body: body)
    }

    @Test func `a model change merges and reaches an instance only by a PUT of the instance`() async throws {
        try await withSimulator { simulator, client in
            try await prepare(client)
            let model = try await putModel(client) { withEgress($0) }
            #expect(model.first.status == 200)
            #expect(model.first.body?["properties.provisioningState"]?.text == "Updating")
            #expect(model.first.headers["etag"] == "\"2\"")
            #expect(model.first.body?["tags.aks-managed-poolName"]?.text == "gwpool")
            #expect(model.first.body?["properties.upgradePolicy.mode"]?.text == "Manual")
            let list = try await client.call(
                "GET", "\(Client.scaleSet)/virtualMachines", version: Client.computeVersion)
            #expect(
                list.body?["value"]?.elements.map { $0["properties.latestModelApplied"]?.bool } == [false, false])
            #expect(await simulator.snapshot().instances.allSatisfy { $0.ipConfigurations.count == 1 })

            let instance = try await putInstance(client, "0") { withEgress($0) }
            #expect(instance.first.status == 200 && instance.last?.body?["status"]?.text == "Succeeded")
            let topology = await simulator.snapshot()
            let gateway = try #require(topology.instances.first)
            #expect(gateway.ipConfigurations.map(\.privateIP) == ["10.243.0.4", "10.243.0.7"])
            #expect(gateway.ipConfigurations.map(\.publicIP) == [nil, "203.0.113.2"])
            #expect(topology.instances[1].ipConfigurations.count == 1)
            #expect(
                topology.rules.first?.backends
                    == [.init(computerName: "gateway-1", networkInterface: "gateways", address: "10.243.0.4")])
        }
    }

    @Test func `the NIC of an instance shows both addresses, at its own api-version`() async throws {
        try await withSimulator { _, client in
            try await prepare(client)
            _ = try await putInstance(client, "1") { withEgress($0) }
            let path = "\(Client.scaleSet)/virtualMachines/1/networkInterfaces/gateways"
            let wrong = try await client.call("GET", path, version: Client.computeVersion)
            #expect(wrong.status == 400 && wrong.code == "NoRegisteredProviderFound")
            let interface = try await client.call("GET", path, version: "2018-10-01")
            let children = interface.body?["properties.ipConfigurations"]?.elements ?? []
            #expect(children.map { $0["properties.privateIPAddress"]?.text } == ["10.243.0.5", "10.243.0.7"])
            #expect(children.map { $0["properties.primary"]?.bool } == [true, false])
            let prefix = try await client.call(
                "GET", "\(Client.network)/publicIPPrefixes/egressgateway-1", version: Client.networkVersion)
            #expect(
                prefix.body?["properties.publicIPAddresses"]?.elements.first?["id"]
                    == children.last?["properties.publicIPAddress.id"])
            let list = try await client.call(
                "GET", "\(Client.scaleSet)/virtualMachines/1/networkInterfaces", version: "2018-10-01")
            #expect(list.body?["value"]?.elements.first == interface.body)
        }
    }

    @Test func `prefix and pool in use cannot go, and go when they are free`() async throws {
        try await withSimulator { simulator, client in
            try await prepare(client)
            _ = try await putInstance(client, "0") { withEgress($0) }
            let prefix = "\(Client.network)/publicIPPrefixes/egressgateway-1"
            let inUse = try await client.call("DELETE", prefix, version: Client.networkVersion)
            #expect(inUse.status == 400 && inUse.code == "InUsePublicIpPrefixCannotBeDeleted")
            let pool = try await client.call("DELETE", Client.loadBalancer, version: Client.networkVersion)
            #expect(pool.status == 400 && pool.code == "LoadBalancerInUseByVirtualMachineScaleSet")
            _ = try await putInstance(client, "0") { configurations in
                var interface = configurations?.elements.first ?? [:]
                var primary = interface["properties.ipConfigurations"]?.elements.first ?? [:]
                primary["properties.loadBalancerBackendAddressPools"] = nil
                interface["properties.ipConfigurations"] = [primary]
                return [interface]
            }
            let (gone, _) = try await client.write("DELETE", prefix, version: Client.networkVersion)
            #expect(gone.status == 202)
            _ = try await client.write("DELETE", Client.loadBalancer, version: Client.networkVersion)
            #expect(await simulator.managedResources() == [])
            #expect(await simulator.snapshot().instances.flatMap(\.ipConfigurations).count == 2)
        }
    }

    @Test func `references of an instance are checked`() async throws {
        try await withSimulator { _, client in
            try await prepare(client)
            let noPrefix = try await putInstance(client, "0") { withEgress($0, prefix: "none") }
            #expect(noPrefix.first.status == 400 && noPrefix.first.code == "InvalidResourceReference")
            let twoPrimaries = try await putInstance(client, "0") { configurations in
                var interface = configurations?.elements.first ?? [:]
                var children = interface["properties.ipConfigurations"]?.elements ?? []
                children.append(children[0])
                children[1]["name"] = "second"
                interface["properties.ipConfigurations"] = .array(children)
                return [interface]
            }
            #expect(twoPrimaries.first.status == 400 && twoPrimaries.first.code == "InvalidParameter")
            let letters = try await client.call(
                "GET", "\(Client.scaleSet)/virtualMachines/zero", version: Client.computeVersion)
            #expect(letters.status == 400 && letters.body?["error.target"]?.text == "instanceId")
        }
    }

    @Test func `more instances than the prefix has addresses is refused on the model`() async throws {
        try await withSimulator(.test(computerNames: ["a", "b", "c"])) { _, client in
            try await prepare(client)
            let model = try await putModel(client) { withEgress($0) }
            #expect(model.first.status == 400)
            #expect(model.first.code == "PublicIpPrefixOutOfIpAddressesForVMScaleSet")
        }
    }

    @Test func `a full subnet fails the operation and marks the instance`() async throws {
        // A /29 has three usable addresses: two instances and the frontend take them all.
        try await withSimulator(.test(subnet: "10.243.0.0/29")) { simulator, client in
            try await prepare(client)
            let (first, last) = try await putInstance(client, "0") { withEgress($0) }
            #expect(first.status == 200)
            #expect(last?.body?["status"]?.text == "Failed")
            #expect(last?.body?["error.code"]?.text == "SubnetIsFull")
            let instance = try await client.call(
                "GET", "\(Client.scaleSet)/virtualMachines/0", version: Client.computeVersion)
            #expect(instance.body?["properties.provisioningState"]?.text == "Failed")
            #expect(await simulator.snapshot().instances.first?.ipConfigurations.count == 1)
        }
    }
}
