import Foundation
import Logging
import ProviderKit
import Testing

@testable import Host

@Suite struct ConfigurationCheckTests {
    private let logger = Logger(label: "test")
    private let request = #"{"items": [{"id": "a", "pool": {"nodepoolName": "p"}}]}"#

    /// Runs `body` with the path of a `host.yaml` in which `EXAMPLE` stands for the example provider's file.
    private func withFile<R>(_ text: String, _ body: (String, ExampleProvider) async throws -> R) async throws -> R {
        let example = try ExampleProvider()
        defer { example.remove() }
        let file = example.folder.appending(path: "host.yaml")
        // At the end, so that lines keep their numbers; the example is in a temporary folder and has no manifest.
        let trust = "\ntrust: { policy: any }\n"
        try Data((text.replacing("EXAMPLE", with: example.path) + trust).utf8).write(to: file)
        return try await body(file.path, example)
    }

    private func errors(_ text: String, depth: ConfigurationCheck.Depth = .instances) async throws -> [String] {
        try await withFile(text) { path, example in
            await ConfigurationCheck(path: path, depth: depth, logger: logger).errors
                .map { $0.replacing(path, with: "host.yaml").replacing(example.path, with: "EXAMPLE") }
        }
    }

    @Test func aFileThatCannotBeReadIsOneLine() async {
        let check = await ConfigurationCheck(path: "/nonexistent/host.yaml", depth: .instances, logger: logger)
        #expect(check.errors == ["/nonexistent/host.yaml: cannot be read: there is no such file"])
    }

    @Test func mistakesOfTheFileAndOfPluginsAreAllReportedWithTheirLines() async throws {
        let found = try await errors(
            """
            role: manager
            colour: red
            plugins:
              - { name: good, path: EXAMPLE, config: { frontendIP: 10.0.0.4, firstPort: 6000 } }
              - { name: bad, path: EXAMPLE, config: { frontendIP: 10.0.0.4, firstPort: 70000 } }
              - name: absent
                path: /nonexistent/libNone.so
            """)
        #expect(found.count == 3)
        #expect(found.contains { $0.hasPrefix("host.yaml: line 2: colour is unknown") })
        #expect(
            found.contains {
                $0.hasPrefix(
                    "host.yaml: line 5: plugin bad (EXAMPLE): configuration.firstPort: allowed are the integers 1 to")
            })
        #expect(
            found.contains(
                "host.yaml: line 6: plugin /nonexistent/libNone.so: No such file or directory"))
    }

    @Test func aWrongRoleDoesNotHideThePlugins() async throws {
        let found = try await errors("role: leader\nplugins: [{ name: x, path: /nonexistent/libNone.so }]")
        #expect(found.count == 2)
        #expect(found.first?.contains("role is \"leader\"; allowed are") == true)
        #expect(found.last?.contains("No such file or directory") == true)
    }

    @Test func capabilitiesTheRoleLacksAreNamed() async throws {
        let settings = "{ frontendIP: 10.0.0.4, firstPort: 6000 }"
        let list = "plugins: [{ name: fixed, path: EXAMPLE, config: \(settings) }]"
        #expect(
            try await errors("role: manager\n\(list)") == [
                "host.yaml: plugins: none offers node-pool/1, which the role manager needs; "
                    + "the list offers fixed: load-balancer/1"
            ])
        let node = try await errors("role: node\nnodeName: n\n\(list)")
        #expect(node.count == 2)
        #expect(node.first?.contains("none offers tunnel/1") == true)
        #expect(node.last?.contains("none offers pod-network/1") == true)
        #expect(try await errors("role: manager\n\(list)", depth: .files) == [])
    }

    /// What `Daemon` requires when it makes the role.
    @Test(arguments: [
        (Role.manager, ["load-balancer/1", "node-pool/1"]), (.gateway, ["tunnel/1"]),
        (.node, ["tunnel/1", "pod-network/1"]),
    ])
    func rolesNeedTheseCapabilities(role: Role, identifiers: [String]) {
        #expect(role.requiredCapabilities.map { $0.identifier } == identifiers)
    }

    @Test func goodPluginsAreDescribed() async throws {
        let text = "role: manager\nplugins: [{ name: fixed, path: EXAMPLE, config: { wrong: 1 } }]"
        try await withFile(text) { path, example in
            let check = await ConfigurationCheck(path: path, depth: .files, logger: logger)
            let plugin = try #require(check.plugins.first)
            #expect(plugin.name == "fixed" && plugin.provider == "StaticLB" && plugin.version == "1.0.0")
            #expect(plugin.capabilities == ["load-balancer/1"])
            #expect(plugin.file == example.path)
        }
    }

    private func call(
        _ plugin: String = "fixed", _ capability: String = "load-balancer/1", _ verb: String = "ensure",
        request: String? = nil, config: String = "{ frontendIP: 10.0.0.4, firstPort: 6000 }"
    ) async throws -> PluginCall.Answer {
        let text = "role: manager\nplugins: [{ name: fixed, path: EXAMPLE, config: \(config) }]"
        return try await withFile(text) { path, _ in
            try await PluginCall(plugin: plugin, capability: capability, verb: verb)
                .run(
                    configuration: try HostConfiguration.load(path: path),
                    request: Data((request ?? self.request).utf8), timeout: .seconds(5), logger: logger)
        }
    }

    @Test func aCallByHandPrintsThePluginsOwnBytes() async throws {
        let answer = try await call()
        let items = try JSONDecoder().decode(BatchResult<LoadBalancer.Observed>.self, from: answer.result).items
        #expect(items.map(\.id) == ["a"])
        #expect(items.first?.observed?.frontendIP == "10.0.0.4")
        #expect(answer.failedItems.isEmpty)
    }

    @Test func anItemThatFailedIsSaid() async throws {
        let items = (0...1000).map { #"{"id": "\#($0)"}"# }.joined(separator: ",")
        let answer = try await call(request: #"{"items": [\#(items)]}"#)
        #expect(answer.failedItems == ["item \"1000\": terminal: all 1000 ports are taken"])
    }

    @Test func unknownNamesAreAnsweredWithTheAllowedOnes() async throws {
        await #expect(throws: HostError(.configuration, "plugin \"x\" is not in the list; allowed are fixed")) {
            try await call("x")
        }
        await #expect(
            throws: HostError(
                .plugin,
                "plugin fixed: does not offer the capability \"tunnel/1\"; allowed are load-balancer/1")
        ) { try await call("fixed", "tunnel/1") }
        for verb in ["prune", "explode"] {
            await #expect(
                throws: HostError(
                    .plugin,
                    "plugin fixed: load-balancer/1 does not offer the verb \"\(verb)\"; "
                        + "allowed are ensure, remove, status")
            ) { try await call("fixed", "load-balancer/1", verb) }
        }
    }

    @Test func aRefusedRequestThrowsThePluginsCodeAndMessage() async throws {
        do {
            _ = try await call(request: "{}")
            Issue.record("must throw")
        } catch let error as ProviderError {
            #expect(error.code == .invalid)
            #expect(error.message.hasPrefix("request: items is missing"))
        }
    }
}
