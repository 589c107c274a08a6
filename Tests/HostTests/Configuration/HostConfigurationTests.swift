import Foundation
import Testing

@testable import Host

@Suite struct HostConfigurationTests {
    private func mistakes(_ text: String) -> [String] {
        do {
            _ = try HostConfiguration.parse(text, name: "host.yaml")
            return []
        } catch {
            return String(describing: error).split(separator: "\n").map(String.init)
        }
    }

    @Test func aFullFileIsRead() throws {
        let configuration = try HostConfiguration.parse(
            """
            role: manager
            logLevel: debug
            pluginDirectory: /opt/plugins
            kubernetes: { kubeconfig: /etc/kubeconfig }
            plugins:
              - name: azure-lb
                path: libAzureLB.so
                config: { cloudConfig: /etc/azure.json, retries: 3, strict: true, note: "1" }
            manager: { secretNamespace: keys, gatewayProbePort: 9000 }
            """, name: "host.yaml")
        #expect(configuration.role == .manager)
        #expect(configuration.kubeconfig == "/etc/kubeconfig")
        #expect(configuration.manager.secretNamespace == "keys")
        #expect(configuration.manager.gatewayProbePort == 9000)
        #expect(configuration.manager.resyncSeconds == 300)
        let config = try #require(
            JSONSerialization.jsonObject(with: configuration.plugins[0].configuration) as? [String: Any])
        #expect(config["cloudConfig"] as? String == "/etc/azure.json")
        #expect(config["retries"] as? Int == 3)
        #expect(config["strict"] as? Bool == true)
        #expect(config["note"] as? String == "1")
    }

    @Test func anUnknownRoleNamesTheAllowedOnes() {
        #expect(
            mistakes("role: leader") == ["host.yaml: line 1: role is \"leader\"; allowed are manager, gateway, node"])
    }

    @Test func everyMistakeIsReportedWithItsLine() {
        let found = mistakes(
            """
            role: gateway
            logLevel: loud
            colour: red
            plugins:
              - path: libX.so
              - { name: a, path: b }
              - { name: a, path: c }
            manager: { gatewayProbePort: 70000 }
            """)
        #expect(found.count == 6)
        #expect(found.contains { $0.contains("nodeName is missing, as is the environment variable MY_NODE_NAME; ") })
        #expect(found.contains { $0.contains("line 2: logLevel is \"loud\"; allowed are trace") })
        #expect(found.contains { $0.contains("line 3: colour is unknown; known fields are") })
        #expect(found.contains { $0.contains("plugins[0].name is missing") })
        #expect(found.contains { $0.contains("line 7: plugins[2].name is \"a\" a second time") })
        #expect(found.contains { $0.contains("manager.gatewayProbePort is 70000; allowed are 1 to 65535") })
    }

    @Test func theDriftSectionIsReadAndHeldToItsRanges() throws {
        let text = "role: manager\nmanager: { drift: { checkSeconds: 60, pruneSeconds: 0 } }"
        let settings = try HostConfiguration.parse(text, name: "host.yaml").manager.drift
        #expect(settings.checkSeconds == 60 && settings.pruneSeconds == 0)
        let standard = try HostConfiguration.parse("role: manager", name: "host.yaml").manager.drift
        #expect(standard.checkSeconds == 30 && standard.pruneSeconds == 3600)
        let found = mistakes("role: manager\nmanager: { drift: { checkSeconds: 4, pruneSeconds: 59, colour: red } }")
        #expect(found.count == 3)
        #expect(found.contains { $0.contains("manager.drift.checkSeconds is 4; allowed are 5 to 3600") })
        #expect(found.contains { $0.contains("manager.drift.pruneSeconds is 59; allowed are 0 (never) and 60 to") })
        #expect(found.contains { $0.contains("manager.drift.colour is unknown") })
    }

    @Test func textThatIsNoYAMLIsOneLine() {
        let found = mistakes("role: [manager")
        #expect(found.count == 1)
        #expect(found.first?.contains("is not YAML") == true)
    }

    @Test func anEmptyFileAndAListAreRefused() {
        #expect(mistakes("").first?.contains("the file is empty") == true)
        #expect(mistakes("- role").first?.contains("must be a mapping") == true)
    }
}
