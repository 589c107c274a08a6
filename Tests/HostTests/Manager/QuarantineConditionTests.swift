import Foundation
import Kubernetes
import ProviderKit
import Testing

@testable import Host

/// What a user sees of a plugin that does not keep its contract.
@Suite(.serialized) struct QuarantineConditionTests {
    @Test func aQuarantinedPluginIsToldInTheConditionOfWhatWaitsForIt() async throws {
        let workshop = try PluginWorkshop()
        defer { workshop.remove() }
        var plugin = ProbePlugin()
        plugin.verb = "return finish(call->ticket, EGP_OK, \"this is no JSON\");"
        let path = try workshop.build("broken", plugin.source)
        let entry = PluginEntry(name: "broken", path: path, configuration: Data("{}".utf8))
        try await ManagerFixture.run(loadBalancer: entry) { fixture in
            var seen: (name: String, condition: Condition)?
            // Each configuration costs the plugin a call at least; three broken answers are the limit.
            for number in 0..<10 where seen == nil {
                try await fixture.create("gateway-\(number)")
                seen = try? await fixture.eventually("a condition names the quarantine", within: .seconds(4)) {
                    for index in 0...number {
                        let name = "gateway-\(index)"
                        let found = try await fixture.find(StaticGatewayConfiguration.self, name)
                        let ready = found?.status?.conditions?.first { $0.type == "Ready" }
                        if let ready, ready.reason == "ProviderQuarantined" { return (name, ready) }
                    }
                    return nil
                }
            }
            let found = try #require(seen)
            #expect(found.condition.status == "False")
            #expect(found.condition.message.contains("plugin broken: quarantined: "))
            let balancer = try await fixture.find(GatewayLBConfiguration.self, found.name)
            #expect(balancer?.status?.conditions?.first?.reason == "ProviderQuarantined")
            let status = try #require(fixture.plugins.instances.first { $0.name == "broken" }?.status)
            #expect(status.state == "quarantined" || status.state == "on trial")
        }
    }
}
