import AzureTestSupport
import JSONModel
import Testing

@testable import Lab

private typealias Client = ARMTestClient

@Suite struct FaultTests {
    private func armed(_ kind: AzureSimulator.FaultKind, latency: Duration = .seconds(1)) throws -> Bench {
        var bench = try Bench(latency: latency)
        try bench.state.arm(#require(kind.fault))
        return bench
    }

    @Test(arguments: [
        (AzureSimulator.FaultKind.throttle, 429, "TooManyRequests", "2" as String?),
        (.serverError, 500, "InternalServerError", nil),
    ])
    func `a read meets the fault once`(
        kind: AzureSimulator.FaultKind, status: Int, code: String, retryAfter: String?
    ) throws {
        var bench = try armed(kind)
        let other = bench.call("GET", "\(Client.network)/publicIPPrefixes", at: .zero)
        #expect(other.status == 200)
        let first = bench.call("GET", Client.loadBalancer, at: .zero)
        #expect(first.status == status && first.code == code)
        #expect(header(first, "Retry-After") == retryAfter)
        #expect(bench.call("GET", Client.loadBalancer, at: .zero).status == 404)
    }

    @Test func `a conflict stores nothing`() throws {
        var bench = try armed(.conflict)
        let first = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .zero)
        #expect(first.status == 409 && first.code == "AnotherOperationInProgress")
        #expect(bench.call("GET", Client.loadBalancer, at: .zero).status == 404)
        #expect(bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .zero).status == 201)
    }

    @Test func `a failed prefix is there without a block, and a repeated PUT heals it`() throws {
        var bench = try armed(.operationFailed)
        let path = "\(Client.network)/publicIPPrefixes/p"
        let first = bench.call("PUT", path, body: prefixBody(length: 31), at: .zero)
        #expect(first.status == 201)
        let poll = bench.call("GET", try #require(header(first, "Azure-AsyncOperation")), at: .seconds(1))
        #expect(poll.status == 200 && poll.body?["status"] == "Failed")
        #expect(poll.body?["error.code"] == "InternalServerError")
        let after = bench.call("GET", path, at: .seconds(1))
        #expect(after.body?["properties.provisioningState"] == "Failed")
        #expect(after.body?["properties.ipPrefix"] == nil && bench.state.topology.prefixes == [])
        #expect(bench.call("PUT", path, body: prefixBody(length: 31), at: .seconds(1)).status == 200)
        let healed = bench.call("GET", path, at: .seconds(2))
        #expect(healed.body?["properties.provisioningState"] == "Succeeded")
        #expect(healed.body?["properties.ipPrefix"] == "203.0.113.2/31")
    }

    @Test func `a canceled load balancer is stored but not in effect`() throws {
        var bench = try armed(.operationCanceled)
        let first = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .zero)
        let poll = bench.call("GET", try #require(header(first, "Azure-AsyncOperation")), at: .seconds(1))
        #expect(poll.body?["status"] == "Canceled")
        #expect(poll.body?["error.code"] == "CanceledAndSupersededDueToAnotherOperation")
        #expect(
            bench.call("GET", Client.loadBalancer, at: .seconds(1)).body?["properties.provisioningState"] == "Canceled")
        #expect(bench.state.topology.rules == [])
        _ = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .seconds(1))
        state(&bench, at: .seconds(2))
        #expect(bench.state.topology.rules.count == 1)
    }

    private func state(_ bench: inout Bench, at now: Duration) { bench.state.advance(to: now) }

    @Test func `a fault of one's own meets as many calls as it says`() throws {
        var bench = try Bench(latency: .zero)
        try bench.state.arm(
            .init(
                operation: "PublicIPPrefixes_List",
                outcome: .answer(status: 503, code: "ServiceUnavailable", message: "Later.", retryAfterSeconds: nil),
                times: 2))
        let statuses = (0..<3).map { _ in bench.call("GET", "\(Client.network)/publicIPPrefixes", at: .zero).status }
        #expect(statuses == [503, 503, 200])
    }

    @Test(arguments: [
        AzureSimulator.Fault(
            operation: "Nothing_Get", outcome: .operationEnds(status: "Failed", code: "", message: "")),
        .init(operation: "LoadBalancers_Get", outcome: .operationEnds(status: "Failed", code: "", message: "")),
        .init(operation: "LoadBalancers_Delete", outcome: .operationEnds(status: "Lost", code: "", message: "")),
        .init(
            operation: "LoadBalancers_Get",
            outcome: .answer(status: 200, code: "", message: "", retryAfterSeconds: nil)),
        .init(
            operation: "LoadBalancers_Delete", outcome: .operationEnds(status: "Failed", code: "", message: ""),
            times: 0),
    ])
    func `a fault that can never happen is refused`(fault: AzureSimulator.Fault) throws {
        var bench = try Bench(latency: .zero)
        #expect(throws: AzureSimulator.StartError.self) { try bench.state.arm(fault) }
    }

    @Test func `no more than 64 faults wait`() throws {
        var bench = try Bench(latency: .zero)
        let fault = try #require(AzureSimulator.FaultKind.conflict.fault)
        for _ in 0..<AzureState.armedFaults { try bench.state.arm(fault) }
        #expect(throws: AzureSimulator.StartError.self) { try bench.state.arm(fault) }
    }

    @Test func `the documented rate is refused above and given back with time`() throws {
        var bench = try Bench(.test(rateLimits: .documented))
        let path = "\(Client.network)/publicIPPrefixes"
        var last = bench.call("GET", path, at: .zero)
        #expect(header(last, "x-ms-ratelimit-remaining-subscription-global-reads") == "249")
        for _ in 1..<250 { last = bench.call("GET", path, at: .zero) }
        #expect(last.status == 200)
        #expect(header(last, "x-ms-ratelimit-remaining-subscription-global-reads") == "0")
        let refused = bench.call("GET", path, at: .zero)
        #expect(refused.status == 429 && refused.code == "SubscriptionRequestsThrottled")
        #expect(header(refused, "Retry-After") == "1")
        // Writes have a bucket of their own; a second gives 25 reads back.
        let write = bench.call("PUT", "\(path)/p", body: prefixBody(length: 31), at: .zero)
        #expect(write.status == 201)
        let later = bench.call("GET", path, at: .seconds(1))
        #expect(header(later, "x-ms-ratelimit-remaining-subscription-global-reads") == "24")
    }
}

@Suite struct LatencyTests {
    @Test func `a skewed latency has its median and its ninety-ninth percentile`() {
        var generator = ARMIdentifiers(seed: 7)
        let latency = AzureSimulator.Latency.skewed(median: .seconds(3), ninetyNinth: .seconds(20))
        let values = (0..<4000).map { _ in latency.sample(&generator) }.sorted()
        #expect((.milliseconds(2800)...Duration.milliseconds(3200)).contains(values[2000]))
        #expect((.seconds(15)...Duration.seconds(26)).contains(values[3960]))
        #expect(values[0] > .zero)
    }

    @Test func `uniform and constant latencies stay where they say`() {
        var generator = ARMIdentifiers(seed: 7)
        let latency = AzureSimulator.Latency.uniform(from: .seconds(1), to: .seconds(2))
        let values = (0..<500).map { _ in latency.sample(&generator) }
        #expect(values.allSatisfy { $0 >= .seconds(1) && $0 <= .seconds(2) })
        #expect(Set(values).count > 400)
        #expect(AzureSimulator.Latency.constant(.seconds(4)).sample(&generator) == .seconds(4))
    }

    @Test func `the reference profile is the one that benchmarks name`() {
        let latencies = AzureSimulator.Latencies.reference
        #expect(latencies.answer == .constant(.milliseconds(80)))
        #expect(latencies.loadBalancer == .constant(.seconds(3)))
        #expect(latencies.instance == .constant(.seconds(12)))
        #expect(latencies.publicIPPrefix == .constant(.seconds(4)))
    }
}
