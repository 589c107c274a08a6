import AzureTestSupport
import Foundation
import JSONModel
import Testing

@testable import Lab

private typealias Client = ARMTestClient

/// Holds what the simulator answers against the generated schemas: every member is one of the model, of its type, and
/// what the model requires is there.
@Suite(.enabled(if: SharedAzure.exists, "../shared/azure is not on this machine"))
struct AnswerSchemaTests {
    /// Members that recorded traffic has and the models lack; of the cloud metadata only what clients read is listed.
    private static let unlisted: Set<String> = [
        "kind", "properties.allowPort25Out", "[].authentication.tenant", "[].authentication.identityProvider",
    ]

    private func faults(
        _ value: JSONValue, _ schema: JSONValue, _ models: [String: JSONValue], path: String = ""
    ) -> [String] {
        if let name = schema["$ref"]?.text?.split(separator: "/").last.map(String.init) {
            guard let model = models[name] else { return ["\(path): no model \(name)"] }
            return faults(value, model, models, path: path)
        }
        if let constant = schema["const"] { return value == constant ? [] : ["\(path): not \(constant)"] }
        // A list of types is one type and null.
        let types = schema["type"]?.text.map { [$0] } ?? (schema["type"]?.elements ?? []).compactMap(\.text)
        guard let type = types.first(where: { $0 != "null" }) else { return [] }
        switch (type, value) {
        case ("object", .object(let members)):
            var found = (schema["required"]?.elements ?? []).compactMap(\.text).filter { members[$0] == nil }
                .map { "\(path): \($0) is missing" }
            guard let properties = schema["properties"]?.members else { return found }
            for (name, child) in members {
                let position = path.isEmpty ? name : "\(path).\(name)"
                if let property = properties[name] {
                    found += faults(child, property, models, path: position)
                } else if !Self.unlisted.contains(position) {
                    found.append("\(position): not a member")
                }
            }
            return found
        case ("array", .array(let elements)):
            return elements.flatMap { faults($0, schema["items"] ?? [:], models, path: "\(path)[]") }
        case ("string", .string(let text)):
            let allowed = schema["enum"]?.elements.compactMap(\.text)
            return allowed?.contains(text) == false ? ["\(path): \(text) is none of the enumeration"] : []
        case ("integer", .integer), ("boolean", .bool), ("number", .integer), ("number", .number): return []
        default: return ["\(path): \(value.kind) instead of \(type)"]
        }
    }

    private func models(_ file: String) throws -> [String: JSONValue] {
        try SharedAzure.file("schemas/\(file).schema.json")["$defs"]?.members ?? [:]
    }

    /// A subscription in which every kind of resource is in use.
    private func bench() throws -> Bench {
        var bench = try Bench(
            .test(
                latency: .zero,
                identity: .init(userAssigned: [.init(clientID: "c", objectID: "o", resourceID: "/r")]),
                machinePools: [.test], metadata: .init(computerName: "gateway-1")))
        let prefix = "\(Client.network)/publicIPPrefixes/egressgateway-1"
        _ = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .zero)
        _ = bench.call("PUT", prefix, body: prefixBody(length: 30), at: .zero)
        let address: JSONValue = [
            "location": "labregion", "sku": ["name": "Standard"],
            "properties": ["publicIPPrefix": ["id": .string(prefix)]],
        ]
        _ = bench.call("PUT", "\(Client.network)/publicIPAddresses/a", body: address, at: .zero)
        let path = "\(Client.scaleSet)/virtualMachines/0"
        let networks = "properties.networkProfileConfiguration.networkInterfaceConfigurations"
        var update: JSONValue = [:]
        update[networks] = withEgress(bench.call("GET", path, at: .zero).body?[networks])
        #expect(bench.call("PUT", path, body: update, at: .zero).status == 200)
        bench.state.advance(to: .seconds(1))
        return bench
    }

    @Test(arguments: [
        (Client.loadBalancer, "LoadBalancer"), ("\(Client.network)/publicIPPrefixes/egressgateway-1", "PublicIPPrefix"),
        ("\(Client.network)/publicIPAddresses/a", "PublicIPAddress"),
        ("\(Client.networkInterfaces)/vm-1-nic", "Interface"),
        ("\(Client.network)/virtualNetworks/kegw-vnet", "VirtualNetwork"), (Client.gatewaysSubnet, "Subnet"),
        ("\(Client.scaleSet)/virtualMachines/0/networkInterfaces/gateways?api-version=2018-10-01", "Interface"),
        (Client.scaleSet, "VirtualMachineScaleSet"),
        ("\(Client.scaleSet)/instanceView", "VirtualMachineScaleSetInstanceView"),
        ("\(Client.scaleSet)/virtualMachines/0?$expand=instanceView", "VirtualMachineScaleSetVM"),
        ("\(Client.machines)/vm-1?$expand=instanceView", "VirtualMachine"),
        ("\(Client.machines)/vm-1/instanceView", "VirtualMachineInstanceView"),
    ])
    func `an answer has no member that its model lacks`(path: String, model: String) throws {
        var bench = try bench()
        let answer = bench.call("GET", path, at: .seconds(1))
        #expect(answer.status == 200)
        let isNetwork = path.contains("Microsoft.Network") || path.contains("networkInterfaces")
        let models = try models(isNetwork ? "network-2025-05-01" : "compute-2025-04-01")
        let schema: JSONValue = ["$ref": .string("#/$defs/\(model)")]
        #expect(faults(try #require(answer.body), schema, models) == [])
    }

    @Test(arguments: [
        ("/metadata/instance?api-version=2021-10-01", "imds", "InstanceMetadata"),
        ("/metadata/loadbalancer?api-version=2020-10-01", "imds", "LoadBalancerMetadata"),
        ("/metadata/instance", "imds", "MissingVersionError"),
        (
            "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=x", "common",
            "ManagedIdentityTokenResponse"
        ), ("/metadata/identity/oauth2/token?api-version=2018-02-01", "common", "ManagedIdentityError"),
    ])
    func `metadata has no member that the document lacks`(path: String, file: String, model: String) throws {
        var bench = try bench()
        let body = try #require(bench.metadata(path, at: .seconds(1)).body)
        #expect(faults(body, ["$ref": .string("#/$defs/\(model)")], try models(file)) == [])
    }

    @Test func `tokens, refusals and operations have the common shapes`() throws {
        var bench = try bench()
        let models = try models("common")
        func check(_ body: JSONValue?, _ model: String) throws {
            #expect(faults(try #require(body), ["$ref": .string("#/$defs/\(model)")], models) == [], "\(model)")
        }
        try check(bench.signIn(["client_secret": "lab-secret"], at: .seconds(1)).body, "TokenResponse")
        try check(bench.signIn(["client_secret": "wrong"], at: .seconds(1)).body, "TokenError")
        try check(bench.call("GET", "\(Client.network)/loadBalancers/none", at: .seconds(1)).body, "ErrorResponse")
        let stale = bench.call(
            "PUT", Client.loadBalancer, body: loadBalancerBody(), headers: ["if-match": "x"], at: .seconds(1))
        #expect(stale.status == 412)
        try check(stale.body, "ErrorResponse")
        let write = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .seconds(1))
        let poll = bench.call("GET", try #require(header(write, "Azure-AsyncOperation")), at: .seconds(2))
        try check(poll.body, "AsyncOperation")
        try check(bench.call("GET", "\(Client.machines)", at: .seconds(2)).body, "Page")
        try check(bench.call("GET", "/metadata/endpoints", at: .seconds(2)).body, "CloudMetadata")
    }
}
