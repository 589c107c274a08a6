import Foundation
import Testing

@testable import ProviderKit

/// A provider whose items succeed unless their id says otherwise.
private struct SampleLoadBalancer: CapabilityProvider {
    typealias Contract = LoadBalancer

    func ensure(
        _ items: [LoadBalancer.Desired], _ context: CallContext
    ) async throws -> [ItemResult<LoadBalancer.Observed>] {
        if items.contains(where: { $0.id == "forbidden" }) {
            throw ProviderError(.terminal, "the identity lacks a role", reason: .missingRole)
        }
        return items.map { item in
            item.id == "bad"
                ? .failed(item.id, ProviderError(.throttled, "slow down", retryAfterMilliseconds: 1500))
                : .ok(item.id, .init(frontendIP: "10.0.0.4", port: 6000))
        }
    }

    func remove(_ items: [PoolReference], _ context: CallContext) async throws -> [ItemResult<Nothing>] {
        throw ProviderError(.conflict, "changed by somebody else")
    }

    func status(
        _ items: [PoolReference], _ context: CallContext
    ) async throws -> [ItemResult<LoadBalancer.Observed>] { [] }
}

/// A host that has nothing to offer.
private struct SilentHost: HostServices {
    func log(_ level: LogLevel, _ message: String, _ metadata: [String: String]) {}
    func now() -> HostInstant { HostInstant(nanoseconds: 0) }
    func send(_ request: HTTPRequest) async throws -> HTTPResponse { throw ProviderError(.retry, "no network") }
}

@Suite struct ContractJSONTests {
    /// The documented JSON of egress_load_balancer.h is what the Swift types read and write.
    @Test func loadBalancerRequestHasTheDocumentedForm() throws {
        let json = #"{"items":[{"id":"u","pool":{"nodepoolName":"gwpool"},"probe":{"path":"/gw/u","port":8082}}]}"#
        let request = try JSONDecoder().decode(BatchRequest<LoadBalancer.Desired>.self, from: Data(json.utf8))
        #expect(request.items.first?.pool == PoolSelector(nodepoolName: "gwpool"))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        #expect(String(decoding: try encoder.encode(request), as: UTF8.self) == json)
    }

    @Test func tunnelRequestHasTheDocumentedForm() throws {
        let json = """
            {"items":[{"id":"a","namespace":"/run/netns/x","link":"wg0","addresses":["fe80::2/64"],
            "pod":{"endpoint":{"address":"10.0.0.4","port":6000},"gatewayPublicKey":"k"}}]}
            """
        let request = try JSONDecoder().decode(BatchRequest<Tunnel.Desired>.self, from: Data(json.utf8))
        #expect(request.items.first?.pod?.endpoint == Tunnel.Endpoint(address: "10.0.0.4", port: 6000))
        #expect(request.items.first?.gateway == nil)
    }

    @Test func resultCodesAreAClosedSet() {
        let json = Data(#"{"items":[{"id":"a","code":"maybe"}]}"#.utf8)
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(BatchResult<LoadBalancer.Observed>.self, from: json)
        }
        for code in ResultCode.allCases { #expect(ResultCode(borderCode: code.borderCode) == code) }
        #expect(ResultCode(borderCode: 99) == nil)
    }

    @Test func decodingErrorsNameTheField() {
        let json = Data(#"{"items":[{"id":"a","pool":{"nodepoolName":"p"},"probe":{"path":"/x","port":"80"}}]}"#.utf8)
        do {
            _ = try JSONDecoder().decode(BatchRequest<LoadBalancer.Desired>.self, from: json)
            Issue.record("must throw")
        } catch let error as DecodingError {
            #expect(error.oneLine == "field items.[0].probe.port must be of type Int")
        } catch {
            Issue.record("\(error)")
        }
    }
}

@Suite struct HostInstantTests {
    /// After the host ended an instance its clock stands at the last instant; work under way still adds to it.
    @Test func arithmeticEndsAtTheBounds() {
        let last = HostInstant(nanoseconds: .max)
        #expect(last.advanced(by: .seconds(60)) == last)
        #expect(HostInstant(nanoseconds: .min).advanced(by: .seconds(-60)) == HostInstant(nanoseconds: .min))
        #expect(HostInstant(nanoseconds: 5).advanced(by: .seconds(Int64.max)) == last)
        #expect(HostInstant(nanoseconds: 1_500).advanced(by: .nanoseconds(-2_000)).nanoseconds == -500)
        #expect(last.duration(to: HostInstant(nanoseconds: -1)) < .zero)
    }

    @Test func durationsAndInstantsAgree() {
        let start = HostInstant(nanoseconds: 5)
        let end = start.advanced(by: .milliseconds(1500))
        #expect(end.nanoseconds == 1_500_000_005)
        #expect(start.duration(to: end) == .milliseconds(1500))
        #expect(end.duration(to: start) == .milliseconds(-1500))
    }
}

@Suite struct HeaderFieldTests {
    @Test func fieldsSurviveTheBorder() throws {
        let fields = [HTTPField("etag", "W/\"1\""), HTTPField("x", "ä\n")]
        #expect(try BorderHeaders.decode(BorderHeaders.encode(fields)) == fields)
        #expect(try BorderHeaders.decode(Data()).isEmpty)
    }

    @Test func aPairOfThreeIsRefused() {
        #expect(throws: ProviderError.self) { try BorderHeaders.decode(Data(#"[["a","b","c"]]"#.utf8)) }
    }
}

@Suite struct CapabilityBindingTests {
    private let context = CallContext(deadline: HostInstant(nanoseconds: 1), host: ProviderHost(SilentHost()))
    private let binding = CapabilityBinding(SampleLoadBalancer())

    private func request(_ ids: [String]) throws -> Data {
        try JSONEncoder().encode(
            BatchRequest(
                items: ids.map {
                    LoadBalancer.Desired(
                        id: $0, pool: PoolSelector(nodepoolName: "p"), probe: .init(path: "/gw", port: 1))
                }))
    }

    @Test func oneBadItemFailsAlone() async throws {
        let answer = try await binding.perform(.ensure, request(["good", "bad"]), context)
        let result = try JSONDecoder().decode(BatchResult<LoadBalancer.Observed>.self, from: answer)
        #expect(result.items.map(\.code) == [.ok, .throttled])
        #expect(result.items.last?.retryAfterMilliseconds == 1500)
    }

    /// The completion at the C border carries it (`egp_completion.reason`).
    @Test func aFailureOfTheWholeBatchKeepsItsReason() async throws {
        let forbidden = ProviderError(.terminal, "the identity lacks a role", reason: .missingRole)
        let request = try request(["forbidden", "other"])
        await #expect(throws: forbidden) { try await binding.perform(.ensure, request, context) }
        let removal = try JSONEncoder().encode(
            BatchRequest(items: [PoolReference(id: "a", pool: PoolSelector(nodepoolName: "p"))]))
        await #expect(throws: ProviderError(.conflict, "changed by somebody else")) {
            try await binding.perform(.remove, removal, context)
        }
    }

    /// The list in the C header is the one of the Swift type.
    @Test func reasonsAreThoseOfTheHeader() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let header = try String(
            contentsOf: root.appending(path: "Sources/ProviderAPI/include/egress_load_balancer.h"), encoding: .utf8)
        let words = Set(header.split { !$0.isLetter }.map(String.init))
        for reason in FailureReason.allCases {
            #expect(words.contains(reason.rawValue), "\(reason.rawValue) is not in the header")
            #expect(ProviderError.isReason(reason.rawValue))
        }
    }

    @Test(arguments: ["", "1st", "two words", "Ends:", "Line\nbreak", String(repeating: "A", count: 65), "Ä"])
    func wordsThatNoConditionTakesAreNoReasons(word: String) {
        #expect(!ProviderError.isReason(word))
    }

    @Test func idsMustBeUnique() async throws {
        let expected = ProviderError(.invalid, "request.items: id \"a\" occurs twice; ids must be unique in a batch")
        await #expect(throws: expected) {
            try await binding.perform(.ensure, request(["a", "a"]), context)
        }
    }

    @Test func tooManyItemsAreRefused() async throws {
        let ids = (0...BatchLimits.maximumItems).map(String.init)
        do {
            _ = try await binding.perform(.ensure, request(ids), context)
            Issue.record("must throw")
        } catch let error as ProviderError {
            #expect(error.code == .invalid)
            #expect(error.message.contains("at most 10000 are allowed"))
        }
    }

    /// By the capability's schema: each path with its value and what is allowed, not only the first that fails to decode.
    @Test func mistakesOfARequestAreNamedByItsSchema() async throws {
        let body = #"{"items":[{"id":"a","pool":{},"probe":{"path":"gw","port":"80"}}]}"#
        let expected = ProviderError(
            .invalid,
            "request: /items/0/pool: is an object; allowed: nodepoolName; or scaleSet; /items/0/probe/path: is \"gw\"; "
                + "allowed: text that matches ^/; /items/0/probe/port: is \"80\"; allowed: an integer")
        await #expect(throws: expected) {
            try await binding.perform(.ensure, Data(body.utf8), context)
        }
    }

    @Test func malformedJSONIsNamed() async throws {
        do {
            _ = try await binding.perform(.ensure, Data("{".utf8), context)
            Issue.record("must throw")
        } catch let error as ProviderError {
            #expect(error.code == .invalid)
            #expect(error.message.hasPrefix("request: is not JSON"))
        }
    }

    @Test func verbsNotOfferedAnswerUnsupported() async throws {
        #expect(binding.offeredVerbs == [.ensure, .remove, .status])
        do {
            _ = try await binding.perform(.prune, Data(#"{"items":[]}"#.utf8), context)
            Issue.record("must throw")
        } catch let error as ProviderError {
            #expect(error.code == .unsupported)
        }
    }
}
