import AzureTestSupport
import Foundation
import JSONModel
import Testing

@testable import Lab

private typealias Client = ARMTestClient

@Suite struct OperationTests {
    @Test func `until its operation ends a load balancer is not in the fabric, and takes no other write`() throws {
        var bench = try Bench(latency: .seconds(3))
        let first = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .seconds(1))
        let url = try #require(header(first, "Azure-AsyncOperation"))
        #expect(url.hasPrefix("http://sim/subscriptions/\(Client.subscription)/providers/Microsoft.Network/locations/"))
        #expect(header(first, "Retry-After") == "3")
        #expect(bench.call("GET", url, at: .seconds(3.9)).body == ["status": "InProgress"])
        #expect(bench.state.topology.rules == [])
        let busy = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .seconds(3.9))
        #expect(busy.status == 409 && busy.body?["error.code"] == "AnotherOperationInProgress")
        #expect(bench.call("GET", url, at: .seconds(4)).body == ["status": "Succeeded"])
        #expect(bench.state.topology.rules.count == 1)
        #expect(bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .seconds(4)).status == 200)
    }

    @Test func `Location answers 202 while a delete runs and 204 after`() throws {
        var bench = try Bench(latency: .seconds(2))
        _ = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .zero)
        let gone = bench.call("DELETE", Client.loadBalancer, at: .seconds(2))
        #expect(gone.status == 202 && gone.body == nil)
        let location = try #require(header(gone, "Location"))
        #expect(location.contains("/operationResults/"))
        #expect(bench.call("GET", location, at: .seconds(3)).status == 202)
        let deleting = bench.call("GET", Client.loadBalancer, at: .seconds(3))
        #expect(deleting.body?["properties.provisioningState"] == "Deleting")
        #expect(bench.call("GET", location, at: .seconds(4)).status == 204)
        #expect(bench.call("GET", Client.loadBalancer, at: .seconds(4)).status == 404)
        #expect(bench.call("DELETE", Client.loadBalancer, at: .seconds(4)).status == 204)
    }

    @Test func `a prefix cannot be used before it is there`() throws {
        var bench = try Bench(latency: .seconds(2))
        _ = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .zero)
        _ = bench.call(
            "PUT", "\(Client.network)/publicIPPrefixes/egressgateway-1", body: prefixBody(length: 31), at: .zero)
        let path = "\(Client.scaleSet)/virtualMachines/0?api-version=\(Client.computeVersion)"
        let profile = "properties.networkProfileConfiguration.networkInterfaceConfigurations"
        let early = bench.call("GET", path, at: .seconds(1))
        var body: JSONValue = [:]
        body[profile] = withEgress(early.body?[profile])
        let refused = bench.call("PUT", path, body: body, at: .seconds(1))
        #expect(refused.status == 429 && refused.body?["error.code"] == "RetryableError")
        #expect(
            refused.body?["error.details"]?.elements.first?["code"] == "ReferencedResourceNotProvisioned")
        let accepted = bench.call("PUT", path, body: body, at: .seconds(2))
        #expect(accepted.status == 200 && header(accepted, "ETag") == "\"2\"")
    }

    @Test func `a token ends after an hour`() throws {
        var bench = try Bench(latency: .zero)
        #expect(bench.call("GET", "\(Client.network)/loadBalancers", at: .seconds(3599)).status == 200)
        let late = bench.call("GET", "\(Client.network)/loadBalancers", at: .seconds(3600))
        #expect(late.status == 401 && late.body?["error.code"] == "ExpiredAuthenticationToken")
    }

    @Test func `only the last thousand operations are kept`() throws {
        var bench = try Bench(latency: .zero)
        for index in 0..<1100 {
            _ = bench.call(
                "PUT", "\(Client.network)/publicIPPrefixes/p", body: prefixBody(length: 31), at: .seconds(index))
        }
        #expect(bench.state.operations.count == AzureState.keptOperations)
    }
}
