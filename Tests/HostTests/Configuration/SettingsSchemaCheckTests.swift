import Foundation
import JSONModel
import Logging
import Testing

@testable import Host

@Suite struct SettingsSchemaCheckTests {
    private let mistaken = """
        role: manager
        trust: { policy: POLICY }
        plugins:
          - { path: libNameless.so }
          - name: one
            path: PLUGIN
            config:
              fixed: 12
              pools:
                - name: p
                  size: 9
                - size: 3
              colour: red
          - name: two
            path: PLUGIN
            config: { label: good, fixed: x }
          - { name: three, path: PLUGIN, config: [] }
        """

    private let expected = [
        "host.yaml: line 4: plugins[0].name is missing",
        "host.yaml: line 17: plugins[3].config must be a mapping of fields",
        "host.yaml: line 8: plugins[1].config.fixed: is 12; allowed: at most 9",
        "host.yaml: line 7: plugins[1].config.label: is missing; must be there",
        "host.yaml: line 11: plugins[1].config.pools[0].size: is 9; allowed: at most 5",
        "host.yaml: line 12: plugins[1].config.pools[1].name: is missing; must be there",
        "host.yaml: line 13: plugins[1].config.colour: is not a member that is known here; "
            + "allowed: fixed, label, pools",
        "host.yaml: line 16: plugins[2].config.fixed: is \"x\"; allowed: an integer",
    ]

    private func check(_ text: String, plugin: String, policy: String) async throws -> [String] {
        let file = FileManager.default.temporaryDirectory.appending(path: "kegwt-check-\(UUID().uuidString).yaml")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(text.replacing("PLUGIN", with: plugin).replacing("POLICY", with: policy).utf8).write(to: file)
        return await ConfigurationCheck(path: file.path, depth: .instances, logger: Logger(label: "test")).errors
            .map { $0.replacing(file.path, with: "host.yaml") }
    }

    @Test func everyMistakeHasTheLineOfItsMember() async throws {
        let workshop = try PluginWorkshop()
        defer { workshop.remove() }
        let plugin = try workshop.build("settable", SettablePlugin.source(schema: SettablePlugin.schema))
        let found = try await check(mistaken, plugin: plugin, policy: "any")
        #expect(found.sorted() == expected.sorted())
        // What only the plugin itself can judge.
        let judged = try await check(
            mistaken.split(separator: "\n")[0...2].joined(separator: "\n")
                + "\n  - { name: one, path: PLUGIN, config: { label: bad } }", plugin: plugin, policy: "any")
        #expect(judged == ["host.yaml: line 4: plugin one (\(plugin)): label: bad is not allowed"])
    }

    @Test func aManifestsSchemaIsEnoughAndThePluginIsNotLoaded() async throws {
        let folder = try TrustedFolder(name: "schema")
        defer { folder.remove() }
        var document = try folder.document()
        document["name"] = "schema"
        document["configurationSchema"] = try JSONValue(json: Data(SettablePlugin.schema.utf8))
        try folder.write(document)
        // An instance for the entry whose settings could not be read would load it: that entry is left out.
        let text = mistaken.split(separator: "\n").dropLast().joined(separator: "\n")
        let found = try await check(text, plugin: folder.plugin, policy: "digest")
        #expect(found.sorted() == expected.filter { !$0.contains("line 17") }.sorted())
        #expect(folder.loads == 0)
        #expect(try !folder.isMapped())
    }
}
