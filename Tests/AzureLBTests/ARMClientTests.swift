import AzureTestSupport
import Foundation
import JSONModel
import Lab
import ProviderKit
import Synchronization
import Testing

@testable import AzureARM

/// A host whose Azure is a list of answers, given in order; what was asked is kept.
private final class ScriptedHost: HostServices {
    struct Reply: Sendable {
        var status: Int
        var headers: [(String, String)] = []
        var body = ""
    }

    private let replies: Mutex<[Reply]>
    private let asked = Mutex<[HTTPRequest]>([])
    private let start = ContinuousClock.now

    init(_ replies: [Reply]) {
        self.replies = Mutex(replies)
    }

    var requests: [HTTPRequest] { asked.withLock { $0 } }

    func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {}

    func now() -> HostInstant { HostInstant(nanoseconds: 0).advanced(by: ContinuousClock.now - start) }

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        asked.withLock { $0.append(request) }
        let reply = replies.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        guard let reply else { throw ProviderError(.retry, "no answer is left in the script") }
        return HTTPResponse(
            status: reply.status, headers: reply.headers.map { HTTPField($0.0, $0.1) }, body: Data(reply.body.utf8))
    }
}

private let token = ScriptedHost.Reply(status: 200, body: #"{"access_token": "t1", "expires_in": "3599"}"#)
private let done = ScriptedHost.Reply(status: 200, body: #"{"name": "lb", "etag": "W/\"2\""}"#)
private let operation = "https://management.azure.com/subscriptions/s/providers/Microsoft.Network/operations/1?x=y"

private func client(_ host: ScriptedHost, changes: [String: JSONValue?] = [:]) throws -> ARMClient {
    let fields: [String: JSONValue?] = ["resourceManagerEndpoint": nil]
    let data = try pluginConfiguration(endpoint: "", changes: fields.merging(changes) { _, new in new })
    return ARMClient(host: ProviderHost(host), configuration: try CloudConfiguration(pluginConfiguration: data))
}

private func put(_ host: ScriptedHost, seconds: Int = 20) async throws -> ARMResource {
    let client = try client(host)
    return try await client.put(
        client.configuration.loadBalancerID, ["location": "x"], version: APIVersion.network,
        replacing: ARMResource(body: [:], etag: "W/\"1\""), deadline: host.now().advanced(by: .seconds(seconds)))
}

@Suite struct ARMClientTests {
    @Test func `a write asks for a token, says If-Match, follows the operation and reads the result`() async throws {
        let host = ScriptedHost([
            token, .init(status: 200, headers: [("azure-asyncoperation", operation)]),
            .init(status: 200, body: #"{"status": "InProgress"}"#), .init(status: 503),
            .init(status: 200, body: #"{"status": "Succeeded"}"#), done,
        ])
        let result = try await put(host)
        #expect(result.etag == "W/\"2\"")
        let asked = host.requests
        #expect(asked.map(\.method) == ["POST", "PUT", "GET", "GET", "GET", "GET"])
        #expect(
            asked[0].url
                == "https://login.microsoftonline.com/00000000-0000-0000-0000-0000000000aa/oauth2/v2.0/token")
        let form = String(decoding: asked[0].body, as: UTF8.self)
        #expect(form.contains("scope=https%3A%2F%2Fmanagement.core.windows.net%2F.default"))
        #expect(asked[1].url.hasPrefix("https://management.azure.com/subscriptions/"))
        #expect(asked[1].url.hasSuffix("/loadBalancers/kubeegressgateway-ilb?api-version=2025-05-01"))
        #expect(asked[1].headers.contains(HTTPField("if-match", "W/\"1\"")))
        #expect(asked[1].headers.contains(HTTPField("authorization", "Bearer t1")))
        #expect(asked[2].url == operation && asked[3].url == operation)
    }

    @Test func `a failed operation carries its own error`() async throws {
        let status = #"{"status": "Failed", "error": {"code": "SubnetIsFull", "message": "no room"}}"#
        let host = ScriptedHost([
            token, .init(status: 201, headers: [("azure-asyncoperation", operation)]), .init(status: 200, body: status),
        ])
        let error = await #expect(throws: ProviderError.self) { _ = try await put(host) }
        #expect(error?.code == .terminal)
        #expect(error?.message.contains("(operation failed): 200 SubnetIsFull: no room") == true)
    }

    @Test func `without a polling address the resource's own state is followed`() async throws {
        let host = ScriptedHost([
            token, .init(status: 200, body: #"{"properties": {"provisioningState": "Updating"}}"#),
            .init(status: 200, body: #"{"properties": {"provisioningState": "Succeeded"}}"#), done,
        ])
        #expect(try await put(host).body["name"] == "lb")
    }

    @Test func `Location is followed to its end, also when it moves`() async throws {
        let host = ScriptedHost([
            token, .init(status: 202, headers: [("location", operation)]),
            .init(status: 202, headers: [("location", operation + "2")]), .init(status: 204),
        ])
        let client = try client(host)
        try await client.delete(
            client.configuration.loadBalancerID, version: APIVersion.network, replacing: nil,
            deadline: host.now().advanced(by: .seconds(20)))
        #expect(host.requests.map(\.url).suffix(2) == [operation, operation + "2"])
    }

    @Test(arguments: [
        "https://evil.example/operations/1", "https://management.azure.com.evil.example/operations/1",
        "http://management.azure.com/operations/1",
    ])
    func `the token is not sent to another host`(address: String) async throws {
        let host = ScriptedHost([token, .init(status: 201, headers: [("azure-asyncoperation", address)]), done])
        let error = await #expect(throws: ProviderError.self) { _ = try await put(host) }
        #expect(error?.code == .terminal && error?.message.contains("is not its own") == true)
        #expect(!host.requests.contains { $0.url == address })
    }

    @Test func `a refused token is replaced once`() async throws {
        let refused = ScriptedHost.Reply(status: 401, body: #"{"error": {"code": "ExpiredAuthenticationToken"}}"#)
        let second = ScriptedHost.Reply(status: 200, body: #"{"access_token": "t2", "expires_in": 3599}"#)
        let host = ScriptedHost([token, refused, second, .init(status: 200, body: "{}"), done])
        _ = try await put(host)
        #expect(host.requests[3].headers.contains(HTTPField("authorization", "Bearer t2")))
        let stubborn = ScriptedHost([token, refused, second, refused])
        let error = await #expect(throws: ProviderError.self) { _ = try await put(stubborn) }
        #expect(error?.code == .retry && stubborn.requests.count == 4)
    }

    @Test func `throttling says how long`() async throws {
        let host = ScriptedHost([
            token, .init(status: 429, headers: [("retry-after", "17")], body: #"{"code": "TooManyRequests"}"#),
        ])
        let error = await #expect(throws: ProviderError.self) { _ = try await put(host, seconds: 10) }
        #expect(error?.code == .throttled)
        #expect((16_000...18_700).contains(error?.retryAfterMilliseconds ?? 0))
    }

    @Test func `a Retry-After beyond the deadline ends the wait at once`() async throws {
        let host = ScriptedHost([
            token, .init(status: 201, headers: [("azure-asyncoperation", operation), ("retry-after", "30")]),
        ])
        let start = ContinuousClock.now
        let error = await #expect(throws: ProviderError.self) { _ = try await put(host, seconds: 10) }
        #expect(error?.code == .retry && ContinuousClock.now - start < .seconds(5))
    }

    @Test(
        arguments: [
            (nil, "resource=https%3A%2F%2Fmanagement.core.windows.net"), ("abc", "client_id=abc"),
            ("/subscriptions/s/x", "msi_res_id=%2Fsubscriptions%2Fs%2Fx"),
        ] as [(String?, String)])
    func `a managed identity asks the metadata service`(identity: String?, part: String) async throws {
        let host = ScriptedHost([token, .init(status: 200, body: "{}")])
        let client = try client(
            host,
            changes: [
                "useManagedIdentityExtension": true, "userAssignedIdentityID": identity.map(JSONValue.string),
                "aadClientSecret": nil,
            ])
        _ = try await client.get(
            client.configuration.loadBalancerID, version: APIVersion.network,
            deadline: host.now().advanced(by: .seconds(20)))
        let asked = try #require(host.requests.first)
        #expect(asked.url.hasPrefix("http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&"))
        #expect(asked.url.contains(part) && asked.headers == [HTTPField("metadata", "true")])
    }

    @Test func `a list follows its pages`() async throws {
        let next = "https://management.azure.com/subscriptions/s/next?token=1"
        let host = ScriptedHost([
            token, .init(status: 200, body: #"{"value": [{"name": "a"}], "nextLink": "\#(next)"}"#),
            .init(status: 200, body: #"{"value": [{"name": "b"}]}"#),
        ])
        let client = try client(host)
        let elements = try await client.list(
            client.configuration.id("Microsoft.Compute", ["virtualMachineScaleSets"]), version: APIVersion.compute,
            deadline: host.now().advanced(by: .seconds(20)))
        #expect(elements.map { $0["name"] } == ["a", "b"] && host.requests.last?.url == next)
    }

    @Test func `a pool of standalone machines has the unique id of its name as it is typed`() async throws {
        let machine = #"""
            {"value": [{"name": "m", "tags": {"AKS-managed-poolName": "TESTGW", "aks-managed-gatewayIPPrefixSize": "30"}}]}
            """#
        let host = ScriptedHost([
            token, .init(status: 200, body: #"{"value": []}"#), .init(status: 200, body: machine),
        ])
        let pool = PoolSelector(nodepoolName: "testgw")
        let found = try await PoolDirectory(client: client(host))
            .find([pool], deadline: host.now().advanced(by: .seconds(20)))[pool]?.get()
        #expect(found == .machines(MachinePool(name: "testgw", taggedPrefixLength: 30)))
        #expect(found?.uniqueID == "13ffb2ec-b84e-3e00-8265-06efd5a2f4f2")
    }

    @Test func `waits grow, and a Retry-After wins`() {
        var schedule = PollSchedule()
        let waits = (0..<15).map { _ in schedule.wait(retryAfterSeconds: nil) }
        #expect(waits.first == .milliseconds(100) && waits.last == .seconds(5))
        #expect(zip(waits, waits.dropFirst()).allSatisfy(<=))
        #expect(schedule.wait(retryAfterSeconds: 7) == .seconds(7))
        #expect(schedule.wait(retryAfterSeconds: 7000) == .seconds(60))
    }

    @Test func `a batch with wrong items is halved until they stand alone`() async throws {
        struct Item: Identified, Sendable {
            var id: String
        }
        let calls = Mutex(0)
        let items = (0..<16).map { Item(id: "\($0)") }
        let outcomes = try await isolatingFailures(items) { batch in
            calls.withLock { $0 += 1 }
            if batch.contains(where: { $0.id == "11" }) { throw ProviderError(.invalid, "bad") }
            return batch.reduce(into: [:]) { $0[$1.id] = Result<Int, ProviderError>.success(1) }
        }
        #expect(outcomes.filter { (try? $0.value.get()) == nil }.map(\.key) == ["11"])
        #expect(outcomes.count == 16 && calls.withLock { $0 } == 9)
        calls.withLock { $0 = 0 }
        let passing = try await isolatingFailures(items) { _ -> [String: Result<Int, ProviderError>] in
            calls.withLock { $0 += 1 }
            throw ProviderError(.throttled, "slow down", retryAfterMilliseconds: 5)
        }
        #expect(passing.count == 16 && calls.withLock { $0 } == 1)
    }
}
