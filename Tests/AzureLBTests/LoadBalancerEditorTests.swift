import AzureARM
import JSONModel
import ProviderKit
import Testing

@testable import AzureLBProvider

private let lb = ResourceID(
    subscription: "s", resourceGroup: "g", provider: "Microsoft.Network", path: ["loadBalancers", "lb"])
private let subnet = ResourceID(
    subscription: "s", resourceGroup: "g", provider: "Microsoft.Network",
    path: ["virtualNetworks", "v", "subnets", "gw"])
private let editor = LoadBalancerEditor(id: lb, location: "here", subnetID: subnet)

private func item(_ id: String, pool: String = "pool-1", path: String? = nil, port: Int = 8082) -> LoadBalancerItem {
    LoadBalancerItem(id: id, poolID: pool, probe: .init(path: path ?? "/gw/\(id)", port: port))
}

/// What Azure answers after a write: frontends have an address and an id.
private func answered(_ edit: LoadBalancerEdit) throws -> JSONValue {
    guard case .write(var body) = edit.action else { throw ProviderError(.terminal, "nothing was written") }
    let frontends = (body["properties.frontendIPConfigurations"]?.elements ?? []).map { frontend -> JSONValue in
        var frontend = frontend
        frontend["id"] = .string(lb.child("frontendIPConfigurations", frontend["name"]?.text ?? "").description)
        frontend["properties.privateIPAddress"] = "10.0.0.9"
        return frontend
    }
    body["properties.frontendIPConfigurations"] = .array(frontends)
    return body
}

private let uid = "0000000a-0000-4000-8000-000000000001"
private let poolUID = "0000000b-0000-4000-8000-000000000001"

private func rules(_ body: JSONValue) -> [JSONValue] { body["properties.loadBalancingRules"]?.elements ?? [] }

private func ports(_ body: JSONValue) -> [String: Int] {
    Dictionary(
        rules(body).map { ($0["name"]?.text ?? "", $0["properties.frontendPort"]?.int ?? -1) }
    ) { first, _ in first }
}

@Suite struct LoadBalancerEditorTests {
    @Test func `the first configuration makes exactly the Go system's load balancer`() throws {
        let edit = editor.ensure([item("uid-1")], in: nil)
        #expect(edit.addsFrontend && edit.failures.isEmpty)
        let expected: JSONValue = [
            "location": "here", "sku": ["name": "Standard", "tier": "Regional"],
            "properties": [
                "frontendIPConfigurations": [
                    [
                        "name": "pool-1",
                        "properties": [
                            "privateIPAddressVersion": "IPv4", "privateIPAllocationMethod": "Dynamic",
                            "subnet": ["id": .string(subnet.description)],
                        ],
                    ]
                ],
                "backendAddressPools": [["name": "pool-1", "properties": [:]]],
                "loadBalancingRules": [
                    [
                        "name": "uid-1",
                        "properties": [
                            "protocol": "Udp", "enableFloatingIP": true, "frontendPort": 6000, "backendPort": 6000,
                            "frontendIPConfiguration": ["id": .string("\(lb)/frontendIPConfigurations/pool-1")],
                            "backendAddressPool": ["id": .string("\(lb)/backendAddressPools/pool-1")],
                            "probe": ["id": .string("\(lb)/probes/uid-1")],
                        ],
                    ]
                ],
                "probes": [
                    [
                        "name": "uid-1",
                        "properties": [
                            "protocol": "Http", "port": 8082, "requestPath": "/gw/uid-1", "intervalInSeconds": 5,
                            "probeThreshold": 1,
                        ],
                    ]
                ],
            ],
        ]
        #expect(edit.action == .write(expected))
    }

    @Test func `a second pass changes nothing`() throws {
        let body = try answered(editor.ensure([item("a"), item("b")], in: nil))
        #expect(editor.ensure([item("b"), item("a")], in: body).action == .keep)
        #expect(
            editor.observe(["a", "b", "c"], in: body) == [
                "a": .init(frontendIP: "10.0.0.9", port: 6000), "b": .init(frontendIP: "10.0.0.9", port: 6001),
            ])
    }

    @Test func `ports are the lowest free ones of the pool, and pools do not disturb each other`() throws {
        var body = try answered(editor.ensure([item("a"), item("b"), item("c")], in: nil))
        guard case .write(let smaller) = editor.remove(["b"], poolIDs: [:], from: body).action else {
            Issue.record("b was not removed")
            return
        }
        body = try answered(editor.ensure([item("d"), item("e"), item("x", pool: "pool-2")], in: smaller))
        #expect(ports(body) == ["a": 6000, "c": 6002, "d": 6001, "e": 6003, "x": 6000])
    }

    @Test func `a rule that was changed is put right and keeps its port`() throws {
        var body = try answered(editor.ensure([item("a"), item("b")], in: nil))
        var changed = rules(body)
        changed[1]["properties.enableFloatingIP"] = false
        body["properties.loadBalancingRules"] = .array(changed)
        let after = try answered(editor.ensure([item("b")], in: body))
        #expect(ports(after) == ["a": 6000, "b": 6001])
        #expect(rules(after).allSatisfy { $0["properties.enableFloatingIP"] == true })
    }

    @Test func `a changed probe is replaced`() throws {
        let body = try answered(editor.ensure([item("a")], in: nil))
        let after = try answered(editor.ensure([item("a", port: 9000)], in: body))
        #expect(after["properties.probes"]?.elements.map { $0["properties.port"] } == [9000])
        #expect(rules(after) == rules(body))
    }

    @Test func `a full pool fails the new item alone`() throws {
        let full = (0..<1000).map { item("u\($0)") }
        let body = try answered(editor.ensure(full, in: nil))
        let edit = editor.ensure([item("one-more"), item("other", pool: "pool-2"), item("u5")], in: body)
        #expect(edit.failures.keys.map(\.self) == ["one-more"])
        #expect(edit.failures["one-more"]?.code == .terminal)
        let after = try answered(edit)
        #expect(ports(after)["other"] == 6000 && ports(after)["one-more"] == nil)
        #expect(!(after["properties.probes"]?.elements ?? []).contains { $0["name"] == "one-more" })
    }

    @Test func `a rule of the pool outside the port range is an error for new rules only`() throws {
        var body = try answered(editor.ensure([item("a")], in: nil))
        var changed = rules(body)
        changed.append(changed[0])
        changed[1]["name"] = "foreign"
        changed[1]["properties.frontendPort"] = 53
        changed[1]["properties.backendPort"] = 53
        body["properties.loadBalancingRules"] = .array(changed)
        let edit = editor.ensure([item("a"), item("b")], in: body)
        #expect(edit.failures.keys.map(\.self) == ["b"])
        #expect(edit.action == .keep)
    }

    @Test func `what is not ours survives every edit`() throws {
        var body = try answered(editor.ensure([item("a")], in: nil))
        body["tags"] = ["owner": "somebody"]
        body["unknownMember"] = ["x": 1]
        let foreignFrontend: JSONValue = ["name": "web", "properties": ["privateIPAddress": "10.0.0.8"]]
        let foreignRule: JSONValue = [
            "name": "web",
            "properties": [
                "protocol": "Tcp", "frontendPort": 443, "backendPort": 443,
                "frontendIPConfiguration": ["id": .string("\(lb)/frontendIPConfigurations/web")],
                "backendAddressPool": ["id": .string("\(lb)/backendAddressPools/web")],
            ],
        ]
        for (path, child) in [
            ("frontendIPConfigurations", foreignFrontend), ("loadBalancingRules", foreignRule),
            ("backendAddressPools", ["name": "web"]), ("probes", ["name": "web"]),
        ] as [(String, JSONValue)] {
            body["properties.\(path)"] = .array((body["properties.\(path)"]?.elements ?? []) + [child])
        }
        let added = try answered(editor.ensure([item("b")], in: body))
        guard case .write(let removed) = editor.remove(["a", "b"], poolIDs: [:], from: added).action else {
            Issue.record("the load balancer with a foreign rule must be kept")
            return
        }
        #expect(removed["tags.owner"] == "somebody" && removed["unknownMember.x"] == 1)
        for path in ["frontendIPConfigurations", "loadBalancingRules", "backendAddressPools", "probes"] {
            #expect(removed["properties.\(path)"]?.elements.map { $0["name"] } == ["web"], "\(path)")
        }
    }

    @Test func `the load balancer goes with its last frontend, and not before`() throws {
        let body = try answered(editor.ensure([item("a"), item("b"), item("x", pool: "pool-2")], in: nil))
        guard case .write(let one) = editor.remove(["a"], poolIDs: [:], from: body).action,
            case .write(let two) = editor.remove(["b"], poolIDs: [:], from: one).action
        else {
            Issue.record("the load balancer was not written")
            return
        }
        #expect(one["properties.frontendIPConfigurations"]?.elements.count == 2)
        #expect(two["properties.frontendIPConfigurations"]?.elements.map { $0["name"] } == ["pool-2"])
        #expect(editor.remove(["x"], poolIDs: [:], from: two).action == .delete)
        #expect(editor.remove(["unknown"], poolIDs: [:], from: body).action == .keep)
    }

    @Test(arguments: ["backendAddressPools", "probes", "loadBalancingRules", "inboundNatRules", "outboundRules"])
    func `a load balancer that somebody else uses stays, without what is ours`(collection: String) throws {
        var body = try answered(editor.ensure([item(uid, pool: poolUID)], in: nil))
        let theirs: JSONValue = ["name": "web"]
        body["properties.\(collection)"] = .array((body["properties.\(collection)"]?.elements ?? []) + [theirs])
        guard case .write(let after) = editor.remove([uid], poolIDs: [uid: poolUID], from: body).action else {
            Issue.record("it was not written")
            return
        }
        for path in ["frontendIPConfigurations", "backendAddressPools", "probes", "loadBalancingRules"] {
            #expect(after["properties.\(path)"]?.elements == (path == collection ? [theirs] : []), "\(path)")
        }
    }

    @Test func `a load balancer that was prepared and never used stays`() {
        let prepared: JSONValue = ["location": "here", "sku": ["name": "Standard"], "properties": [:]]
        #expect(editor.remove(["a"], poolIDs: ["a": "pool-1"], from: prepared).action == .keep)
        #expect(editor.prune(keeping: [], limit: 10, in: prepared) == LoadBalancerPrune())
    }

    @Test(arguments: [
        ("sku.name", "SKU", "Basic", "SKU Standard"), ("sku.tier", "tier", "Global", "tier Regional"),
        ("location", "region", "Elsewhere", "region here (cloudConfig.location)"),
    ])
    func `a load balancer that cannot serve is told before the first write`(
        path: String, found: String, value: String, wanted: String
    ) throws {
        var body = try answered(editor.ensure([item("a")], in: nil))
        body[path] = .string(value)
        let edit = editor.ensure([item("a"), item("b")], in: body)
        #expect(edit.action == .keep && Set(edit.failures.keys) == ["a", "b"])
        #expect(edit.failures["b"]?.code == .terminal && edit.failures["b"]?.reason == "LoadBalancerConflict")
        #expect(edit.failures["b"]?.message.contains("\(found) \(value); gateways need \(wanted)") == true)
        #expect(editor.compare([item("b")], with: body).failures.keys.sorted() == ["b"])
    }

    @Test func `a frontend whose rule was lost is found by its pool`() throws {
        var body = try answered(editor.ensure([item("a")], in: nil))
        body["properties.loadBalancingRules"] = []
        #expect(editor.remove(["a"], poolIDs: ["a": "pool-1"], from: body).action == .delete)
    }

    @Test func `names compare without case, as Azure does`() throws {
        var body = try answered(editor.ensure([item("uid")], in: nil))
        var changed = rules(body)
        changed[0]["properties.backendAddressPool.id"] = .string(
            "\(lb)/backendAddressPools/POOL-1".replacing("resourceGroups", with: "resourcegroups"))
        body["properties.loadBalancingRules"] = .array(changed)
        #expect(editor.ensure([item("uid")], in: body).action == .keep)
    }
}
