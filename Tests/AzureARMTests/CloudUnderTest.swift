import AzureLBProvider
import AzureTestSupport
import AzureVMSSProvider
import Foundation
import JSONModel
import Lab
import ProviderKit
import Synchronization

@testable import AzureARM

let gatewayPool = PoolSelector(nodepoolName: "gwpool")

/// Both Azure providers on one host, as a manager has them.
struct CloudUnderTest: Sendable {
    let host: LapseHost
    let balancer: AzureLoadBalancer
    let pools: AzureNodePool

    init(_ endpoint: String, host: LapseHost) throws {
        self.host = host
        let configuration = try CloudConfiguration(pluginConfiguration: pluginConfiguration(endpoint: endpoint))
        let budgets = RequestBudgets()
        func client() -> ARMClient {
            ARMClient(host: ProviderHost(host), configuration: configuration, budgets: budgets)
        }
        balancer = AzureLoadBalancer(client: client())
        pools = AzureNodePool(client: client())
    }

    func frontend(_ ids: [String], seconds: Int = 600) async throws -> [ItemResult<LoadBalancer.Observed>] {
        try await balancer.ensure(
            ids.map {
                .init(id: "lb-\($0)", pool: gatewayPool, probe: .init(path: "/gw/\($0)", port: 8082))
            }, host.context(seconds: seconds))
    }

    func nodes(_ ids: [String], seconds: Int = 600) async throws -> [ItemResult<NodePool.Observed>] {
        try await pools.ensure(
            ids.map {
                NodePool.Desired(id: $0, pool: gatewayPool, publicIPs: true, prefixLength: nil, prefixID: nil)
            }, host.context(seconds: seconds))
    }

    /// Repeats a call until every item is as desired, waiting as the manager does: as long as a throttled result says,
    /// else longer and longer.
    func converge<Observed: Codable & Sendable & Equatable>(
        _ body: () async throws -> [ItemResult<Observed>]
    ) async throws -> [ItemResult<Observed>] {
        var backoff = Duration.seconds(1)
        for _ in 0..<60 {
            var wait = backoff
            do {
                let results = try await body()
                if results.allSatisfy({ $0.code == .ok }) { return results }
                wait = results.compactMap(\.retryAfterMilliseconds).max().map { .milliseconds($0) } ?? backoff
            } catch let error as ProviderError where [.retry, .throttled, .conflict].contains(error.code) {
                wait = error.retryAfterMilliseconds.map { .milliseconds($0) } ?? backoff
            }
            try await host.sleep(for: wait)
            backoff = min(backoff * 2, .seconds(60))
        }
        throw ProviderError(.terminal, "does not converge")
    }
}

/// Runs something once.
final class Once: Sendable {
    private let isDone = Mutex(false)

    /// True for the first caller.
    func take() -> Bool {
        isDone.withLock { done in
            defer { done = true }
            return !done
        }
    }
}

/// A load balancer rule, frontend, pool, probe and tag of somebody else, added to what is there.
func addForeignParts(_ name: String, to client: ARMTestClient, waits: Bool = true) async throws {
    let path = ARMTestClient.loadBalancer
    let read = try await client.call("GET", path, version: ARMTestClient.networkVersion)
    var body = try bodyOf(read)
    func id(_ collection: String) -> JSONValue { ["id": .string("\(path)/\(collection)/\(name)")] }
    func append(_ collection: String, _ element: JSONValue) {
        body["properties.\(collection)"] = .array((body["properties.\(collection)"]?.elements ?? []) + [element])
    }
    append(
        "frontendIPConfigurations",
        ["name": .string(name), "properties": ["subnet": ["id": .string(ARMTestClient.gatewaysSubnet)]]])
    append("backendAddressPools", ["name": .string(name), "properties": [:]])
    append("probes", ["name": .string(name), "properties": ["protocol": "Tcp", "port": 53]])
    append(
        "loadBalancingRules",
        [
            "name": .string(name),
            "properties": [
                "protocol": "Tcp", "frontendPort": 53, "backendPort": 53,
                "frontendIPConfiguration": id("frontendIPConfigurations"),
                "backendAddressPool": id("backendAddressPools"), "probe": id("probes"),
            ],
        ])
    body["tags.\(name)"] = "theirs"
    let headers = ["If-Match": body["etag"]?.text ?? ""]
    if waits {
        _ = try await client.write("PUT", path, version: ARMTestClient.networkVersion, body: body, headers: headers)
    } else {
        _ = try await client.call("PUT", path, version: ARMTestClient.networkVersion, body: body, headers: headers)
    }
}

private func bodyOf(_ answer: ARMTestAnswer) throws -> JSONValue {
    guard let body = answer.body, answer.status == 200 else {
        throw ProviderError(.terminal, "the load balancer cannot be read: \(answer.status)")
    }
    return body
}

/// Names in a collection of a load balancer.
func names(_ collection: String, in body: JSONValue?) -> Set<String> {
    Set((body?["properties.\(collection)"]?.elements ?? []).compactMap { $0["name"]?.text })
}
