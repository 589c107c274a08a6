import AzureARM
import AzureTestSupport
import JSONModel
import ProviderKit
import Testing

@testable import AzureVMSSProvider

private let backendPool = ResourceID(
    subscription: "s", resourceGroup: "g", provider: "Microsoft.Network",
    path: ["loadBalancers", "lb", "backendAddressPools", "pool-1"])
private let subnet = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/gw"
private let editor = InterfaceEditor(backendPool: backendPool)

private func prefix(_ name: String) -> ResourceID {
    ResourceID(
        subscription: "s", resourceGroup: "g", provider: "Microsoft.Network", path: ["publicIPPrefixes", name])
}

private func wanted(_ uid: String, public isPublic: Bool = true) -> WantedAddress {
    WantedAddress(
        name: "egressgateway-\(uid)", publicAddress: isPublic ? .prefix(prefix("egressgateway-\(uid)")) : nil)
}

/// Two NICs; the second is primary and carries somebody else's secondary ipConfiguration and pool.
private let start: [JSONValue] = [
    ["name": "storage", "properties": ["ipConfigurations": [["name": "s1", "properties": ["primary": true]]]]],
    [
        "name": "nic", "tags": ["kept": "yes"],
        "properties": [
            "primary": true, "enableIPForwarding": true,
            "ipConfigurations": [
                [
                    "name": "ipconfig1",
                    "properties": [
                        "primary": true, "subnet": ["id": .string(subnet)],
                        "loadBalancerBackendAddressPools": [["id": "/subscriptions/s/other"]],
                    ],
                ],
                ["name": "pods", "properties": ["primary": false, "subnet": ["id": .string(subnet)]]],
            ],
        ],
    ],
]

private func children(_ configurations: [JSONValue]) -> [JSONValue] {
    configurations[1]["properties.ipConfigurations"]?.elements ?? []
}

private func pools(_ configurations: [JSONValue]) -> [JSONValue] {
    children(configurations)[0]["properties.loadBalancerBackendAddressPools"]?.elements ?? []
}

@Suite struct InterfaceEditorTests {
    @Test func `an ipConfiguration has exactly the Go system's shape`() throws {
        let result = try editor.edit(start, wanted: [wanted("u1")], unwanted: [])
        let expected: JSONValue = [
            "name": "egressgateway-u1",
            "properties": [
                "primary": false, "privateIPAddressVersion": "IPv4", "subnet": ["id": .string(subnet)],
                "publicIPAddressConfiguration": [
                    "name": "egressgateway-u1",
                    "properties": ["publicIPPrefix": ["id": .string(prefix("egressgateway-u1").description)]],
                ],
            ],
        ]
        #expect(children(result).last == expected)
        #expect(pools(result) == [["id": "/subscriptions/s/other"], ["id": .string(backendPool.description)]])
    }

    @Test func `in private mode there is no public address`() throws {
        let result = try editor.edit(start, wanted: [wanted("u1", public: false)], unwanted: [])
        #expect(children(result).last?["properties.publicIPAddressConfiguration"] == nil)
    }

    @Test func `a second pass changes nothing, also after Azure filled in its defaults`() throws {
        var once = try editor.edit(start, wanted: [wanted("u1"), wanted("u2")], unwanted: [])
        #expect(try editor.edit(once, wanted: [wanted("u2"), wanted("u1")], unwanted: []) == once)
        var filled = children(once)
        filled[2]["properties.publicIPAddressConfiguration.properties.idleTimeoutInMinutes"] = 4
        filled[2]["properties.publicIPAddressConfiguration.properties.publicIPPrefix.id"] = .string(
            prefix("egressgateway-u1").description.uppercased())
        once[1]["properties.ipConfigurations"] = .array(filled)
        #expect(try editor.edit(once, wanted: [wanted("u1")], unwanted: []) == once)
    }

    @Test func `the pool leaves with the last ipConfiguration of ours; foreign ones stay`() throws {
        let both = try editor.edit(start, wanted: [wanted("u1"), wanted("u2")], unwanted: [])
        let one = try editor.edit(both, wanted: [], unwanted: ["egressgateway-u1"])
        #expect(children(one).map { $0["name"] } == ["ipconfig1", "pods", "egressgateway-u2"])
        #expect(pools(one).count == 2)
        #expect(try editor.edit(one, wanted: [], unwanted: ["EGRESSGATEWAY-U2"]) == start)
    }

    @Test(arguments: ["prefix", "subnet", "primary", "mode"])
    func `what differs is put right`(difference: String) throws {
        var changed = try editor.edit(start, wanted: [wanted("u1")], unwanted: [])
        let good = changed
        var list = children(changed)
        let publicAddress = "properties.publicIPAddressConfiguration"
        switch difference {
        case "prefix":
            list[2]["\(publicAddress).properties.publicIPPrefix.id"] = .string(prefix("other").description)
        case "subnet": list[2]["properties.subnet.id"] = .string(subnet + "2")
        case "primary":
            list[2]["properties.primary"] = true
        default: list[2][publicAddress] = nil
        }
        changed[1]["properties.ipConfigurations"] = .array(list)
        #expect(try editor.edit(changed, wanted: [wanted("u1")], unwanted: []) == good)
    }

    @Test func `stripped ipConfigurations come back`() throws {
        let good = try editor.edit(start, wanted: [wanted("u1"), wanted("u2")], unwanted: [])
        #expect(try editor.edit(start, wanted: [wanted("u1"), wanted("u2")], unwanted: []) == good)
    }

    @Test func `without a primary NIC or ipConfiguration there is nothing to build on`() {
        #expect(throws: ProviderError.self) { _ = try editor.edit([], wanted: [wanted("u")], unwanted: []) }
        var broken = start
        broken[1]["properties.ipConfigurations"] = []
        #expect(throws: ProviderError.self) { _ = try editor.edit(broken, wanted: [wanted("u")], unwanted: []) }
    }

    @Test func `addresses are read from the primary NIC`() {
        let node = PoolNode(
            name: "n", resource: "r",
            interfaces: [
                [
                    "properties": [
                        "primary": true,
                        "ipConfigurations": [
                            ["name": "a", "properties": ["primary": true, "privateIPAddress": "10.0.0.4"]],
                            ["name": "Egressgateway-u", "properties": ["privateIPAddress": "10.0.0.7"]],
                            ["name": "egressgateway-v", "properties": ["primary": false]],
                        ],
                    ]
                ],
                ["properties": ["ipConfigurations": [["name": "b", "properties": ["privateIPAddress": "10.9.9.9"]]]]],
            ])
        #expect(
            node.node(for: "u")
                == .init(nodeName: "n", primaryIP: "10.0.0.4", secondaryIP: "10.0.0.7"))
        #expect(node.node(for: "v") == nil)
        #expect(!node.hasAddresses(["b"]))
    }
}

/// What is wrong with a prefix that a user brings.
enum PrefixRefusal {
    static func of(_ body: JSONValue, id: String) throws -> ProviderError? {
        let cloud = try CloudConfiguration(pluginConfiguration: pluginConfiguration(endpoint: "http://127.0.0.1:1"))
        let request = try PrefixRequest(desired("u", prefixID: id), poolLength: 31, cloud: cloud)
        let parsed = try #require(ResourceID(id))
        do {
            _ = try request.accept(body, parsed, location: cloud.location)
            return nil
        } catch {
            return ProviderError(error)
        }
    }
}
