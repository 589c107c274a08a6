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
private let poolID = "5f1b9f86-5f5c-4c3b-9a55-0d5a0c6a7e11"

/// A UID as Kubernetes makes them.
private func uid(_ number: Int) -> String {
    let digits = String(number)
    return "00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
}

private func item(_ number: Int) -> LoadBalancerItem {
    LoadBalancerItem(id: uid(number), poolID: poolID, probe: .init(path: "/gw/\(uid(number))", port: 8082))
}

/// A load balancer with these configurations, as Azure answers it.
private func loadBalancer(_ items: [LoadBalancerItem]) throws -> JSONValue {
    guard case .write(var body) = editor.ensure(items, in: nil).action else {
        throw ProviderError(.terminal, "nothing was written")
    }
    let frontends = (body["properties.frontendIPConfigurations"]?.elements ?? []).map { frontend -> JSONValue in
        var frontend = frontend
        frontend["id"] = .string(lb.child("frontendIPConfigurations", frontend["name"]?.text ?? "").description)
        frontend["properties.privateIPAddress"] = "10.0.0.9"
        return frontend
    }
    body["properties.frontendIPConfigurations"] = .array(frontends)
    return body
}

private func children(_ body: JSONValue, _ collection: String) -> [JSONValue] {
    body["properties.\(collection)"]?.elements ?? []
}

private func names(_ body: JSONValue, _ collection: String) -> [String] {
    children(body, collection).compactMap { $0["name"]?.text }
}

/// Sets one member of the first child of a collection.
private func changing(
    _ body: JSONValue, _ collection: String, _ member: String, to value: JSONValue?
) -> JSONValue {
    var body = body
    var all = children(body, collection)
    all[0][member] = value
    body["properties.\(collection)"] = .array(all)
    return body
}

@Suite struct LoadBalancerCompareTests {
    @Test func `what ensure would leave alone has no drift`() throws {
        let body = try loadBalancer([item(1), item(2)])
        #expect(editor.compare([item(1), item(2)], with: body) == LoadBalancerComparison())
    }

    /// Each line names resource, property, what was found and what is wanted; and where there is a line, ensure writes.
    @Test(
        arguments: [
            (
                "loadBalancingRules", "properties.enableFloatingIP", JSONValue.bool(false),
                "loadBalancers/lb/loadBalancingRules/\(uid(1)): properties.enableFloatingIP is false; wanted: true"
            ),
            (
                "loadBalancingRules", "properties.protocol", "Tcp",
                "loadBalancers/lb/loadBalancingRules/\(uid(1)): properties.protocol is \"Tcp\"; wanted: \"Udp\""
            ),
            (
                "loadBalancingRules", "properties.loadDistribution", "SourceIP",
                "loadBalancers/lb/loadBalancingRules/\(uid(1)): properties.loadDistribution is \"SourceIP\"; "
                    + "wanted: \"Default\""
            ),
            (
                "loadBalancingRules", "properties.probe", .null,
                "loadBalancers/lb/loadBalancingRules/\(uid(1)): properties.probe.id is absent; "
                    + "wanted: \"\(lb)/probes/\(uid(1))\""
            ),
            (
                "probes", "properties.requestPath", "/healthz",
                "loadBalancers/lb/probes/\(uid(1)): properties.requestPath is \"/healthz\"; wanted: \"/gw/\(uid(1))\""
            ),
            (
                "probes", "properties.intervalInSeconds", 15,
                "loadBalancers/lb/probes/\(uid(1)): properties.intervalInSeconds is 15; wanted: 5"
            ),
        ] as [(String, String, JSONValue, String)])
    func aChangedPropertyIsNamed(collection: String, member: String, value: JSONValue, line: String) throws {
        let body = changing(try loadBalancer([item(1), item(2)]), collection, member, to: value)
        let found = editor.compare([item(1), item(2)], with: body)
        #expect(found == LoadBalancerComparison(drift: [uid(1): [line]]))
        #expect(editor.ensure([item(1), item(2)], in: body).action != .keep)
    }

    @Test func `ports that are not ours are named with the one they will get`() throws {
        var body = changing(try loadBalancer([item(1)]), "loadBalancingRules", "properties.backendPort", to: 53)
        let name = "loadBalancers/lb/loadBalancingRules/\(uid(1))"
        #expect(
            editor.compare([item(1)], with: body).drift == [
                uid(1): [
                    "\(name): properties.frontendPort is 6000; wanted: 6000",
                    "\(name): properties.backendPort is 53; wanted: 6000",
                ]
            ])
        body["properties.loadBalancingRules"] = []
        let lost = editor.compare([item(1)], with: body)
        #expect(lost.drift == [uid(1): ["\(name): is missing; wanted: UDP port 6000 with floating IP"]])
    }

    @Test func `without a load balancer all is missing`() {
        let lines = editor.compare([item(1)], with: nil).drift[uid(1)]
        #expect(
            lines == [
                "loadBalancers/lb: is missing; wanted: SKU Standard in here",
                "loadBalancers/lb/frontendIPConfigurations/\(poolID): is missing; "
                    + "wanted: a private IPv4 address of subnet gw",
                "loadBalancers/lb/backendAddressPools/\(poolID): is missing; wanted: a pool of that name",
                "loadBalancers/lb/loadBalancingRules/\(uid(1)): is missing; wanted: UDP port 6000 with floating IP",
                "loadBalancers/lb/probes/\(uid(1)): is missing; wanted: HTTP port 8082, path /gw/\(uid(1))",
            ])
    }

    @Test func `what ensure could not mend is a failure, with the drift beside it`() throws {
        let full = try loadBalancer((0..<1000).map(item))
        let found = editor.compare([item(1000), item(3)], with: full)
        #expect(found.failures[uid(1000)]?.reason == "LoadBalancerFull")
        #expect(found.drift[uid(1000)]?.count == 2 && found.drift[uid(3)] == nil)
    }
}

@Suite struct LoadBalancerPruneTests {
    @Test func `only so many go at once, and the rest is named`() throws {
        let body = try loadBalancer((0..<15).map(item))
        let kept = Set([uid(0), uid(7)])
        let prune = editor.prune(keeping: kept, limit: 10, in: body)
        #expect(prune.removed == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11].map(uid))
        #expect(prune.left == [12, 13, 14].map(uid))
        guard case .write(let after) = prune.action else {
            Issue.record("nothing was written")
            return
        }
        #expect(names(after, "loadBalancingRules") == [0, 7, 12, 13, 14].map(uid))
        #expect(names(after, "probes") == names(after, "loadBalancingRules"))
        #expect(names(after, "frontendIPConfigurations") == [poolID])
        #expect(editor.prune(keeping: Set((0..<15).map(uid)), limit: 10, in: body) == LoadBalancerPrune())
        let none = editor.prune(keeping: kept, limit: 0, in: body)
        #expect(none.action == .keep && none.left.count == 13)
    }

    @Test func `what is not provably ours stays`() throws {
        var body = try loadBalancer([item(1)])
        var foreign = children(body, "loadBalancingRules")[0]
        foreign["name"] = "web"
        var odd = foreign
        odd["name"] = .string(uid(900))
        odd["properties.protocol"] = "Tcp"
        odd["properties.probe"] = nil
        var probe = children(body, "probes")[0]
        probe["name"] = "web"
        var path = probe
        path["name"] = .string(uid(901))
        path["properties.requestPath"] = "/gw/live"
        body["properties.loadBalancingRules"] = .array(children(body, "loadBalancingRules") + [foreign, odd])
        body["properties.probes"] = .array(children(body, "probes") + [probe, path])
        let prune = editor.prune(keeping: [], limit: 10, in: body)
        #expect(prune.removed == [uid(1)] && prune.left == [])
        guard case .write(let after) = prune.action else {
            Issue.record("nothing was written")
            return
        }
        #expect(names(after, "loadBalancingRules") == ["web", uid(900)])
        #expect(names(after, "probes") == ["web", uid(901)])
        #expect(names(after, "frontendIPConfigurations") == [poolID])
    }

    @Test func `a lone rule and a lone probe of ours go, and the load balancer with its last frontend`() throws {
        var body = try loadBalancer([item(1), item(2)])
        body["properties.probes"] = .array([children(body, "probes")[0]])
        body["properties.loadBalancingRules"] = .array([children(body, "loadBalancingRules")[1]])
        let prune = editor.prune(keeping: [], limit: 10, in: body)
        #expect(Set(prune.removed) == [uid(1), uid(2)])
        #expect(prune.action == .delete)
    }

    @Test func `a pool that nodes are in stays with its frontend`() throws {
        let joined = changing(
            try loadBalancer([item(1)]), "backendAddressPools", "properties.backendIPConfigurations",
            to: [["id": "/x"]])
        guard case .write(let after) = editor.prune(keeping: [], limit: 10, in: joined).action else {
            Issue.record("nothing was written")
            return
        }
        #expect(names(after, "backendAddressPools") == [poolID] && names(after, "loadBalancingRules") == [])
    }

    @Test func `names are compared without case`() throws {
        let name = "ABCDEF00-0000-4000-8000-000000000001"
        let upper = LoadBalancerItem(id: name, poolID: poolID, probe: .init(path: "/gw/\(name)", port: 8082))
        let body = try loadBalancer([upper])
        #expect(editor.prune(keeping: [name.lowercased()], limit: 10, in: body) == LoadBalancerPrune())
        #expect(Names.isUUID(name))
        for text in ["", "uid-1", "ABCDEF00-0000-4000-8000-00000000000", "GBCDEF00-0000-4000-8000-000000000001"] {
            #expect(!Names.isUUID(text), "\(text)")
        }
    }
}
