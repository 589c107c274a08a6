import AzureLBProvider
import AzureTestSupport
import Foundation
import JSONModel
import Lab
import ProviderKit
import Synchronization
import Testing

@testable import AzureARM

/// Somebody else edits the same resources at the same moment.
@Suite struct ConcurrencyTests {
    private func isLoadBalancerPUT(_ request: HTTPRequest) -> Bool {
        request.method == "PUT" && request.url.contains("/loadBalancers/")
    }

    @Test func `a foreign rule, pool and tag written between our read and our write survive`() async throws {
        try await withSimulator { simulator, client in
            let edits = Mutex(0)
            let host = LapseHost { request, _ in
                // Three edits, each in the moment before our write.
                guard isLoadBalancerPUT(request), edits.withLock({ $0 }) < 3 else { return nil }
                let number = edits.withLock { count in
                    count += 1
                    return count
                }
                try await addForeignParts("theirs-\(number)", to: client)
                return nil
            }
            let first = try CloudUnderTest(client.endpoint, host: LapseHost())
            #expect(try await first.frontend(["a"]).map(\.code) == [.ok])
            let cloud = try CloudUnderTest(client.endpoint, host: host)
            let results = try await cloud.frontend(["b", "c"])
            #expect(results.map(\.code) == [.ok, .ok], "\(results.compactMap(\.message))")
            let body = try await client.call(
                "GET", ARMTestClient.loadBalancer, version: ARMTestClient.networkVersion
            ).body
            let theirs = Set((1...3).map { "theirs-\($0)" })
            #expect(names("loadBalancingRules", in: body) == theirs.union(["lb-a", "lb-b", "lb-c"]))
            #expect(names("probes", in: body) == theirs.union(["lb-a", "lb-b", "lb-c"]))
            #expect(names("backendAddressPools", in: body).isSuperset(of: theirs))
            #expect(names("frontendIPConfigurations", in: body).isSuperset(of: theirs))
            let tags = Set((body?["tags"]?.members ?? [:]).keys)
            #expect(tags.isSuperset(of: theirs))
            // Our three refused writes did nothing: the service saw the conflicts.
            #expect(await simulator.audit()["LoadBalancers_CreateOrUpdate"]?.conflicts == 3)
            let puts = host.requests.filter(isLoadBalancerPUT)
            #expect(puts.count == 4 && puts.allSatisfy { $0.headers.contains { $0.name == "if-match" } })
            #expect(Set(puts.map { $0.headers.first { $0.name == "if-match" }?.value }).count == 4)
        }
    }

    @Test func `our removal leaves what others added at the same moment`() async throws {
        try await withSimulator { _, client in
            let once = Once()
            let host = LapseHost { request, _ in
                if isLoadBalancerPUT(request) || request.method == "DELETE", request.url.contains("/loadBalancers/"),
                    once.take()
                {
                    try await addForeignParts("theirs", to: client)
                }
                return nil
            }
            let first = try CloudUnderTest(client.endpoint, host: LapseHost())
            #expect(try await first.frontend(["a"]).map(\.code) == [.ok])
            let cloud = try CloudUnderTest(client.endpoint, host: host)
            // The last rule of ours: without the foreign one, the whole load balancer would go.
            let removed = try await cloud.balancer.remove(
                [PoolReference(id: "lb-a", pool: gatewayPool)], host.context())
            #expect(removed.map(\.code) == [.ok], "\(removed.compactMap(\.message))")
            let body = try await client.call(
                "GET", ARMTestClient.loadBalancer, version: ARMTestClient.networkVersion
            ).body
            #expect(names("loadBalancingRules", in: body) == ["theirs"])
            #expect(names("frontendIPConfigurations", in: body) == ["theirs"])
        }
    }

    /// AnotherOperationInProgress: their operation runs while ours is refused; we wait for its end and merge.
    @Test func `an operation of others is waited for, not written over`() async throws {
        try await withSimulator(.test(latency: .milliseconds(300))) { simulator, client in
            let first = try CloudUnderTest(client.endpoint, host: LapseHost())
            #expect(try await first.frontend(["a"]).map(\.code) == [.ok])
            let host = LapseHost(speed: 2)
            try await addForeignParts("theirs", to: client, waits: false)
            let cloud = try CloudUnderTest(client.endpoint, host: host)
            let results = try await cloud.frontend(["b"])
            #expect(results.map(\.code) == [.ok], "\(results.compactMap(\.message))")
            let body = try await client.call(
                "GET", ARMTestClient.loadBalancer, version: ARMTestClient.networkVersion
            ).body
            #expect(names("loadBalancingRules", in: body) == ["theirs", "lb-a", "lb-b"])
            // At most one refusal; the wait asked for the operation, it did not try the write again and again.
            #expect(await simulator.audit()["LoadBalancers_CreateOrUpdate"]?.conflicts ?? 0 <= 1)
            #expect(host.requests.count { isLoadBalancerPUT($0) } <= 2)
        }
    }

    @Test func `foreign tags, pools and ipConfigurations of a scale set survive`() async throws {
        try await withSimulator { simulator, client in
            let edits = Mutex(0)
            let instance = "\(ARMTestClient.scaleSet)/virtualMachines/0"
            let host = LapseHost { request, _ in
                guard request.method == "PUT", request.url.contains("/virtualMachineScaleSets/"),
                    edits.withLock({ $0 }) < 2
                else { return nil }
                let isInstance = request.url.contains("/virtualMachines/0?")
                let step = edits.withLock { $0 }
                // First the model, then the instance, each in the moment before our write.
                guard step == (isInstance ? 1 : 0) else { return nil }
                edits.withLock { $0 += 1 }
                try await addForeignConfiguration(isInstance ? instance : ARMTestClient.scaleSet, client)
                return nil
            }
            let cloud = try CloudUnderTest(client.endpoint, host: host)
            #expect(try await cloud.frontend(["a"]).map(\.code) == [.ok])
            let results = try await cloud.converge { try await cloud.nodes(["a"]) }
            #expect(results.first?.observed?.nodes.count == 2)
            #expect(edits.withLock { $0 } == 2)
            for path in [ARMTestClient.scaleSet, instance] {
                let body = try await client.call("GET", path, version: ARMTestClient.computeVersion).body
                let text = String(decoding: try body?.json() ?? Data(), as: UTF8.self)
                #expect(text.contains("\"theirs\""), "\(path)")
                #expect(text.contains("\"egressgateway-a\""), "\(path)")
            }
            let tags = try await client.call("GET", ARMTestClient.scaleSet, version: ARMTestClient.computeVersion)
            #expect(tags.body?["tags.theirs"] == "kept" && tags.body?["tags"]?.members?.count == 3)
            #expect(await simulator.audit()["VirtualMachineScaleSets_CreateOrUpdate"]?.conflicts == 1)
            #expect(await simulator.audit()["VirtualMachineScaleSetVMs_Update"]?.conflicts == 1)
        }
    }

    /// Adds an ipConfiguration and, on a scale set, a tag.
    private func addForeignConfiguration(_ path: String, _ client: ARMTestClient) async throws {
        let read = try await client.call("GET", path, version: ARMTestClient.computeVersion)
        let isModel = path == ARMTestClient.scaleSet
        let profile =
            isModel
            ? "properties.virtualMachineProfile.networkProfile.networkInterfaceConfigurations"
            : "properties.networkProfileConfiguration.networkInterfaceConfigurations"
        var interfaces = read.body?[profile]?.elements ?? []
        let old = interfaces.first?["properties.ipConfigurations"]?.elements ?? []
        let added: JSONValue = [
            "name": "theirs",
            "properties": ["primary": false, "subnet": ["id": .string(ARMTestClient.gatewaysSubnet)]],
        ]
        interfaces[0]["properties.ipConfigurations"] = .array(old + [added])
        var body: JSONValue = isModel ? ["location": "labregion"] : [:]
        body[profile] = .array(interfaces)
        if isModel {
            body["tags"] = read.body?["tags"]
            body["tags.theirs"] = "kept"
        }
        let written = try await client.write("PUT", path, version: ARMTestClient.computeVersion, body: body)
        guard written.first.status == 200 else {
            throw ProviderError(.terminal, "\(path): \(written.first.status) \(written.first.body ?? .null)")
        }
    }
}

/// The process ends while an operation runs; the next one finds it.
@Suite struct RestartTests {
    @Test func `a write that was under way at the end of a process is found and not written over`() async throws {
        try await withSimulator(.test(latency: .milliseconds(400))) { simulator, client in
            let before = try CloudUnderTest(client.endpoint, host: LapseHost(speed: 2))
            _ = try await before.frontend(["a"])
            // Ends in the middle of the model's operation.
            let ending = Task { try await before.nodes(["a"]) }
            while await simulator.audit()["VirtualMachineScaleSets_CreateOrUpdate"] == nil {
                try await Task.sleep(for: .milliseconds(5))
            }
            try await Task.sleep(for: .milliseconds(50))
            ending.cancel()
            let unfinished = try? await ending.value
            #expect(unfinished?.allSatisfy { $0.code == .ok } != true)
            let model = try await client.call("GET", ARMTestClient.scaleSet, version: ARMTestClient.computeVersion)
            #expect(model.body?["properties.provisioningState"] == "Updating")

            let after = try CloudUnderTest(client.endpoint, host: LapseHost(speed: 2))
            let results = try await after.converge { try await after.nodes(["a"]) }
            #expect(results.first?.observed?.nodes.count == 2)
            let audit = await simulator.audit()
            // The model was written once, before; the second process wrote the instances alone.
            #expect(audit["VirtualMachineScaleSets_CreateOrUpdate"]?.calls == 1)
            #expect(audit["VirtualMachineScaleSets_CreateOrUpdate"]?.conflicts == 0)
            let managed = await simulator.managedResources()
            #expect(managed.count { $0.contains("publicIPPrefixes/") } == 1)
        }
    }

    @Test func `a second write during an operation waits for its end and merges`() async throws {
        try await withSimulator(.test(latency: .milliseconds(400))) { simulator, client in
            let before = try CloudUnderTest(client.endpoint, host: LapseHost(speed: 2))
            _ = try await before.frontend(["a", "b"])
            let ending = Task { try await before.nodes(["a"]) }
            while await simulator.audit()["VirtualMachineScaleSets_CreateOrUpdate"] == nil {
                try await Task.sleep(for: .milliseconds(5))
            }
            ending.cancel()
            _ = try? await ending.value
            let after = try CloudUnderTest(client.endpoint, host: LapseHost(speed: 2))
            let results = try await after.converge { try await after.nodes(["a", "b"]) }
            #expect(results.map { $0.observed?.nodes.count } == [2, 2])
            #expect(await simulator.audit()["VirtualMachineScaleSets_CreateOrUpdate"]?.conflicts == 0)
            #expect(after.host.log.contains { $0.contains("waiting for an operation that is under way") })
        }
    }
}
