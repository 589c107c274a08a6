import AzureTestSupport
import Foundation
import JSONModel
import Testing

@testable import Lab

/// Holds the simulator's own description against the generated schemas and the recorded exchanges.
///
/// Skipped where `../shared/azure` does not exist: the description must stand without it.
@Suite(.enabled(if: SharedAzure.exists, "../shared/azure is not on this machine"))
struct DescriptionTests {
    private func schema(_ provider: ARMProvider) throws -> [String: JSONValue] {
        let name = provider == .network ? "network" : "compute"
        return try SharedAzure.file("schemas/\(name)-\(provider.apiVersion).schema.json")["$defs"]?.members ?? [:]
    }

    @Test(arguments: [ARMProvider.network, .compute])
    func `every model and member is in the schema with the same type, and none is missing`(
        provider: ARMProvider
    ) throws {
        let models = try schema(provider)
        let known = ARMDescription.models(of: provider)
        #expect(known.count >= 13)
        for (name, members) in known {
            let model = try #require(models[name], "\(name) is not in the schema")
            let properties = model["properties"]?.members ?? [:]
            #expect(Set(members.map(\.name)) == Set(properties.keys), "members of \(name)")
            let required = Set((model["required"]?.elements ?? []).compactMap(\.text))
            #expect(Set(members.filter(\.isRequired).map(\.name)) == required, "required members of \(name)")
            for member in members {
                let property = try #require(properties[member.name])
                #expect(member.isReadOnly == (property["readOnly"]?.bool ?? false), "\(name).\(member.name)")
                #expect(agrees(member.type, property, known: known), "type of \(name).\(member.name)")
            }
        }
    }

    private func agrees(_ type: ARMType, _ property: JSONValue, known: [String: [ARMMember]]) -> Bool {
        switch type {
        case .string: property["type"] == "string" && property["enum"] == nil
        case .integer: property["type"] == "integer"
        case .boolean: property["type"] == "boolean"
        case .enumeration(let values): property["enum"]?.elements.compactMap(\.text) == values
        case .object(let model): property["$ref"]?.text == "#/$defs/\(model)" && known[model] != nil
        case .reference(let model): property["$ref"]?.text == "#/$defs/\(model)"
        case .opaque(let model): property["$ref"]?.text == "#/$defs/\(model)" && known[model] == nil
        case .array(let element):
            property["type"] == "array" && property["items"].map { agrees(element, $0, known: known) } == true
        case .tags: property["type"] == "object" && property["additionalProperties.type"] == "string"
        }
    }

    @Test func `path, version, query and body of every operation are those of the operations table`() throws {
        let rows = try SharedAzure.file("schemas/operations.json")["operations"]?.elements ?? []
        let known = Dictionary(rows.map { ($0["operationId"]?.text ?? "", $0) }) { first, _ in first }
        let served = ARMOperation.networkOperations + ARMOperation.computeOperations
        #expect(Set(served.map(\.handler)) == Set(ARMHandler.allCases))
        #expect(ARMOperation.byKey.count == served.count)
        for operation in served {
            let name = operation.handler.rawValue
            let row = try #require(known[name], "\(name) is not in the table")
            let scope = operation.isSubscriptionWide ? "" : "/resourceGroups/{}"
            let path = "/subscriptions/{}\(scope)/providers/\(operation.provider.rawValue)/\(operation.path)"
            let wanted = (row["path"]?.text ?? "").replacing(/\{[A-Za-z]+\}/, with: "{}")
            #expect(path.lowercased() == wanted.lowercased(), "\(name)")
            #expect(operation.method == row["method"]?.text, "\(name)")
            #expect(operation.apiVersion == row["apiVersion"]?.text, "\(name)")
            #expect(operation.query == (row["optionalQuery"]?.elements ?? []).compactMap(\.text), "\(name)")
            #expect(operation.body == row["requestBody"]?.text, "\(name)")
            if let model = operation.body { #expect(ARMDescription.models(of: operation.provider)[model] != nil) }
        }
    }

    /// Recorded request bodies of our resources. Which of them this simulator refuses, and why, is a closed list.
    @Test func `recorded request bodies are accepted, or refused for a listed reason`() async throws {
        let listed: [String: String] = [
            // The recording fronts the load balancer with a public address; this simulator has internal ones only.
            "loadBalancers": "OperationNotSupported",
            // The recording made the network interface before; alone, the machine names one that is not there.
            "virtualMachines": "InvalidResourceReference",
        ]
        var refused = Set<String>()
        for (file, provider, model) in [
            ("loadBalancers", ARMProvider.network, "LoadBalancer"), ("publicIPPrefixes", .network, "PublicIPPrefix"),
            ("virtualMachineScaleSets", .compute, "VirtualMachineScaleSet"),
            ("virtualMachineScaleSetVMs", .compute, "VirtualMachineScaleSetVM"),
            ("publicIPAddresses", .network, "PublicIPAddress"), ("networkInterfaces", .network, "Interface"),
            ("virtualMachines", .compute, "VirtualMachine"),
        ] {
            let collection = model == "VirtualMachineScaleSetVM" ? "virtualMachines" : file
            for exchange in try SharedAzure.exchanges(file)
            where exchange.method == "PUT" && exchange.url.contains("/\(collection)/") {
                let body = try #require(exchange.requestBody)
                #expect(throws: Never.self, "\(file)") {
                    _ = try ARMValidator(provider: provider).accept(body, as: model)
                }
                let answer = try await replayOne(exchange)
                if answer.status >= 400, answer.status != 412 {
                    #expect(answer.code == listed[file], "\(file): \(String(describing: answer.body))")
                    refused.insert(file)
                }
            }
        }
        #expect(refused == Set(listed.keys))
    }

    /// Sends one recorded request to a fresh simulator of the recording's names.
    private func replayOne(_ exchange: SharedAzure.Exchange) async throws -> ARMTestAnswer {
        let result = Box<ARMTestAnswer>()
        try await withSimulator(try recordedConfiguration(exchange)) { _, client in
            await result.set(
                try await client.call(
                    exchange.method, exchange.url, body: exchange.requestBody, headers: exchange.requestHeaders))
        }
        return try #require(await result.value)
    }

    private func recordedConfiguration(
        _ exchange: SharedAzure.Exchange
    ) throws -> AzureSimulator.Configuration {
        let parts = exchange.url.split(separator: "/").map(String.init)
        let isCompute = exchange.url.contains("Microsoft.Compute")
        let isInterface = exchange.url.contains("aks-cit-Interface")
        let network =
            isInterface
            ? AzureSimulator.VirtualNetwork(
                name: "testVnet", addressPrefix: "10.0.0.0/16",
                subnets: [.init(name: "testSubnet", addressPrefix: "10.0.0.0/24")])
            : AzureSimulator.VirtualNetwork(
                name: "vnet1", addressPrefix: "10.1.0.0/16",
                subnets: [.init(name: "subnet1", addressPrefix: "10.1.0.0/24")])
        return AzureSimulator.Configuration(
            subscription: parts[1], resourceGroup: parts[3],
            location: isCompute || exchange.url.contains("aks-cit-VirtualMachine") ? "eastus2" : "eastus",
            virtualNetwork: network,
            scaleSets: isInterface
                ? []
                : [.init(name: "testParentResource", tags: [:], computerNames: ["vmss000000"], subnet: "subnet1")],
            latencies: .uniform(.milliseconds(20)), seed: 1)
    }

    /// Members of an instance that this simulator does not model: disks, times and deletion resilience.
    private static let unmodelled: Set<String> = ["storageProfile", "timeCreated", "resilientVMDeletionStatus"]

    @Test(arguments: [
        "publicIPPrefixes", "publicIPAddresses", "networkInterfaces", "virtualMachineScaleSetVMs", "virtualMachines",
    ])
    func `a whole recording replayed gives the same answers`(file: String) async throws {
        let exchanges = try SharedAzure.exchanges(file).filter { exchange in
            // The networks around a resource are there from the start; what an instance view tells beyond power and
            // provisioning is not modelled.
            !exchange.url.contains("/virtualNetworks/")
                && (exchange.status != 200 || !exchange.url.contains("/instanceView"))
                && (file != "virtualMachineScaleSetVMs" || exchange.url.contains("/virtualMachines"))
        }
        try await withSimulator(
            try recordedConfiguration(
                try #require(exchanges.first { $0.url.contains("/resourceGroups/") }))
        ) { _, client in
            var operation: String?
            for (index, exchange) in exchanges.enumerated() {
                let comment = Comment(rawValue: "\(file) step \(index): \(exchange.method) \(exchange.url)")
                if exchange.url.contains("/operations/") { continue }
                let answer = try await client.call(
                    exchange.method, exchange.url, body: exchange.requestBody, headers: exchange.requestHeaders)
                #expect(answer.status == exchange.status, comment)
                #expect(answer.code == exchange.body?["error.code"]?.text, comment)
                for header in ["azure-asyncoperation", "location", "etag", "x-ms-failure-cause"] {
                    #expect((answer.headers[header] != nil) == (exchange.headers[header] != nil), comment)
                }
                let (ours, recorded) = (memberNames(answer.body), memberNames(exchange.body))
                #expect(ours.subtracting(Self.unmodelled) == recorded.subtracting(Self.unmodelled), comment)
                operation = answer.headers["azure-asyncoperation"]
                if let operation { try await finish(operation, client, comment) }
            }
            #expect(operation != nil || file != "publicIPPrefixes")
        }
    }

    private func finish(_ operation: String, _ client: ARMTestClient, _ comment: Comment) async throws {
        for _ in 0..<200 {
            if try await client.call("GET", operation).body?["status"] == "Succeeded" { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("the operation did not succeed: \(comment)")
    }

    /// The names of the members of a resource and of its properties; of a list, those of its first element.
    private func memberNames(_ body: JSONValue?) -> Set<String> {
        guard let body else { return [] }
        let resource = body["value"]?.elements.first ?? body
        return Set(resource.members?.keys.map(\.self) ?? [])
            .union(resource["properties"]?.members?.keys.map(\.self) ?? [])
    }
}

/// A value carried out of a `@Sendable` closure.
private actor Box<Value: Sendable> {
    private(set) var value: Value?
    func set(_ value: Value) { self.value = value }
}
