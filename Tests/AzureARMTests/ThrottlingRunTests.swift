import AzureLBProvider
import AzureTestSupport
import AzureVMSSProvider
import Foundation
import Lab
import ProviderKit
import Synchronization
import Testing

@testable import AzureARM

/// Numbers that look random and are the same in each run (SplitMix64).
private struct SeededNumbers {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}

/// 429 on half of all calls for two minutes.
@Suite(.serialized) struct ThrottlingRunTests {
    private struct Outcome {
        var calls = 0
        var refusals = 0
        var elapsed = Duration.zero
        var ports: [String: Int] = [:]
        var prefixes: Set<String> = []
        var secondary: [String] = []
        var log: [String] = []
    }

    private static let rounds = 8
    private static let perRound = 3
    private static let shortage = Duration.seconds(120)

    /// Makes configurations in rounds, as their authors would bring them, until all are there.
    private func provision(throttling: Bool, seed: UInt64 = 7) async throws -> Outcome {
        let result = Mutex(Outcome())
        try await withSimulator { simulator, client in
            let numbers = Mutex(SeededNumbers(seed: seed))
            let host = LapseHost(speed: 40) { request, now in
                guard throttling, now < Self.shortage, request.url.contains("/subscriptions/"),
                    numbers.withLock({ $0.next() }) % 2 == 0
                else { return nil }
                return answer(
                    429, #"{"error": {"code": "TooManyRequests", "message": "slow down"}}"#,
                    headers: [("retry-after", "5")])
            }
            let cloud = try CloudUnderTest(client.endpoint, host: host)
            var ids: [String] = []
            var outcome = Outcome()
            for round in 0..<Self.rounds {
                let new = (0..<Self.perRound).map { "u\(round)-\($0)" }
                ids += new
                _ = try await cloud.converge { try await cloud.frontend(new) }
                _ = try await cloud.converge { try await cloud.nodes(new) }
            }
            outcome.calls = host.calls
            outcome.refusals = host.refusals
            outcome.elapsed = host.elapsed
            outcome.log = host.log
            // What is there in the end, read when nobody refuses anything.
            let reader = try CloudUnderTest(client.endpoint, host: LapseHost())
            let rules = ids.map { PoolReference(id: "lb-\($0)", pool: gatewayPool) }
            for item in try await reader.balancer.status(rules, reader.host.context()) {
                outcome.ports[item.id] = item.observed?.port
            }
            let references = ids.map { PoolReference(id: $0, pool: gatewayPool) }
            for item in try await reader.pools.status(references, reader.host.context()) {
                if let observed = item.observed {
                    outcome.prefixes.insert(observed.egressPrefix)
                    outcome.secondary += observed.nodes.map(\.secondaryIP)
                }
            }
            let final = outcome
            result.withLock { $0 = final }
        }
        return result.withLock { $0 }
    }

    @Test func `no storm, everything converges, nothing is lost`() async throws {
        let clean = try await provision(throttling: false)
        let faulted = try await provision(throttling: true)
        let count = Self.rounds * Self.perRound
        for outcome in [clean, faulted] {
            #expect(outcome.ports.count == count && Set(outcome.ports.values).count == count)
            #expect(outcome.prefixes.count == count)
            #expect(outcome.secondary.count == 2 * count && Set(outcome.secondary).count == 2 * count)
        }
        #expect(clean.refusals == 0)
        // The fault was there, and for its whole length.
        #expect(faulted.refusals >= 5 && faulted.elapsed > Self.shortage)
        let ratio = Double(faulted.calls) / Double(clean.calls)
        #expect(ratio <= 1.5, "\(faulted.calls) calls with refusals, \(clean.calls) without")
        print(
            "throttling run: \(clean.calls) calls in \(clean.elapsed) clean; \(faulted.calls) calls in "
                + "\(faulted.elapsed), \(faulted.refusals) of them refused; ratio \(ratio)")
        #expect(!(clean.log + faulted.log).contains { $0.contains("lab-secret") || $0.contains("Bearer") })
    }
}
