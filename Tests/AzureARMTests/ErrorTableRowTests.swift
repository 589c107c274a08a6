import AzureTestSupport
import Foundation
import JSONModel
import Lab
import ProviderKit
import Testing

@testable import AzureARM

@Suite struct ErrorTableRowTests {
    /// A row that an earlier one hides would never be used.
    @Test func `every row can be reached, and every source is used`() {
        for (index, row) in ErrorTable.rows.enumerated() {
            let failure = ARMFailure(
                status: row.status ?? 400, code: row.code ?? "", message: "m", request: "PUT x")
            let first = ErrorTable.rows.firstIndex { candidate in
                (candidate.status == nil || candidate.status == failure.status)
                    && (candidate.code.map { $0.lowercased() == failure.code.lowercased() } ?? true)
            }
            #expect(
                first == index, "row \(index) (\(row.status ?? 0) \(row.code ?? "any")) is hidden by \(first ?? -1)")
            // A reason is for people, so it comes with a verdict that waits for people.
            if row.reason != nil { #expect([.terminal, .invalid].contains(row.result), "\(row)") }
        }
        #expect(Set(ErrorTable.rows.map(\.source)) == Set(ErrorTable.Source.allCases))
    }

    private struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var method = "PUT"
        var path: String
        var version = ARMTestClient.networkVersion
        var body: JSONValue?
        var headers: [String: String] = [:]
        var code: ResultCode
        var reason: FailureReason?
        var testDescription: String { name }
    }

    private static let other = "/subscriptions/\(ARMTestClient.subscription)/resourceGroups/none"
    private static let prefix: JSONValue = [
        "location": "labregion", "sku": ["name": "Standard"],
        "properties": ["prefixLength": 31, "publicIPAddressVersion": "IPv4"],
    ]

    private static let cases: [Case] = [
        Case(
            name: "another etag", path: ARMTestClient.loadBalancer, body: ["location": "labregion"],
            headers: ["If-Match": "W/\"none\""], code: .conflict),
        Case(
            name: "no such group", method: "GET", path: "\(other)/providers/Microsoft.Network/loadBalancers/x",
            code: .invalid, reason: .resourceGroupNotFound),
        Case(
            name: "no such subscription", method: "GET",
            path: "/subscriptions/00000000-0000-0000-0000-00000000dead/resourceGroups/g/providers"
                + "/Microsoft.Network/loadBalancers/x", code: .invalid, reason: .subscriptionNotFound),
        Case(name: "nothing there", method: "GET", path: "\(ARMTestClient.network)/loadBalancers/none", code: .retry),
        Case(
            name: "an unknown member", path: "\(ARMTestClient.network)/publicIPPrefixes/p",
            body: ["location": "labregion", "colour": "red"], code: .invalid),
        Case(
            name: "a reference to nothing", path: ARMTestClient.loadBalancer,
            body: [
                "location": "labregion", "sku": ["name": "Standard"],
                "properties": [
                    "frontendIPConfigurations": [
                        ["name": "f", "properties": ["subnet": ["id": .string(ARMTestClient.gatewaysSubnet + "x")]]]
                    ]
                ],
            ], code: .retry),
    ]

    @Test(arguments: cases)
    private func `the simulator's own refusals have their rows`(item: Case) async throws {
        try await withSimulator { _, client in
            let answer = try await client.call(
                item.method, item.path, version: item.version, body: item.body, headers: item.headers)
            let failure = ARMFailure(status: answer.status, body: answer.body, retryAfterSeconds: nil, request: "x")
            #expect(answer.status >= 400, "\(answer)")
            #expect(failure.verdict.code == item.code, "\(answer)")
            #expect(failure.verdict.reason == item.reason, "\(answer)")
        }
    }

    @Test func `a full subnet is told as such`() async throws {
        try await withSimulator(.test(subnet: "10.243.0.0/29")) { _, client in
            let cloud = try CloudUnderTest(client.endpoint, host: LapseHost())
            let results = try await cloud.frontend(["a"])
            let nodes = results.first?.code == .ok ? try await cloud.nodes(["a"]) : []
            let reasons = results.compactMap(\.reason) + nodes.compactMap(\.reason)
            #expect(reasons == ["SubnetFull"], "\(results) \(nodes)")
        }
    }

    @Test func `an operation under way is a conflict`() async throws {
        try await withSimulator(.test(latency: .milliseconds(500))) { _, client in
            let path = "\(ARMTestClient.network)/publicIPPrefixes/p"
            let first = try await client.call(
                "PUT", path, version: ARMTestClient.networkVersion, body: Self.prefix)
            #expect(first.status == 201)
            let second = try await client.call(
                "PUT", path, version: ARMTestClient.networkVersion, body: Self.prefix)
            let failure = ARMFailure(status: second.status, body: second.body, retryAfterSeconds: nil, request: "x")
            #expect(failure.verdict.code == .conflict && failure.code == "AnotherOperationInProgress", "\(second)")
        }
    }

    @Test func `a wrong token is worth a new one, and a wrong secret is not`() async throws {
        try await withSimulator { _, client in
            var stranger = client
            stranger.token = "nobody"
            let answer = try await stranger.call(
                "GET", ARMTestClient.loadBalancer, version: ARMTestClient.networkVersion)
            let failure = ARMFailure(status: answer.status, body: answer.body, retryAfterSeconds: nil, request: "x")
            #expect(failure.verdict == .init(code: .retry, reason: nil, advice: ""))
        }
    }

    @Test func `a failed operation without a word about why has a row`() {
        let silent = ARMFailure(
            status: 200, body: ["status": "Canceled"], retryAfterSeconds: nil, request: "x"
        ).ofOperation("canceled")
        #expect(silent.verdict.code == .conflict)
        let failed = ARMFailure(
            status: 200, body: ["status": "Failed"], retryAfterSeconds: nil, request: "x"
        ).ofOperation("failed")
        #expect(failed.code == "OperationFailed" && failed.verdict.code == .retry)
        let told = ARMFailure(
            status: 200, body: ["error": ["code": "SubnetIsFull", "message": "m"]], retryAfterSeconds: nil, request: "x"
        ).ofOperation("failed")
        #expect(told.verdict.reason == .subnetFull)
    }
}
