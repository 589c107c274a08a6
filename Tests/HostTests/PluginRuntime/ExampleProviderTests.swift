import Foundation
import Logging
import ProviderKit
import Testing

@testable import Host

/// The provider in C through the daemon's own loader.
@Suite struct ExampleProviderTests {
    private let logger = Logger(label: "test")

    private func withProvider<R>(_ body: (PluginRuntime) async throws -> R) async throws -> R {
        let example = try ExampleProvider()
        defer { example.remove() }
        let runtime = try await PluginRuntime([example.entry()], directory: "/", trust: .testing, logger: logger)
        defer { runtime.close() }
        return try await body(runtime)
    }

    private func withLoadBalancer<R>(_ body: (PluginCapability<LoadBalancer>) async throws -> R) async throws -> R {
        try await withProvider { try await body($0.require(LoadBalancer.self, timeout: .seconds(5))) }
    }

    /// The message with which the provider refuses a request as invalid; nil if it accepts it.
    private func refusal(_ runtime: PluginRuntime, _ verb: Verb, _ request: String) async throws -> String? {
        let capability = try UntypedCapability(LoadBalancer.identifier, of: runtime.instances[0])
        do {
            _ = try await capability.call(verb, Data(request.utf8), timeout: .seconds(5))
            return nil
        } catch let error as ProviderError {
            #expect(error.code == .invalid)
            return error.message
        }
    }

    private func desired(_ id: String) -> LoadBalancer.Desired {
        .init(id: id, pool: PoolSelector(nodepoolName: "p"), probe: .init(path: "/gw/\(id)", port: 8082))
    }

    private func reference(_ id: String) -> PoolReference {
        PoolReference(id: id, pool: PoolSelector(nodepoolName: "p"))
    }

    @Test func aPortIsGivenKeptListedAndForgotten() async throws {
        try await withLoadBalancer { balancer in
            let first = try await balancer.ensure([desired("a"), desired("b")])
            #expect(first.map(\.id) == ["a", "b"])
            let ports = first.compactMap { $0.observed?.port }
            #expect(Set(ports).count == 2)
            #expect(ports.allSatisfy { (6000...6999).contains($0) })
            #expect(first.allSatisfy { $0.code == .ok && $0.observed?.frontendIP == "10.0.0.4" })
            #expect(try await balancer.ensure([desired("b"), desired("a")]) == first.reversed())
            #expect(Set(try await balancer.status([]).map(\.id)) == ["a", "b"])
            #expect(try await balancer.remove([reference("a"), reference("never")]) == [.ok("a"), .ok("never")])
            #expect(try await balancer.status([]) == [first[1]])
        }
    }

    @Test func theSameIDHasTheSamePortInANewInstance() async throws {
        let example = try ExampleProvider()
        defer { example.remove() }
        var seen: [[Int?]] = []
        for order in [["x", "y"], ["y", "x"]] {
            let runtime = try await PluginRuntime([example.entry()], directory: "/", trust: .testing, logger: logger)
            defer { runtime.close() }
            let balancer = try runtime.require(LoadBalancer.self, timeout: .seconds(5))
            let results = try await balancer.ensure(order.map(desired))
            seen.append(results.sorted { $0.id < $1.id }.map { $0.observed?.port })
        }
        #expect(seen[0] == seen[1])
    }

    @Test func oneItemMoreThanThereArePortsFailsAlone() async throws {
        try await withLoadBalancer { balancer in
            let results = try await balancer.ensure((0...1000).map { desired("id-\($0)") })
            #expect(results.count == 1001)
            #expect(Set(results.compactMap { $0.observed?.port }) == Set(6000...6999))
            let failed = results.filter { $0.code != .ok }
            #expect(failed.map(\.id) == ["id-1000"])
            #expect(failed.first?.code == .terminal)
            #expect(failed.first?.message == "all 1000 ports are taken")
        }
    }

    @Test func concurrentCallsNeverShareAPort() async throws {
        try await withLoadBalancer { balancer in
            let ports = try await withThrowingTaskGroup(of: [Int].self) { group in
                for task in 0..<50 {
                    group.addTask {
                        let items = (0..<10).map { self.desired("\(task)-\($0)") }
                        return try await balancer.ensure(items).compactMap { $0.observed?.port }
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(ports.count == 500)
            #expect(Set(ports).count == 500)
        }
    }

    @Test func escapedIDsAreTheirCharacters() async throws {
        try await withProvider { runtime in
            let capability = try UntypedCapability(LoadBalancer.identifier, of: runtime.instances[0])
            let request = #"""
                {"unknown": [1.5e-3, {"a": [true, false, null, "\ud83d\ude00"]}, []], "items": [
                  {"id": "\u0061\"\\\/\n\u00e9\ud83d\ude00", "pool": {"nodepoolName": "p"}}, {"x": {}, "id": "A"}]}
                """#
            _ = try await capability.call(.ensure, Data(request.utf8), timeout: .seconds(5))
            let balancer = try runtime.require(LoadBalancer.self, timeout: .seconds(5))
            #expect(Set(try await balancer.status([]).map(\.id)) == ["a\"\\/\né😀", "A"])
            let again = try await balancer.remove([reference("a\"\\/\né😀")])
            #expect(again.map(\.code) == [.ok])
            #expect(try await balancer.status([]).map(\.id) == ["A"])
        }
    }

    @Test(arguments: [
        ("", "request: must be an object"),
        ("[]", "request: must be an object"),
        ("{", "request: must be a string"),
        ("{}", "request: items is missing"),
        (#"{"items"}"#, "request: a colon is missing"),
        (#"{"items": 7}"#, "request.items: must be a list"),
        (#"{"items": [7]}"#, "request.items[0]: must be an object"),
        (#"{"items": [{"id": "a"}, {"id": 7}]}"#, "request.items[1].id: must be a string"),
        (#"{"items": [{"id": "a"}, {"pool": {}}]}"#, "request.items[1]: needs a text id"),
        (#"{"items": [{"id": ""}]}"#, "request.items[0]: needs a text id"),
        (#"{"items": [{"id": "a\u0000b"}]}"#, "request.items[0]: needs a text id"),
        (#"{"items": [{"id": "a\x"}]}"#, "request.items[0].id: unknown escape in a string"),
        (#"{"items": [{"id": "\ud83d"}]}"#, "request.items[0].id: half a surrogate pair"),
        (#"{"items": [{"id": "\u00g0"}]}"#, #"request.items[0].id: bad \u escape in a string"#),
        (#"{"items": [{"id": "a"#, "request.items[0].id: string without an end"),
        (#"{"items": [{"id": "a"} {"id": "b"}]}"#, "request: a comma or ] is missing"),
        (#"{"items": [{"id": "a", "n": 01}]}"#, "request.items[0]: a comma or } is missing"),
        (#"{"items": [{"id": "a", "n": 1.}]}"#, "request.items[0]: must be a JSON value"),
        (#"{"items": [{"id": "a", "n": nul}]}"#, "request.items[0]: must be a JSON value"),
        (#"{"items": [{"id": "a"}],}"#, "request: must be a string"),
        (#"{"items": [{"id": "a"}]} x"#, "request: text after the end of the JSON"),
        ("{\"items\": [{\"id\": \"a\nb\"}]}", "request.items[0].id: control character in a string"),
        (#"{"deep": "# + String(repeating: "[", count: 5000), "request: is nested too deeply"),
    ])
    func aBadRequestIsRefusedWholeAndItsFieldNamed(request: String, reason: String) async throws {
        try await withProvider { runtime in
            let message = try await refusal(runtime, .ensure, request)
            #expect(message?.hasPrefix(reason) == true, "\(message ?? "accepted")")
            // Nothing of a bad batch was done, and the provider still works.
            let balancer = try runtime.require(LoadBalancer.self, timeout: .seconds(5))
            #expect(try await balancer.status([]).isEmpty)
            #expect(try await balancer.ensure([desired("a")]).map(\.code) == [.ok])
        }
    }

    @Test func everyCutOfARequestIsRefusedWithoutHarm() async throws {
        let request = #"{"items": [{"id": "\u00e9\ud83d\ude00", "n": [-1.5E+2, true, {"k": null}]}]}"#
        try await withProvider { runtime in
            for length in 0..<request.utf8.count {
                let cut = String(decoding: request.utf8.prefix(length), as: UTF8.self)
                let message = try await refusal(runtime, .ensure, cut)
                #expect(message != nil, "\(cut)")
            }
            let message = try await refusal(runtime, .ensure, request)
            #expect(message == nil)
        }
    }

    @Test func memberNamesAndValuesOfAnyLengthAndNumberDoNoHarm() async throws {
        let long = String(repeating: "é", count: 3000)
        let ids = Array(repeating: #""id": "a""#, count: 500).joined(separator: ", ")
        try await withProvider { runtime in
            let manyMembers = try await refusal(
                runtime, .ensure, #"{"\#(long)": "\#(long)", "items": [{\#(ids)}]}"#)
            #expect(manyMembers == nil)
            let tooLong = try await refusal(runtime, .ensure, #"{"items": [{"id": "\#(long)"}]}"#)
            #expect(tooLong?.contains("allowed are 1 to 255 bytes") == true)
            let longest = String(repeating: "x", count: 255)
            let fits = try await refusal(runtime, .ensure, #"{"items": [{"id": "\#(longest)"}]}"#)
            #expect(fits == nil)
            let oneMore = try await refusal(runtime, .ensure, #"{"items": [{"id": "\#(longest)x"}]}"#)
            #expect(oneMore != nil)
        }
    }

    @Test(arguments: [
        ("{}", "configuration.frontendIP: is missing"),
        (#"{"frontendIP": "10.0.0.4"}"#, "configuration.firstPort: is missing"),
        (#"{"frontendIP": "10.0.0", "firstPort": 1}"#, "configuration.frontendIP: allowed is an IPv4 address"),
        (#"{"frontendIP": 4, "firstPort": 1}"#, "configuration.frontendIP: must be a string"),
        (#"{"frontendIP": "10.0.0.4", "firstPort": 0}"#, "configuration.firstPort: allowed are the integers 1 to"),
        (#"{"frontendIP": "10.0.0.4", "firstPort": 64537}"#, "configuration.firstPort: allowed are the integers"),
        (#"{"frontendIP": "10.0.0.4", "firstPort": "6000"}"#, "configuration.firstPort: allowed are the integers"),
        (#"{"frontendIP": "10.0.0.4", "firstPort": 6e3}"#, "configuration.firstPort: allowed are the integers"),
        (#"{"frontendIP": "10.0.0.4", "firstPort": 1, "color": 1}"#, "configuration.color: is unknown; known are"),
        (#"{"frontendIP": "10.0.0.4", "#, "configuration: must be a string"),
    ])
    func aBadConfigurationIsRefusedAndItsFieldNamed(configuration: String, reason: String) async throws {
        let example = try ExampleProvider()
        defer { example.remove() }
        do {
            _ = try await PluginRuntime([example.entry(configuration)], directory: "/", trust: .testing, logger: logger)
            Issue.record("must be refused")
        } catch let error as HostError {
            #expect(error.message.hasPrefix("plugin fixed (\(example.path)): \(reason)"), "\(error.message)")
        }
    }
}
