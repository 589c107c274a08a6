import Foundation
import Testing

@testable import Host

@Suite struct ConfigurationChangeTests {
    private func configuration(_ text: String) throws -> HostConfiguration {
        try HostConfiguration.parse(text, name: "host.yaml")
    }

    private func change(_ old: String, _ new: String) throws -> ConfigurationChange {
        try ConfigurationChange(from: configuration(old), to: configuration(new))
    }

    private func fields(_ old: String, _ new: String) throws -> [String] {
        try change(old, new).restarts.map(\.field)
    }

    private let base = """
        role: gateway
        nodeName: n
        plugins:
          - { name: a, path: libA.so, config: { mtu: 1400, form: auto } }
          - { name: b, path: libA.so, config: { mtu: 1300 } }
        """

    @Test func theSameInOtherWordsIsNoChange() throws {
        let other = """
            # A comment, other lines, another order of members.
            nodeName: n
            role: gateway
            logLevel: info

            plugins:
              - config:
                  form: auto
                  mtu: 1400
                path: libA.so
                name: a
              - { name: b, path: libA.so, config: { mtu: 1300 }, isolation: in-process }
            """
        let change = try change(base, other)
        #expect(change.reconfigured.isEmpty && change.logLevel == nil && change.restarts.isEmpty)
    }

    @Test func settingsOfOneInstanceAndTheLogLevelNeedNoRestart() throws {
        let change = try change(base, base.replacing("mtu: 1300", with: "mtu: 1350") + "\nlogLevel: debug")
        #expect(change.reconfigured.map(\.name) == ["b"])
        #expect(change.reconfigured.first?.line == 5)
        #expect(change.reconfigured.first.map { String(decoding: $0.configuration, as: UTF8.self) } == #"{"mtu":1350}"#)
        #expect(change.logLevel == "debug")
        #expect(change.restarts.isEmpty)
    }

    @Test func settingsForAnotherFileOrProcessWaitForTheRestart() throws {
        let change = try change(
            base, base.replacing("b, path: libA.so, config: { mtu: 1300", with: "b, path: libB.so, config: { mtu: 1"))
        #expect(change.reconfigured.isEmpty)
        #expect(
            change.restarts == [
                .init(field: "plugins[1].path", plugin: "b"), .init(field: "plugins[1].config", plugin: "b"),
            ])
        let isolated = base.replacing("name: a,", with: "name: a, isolation: process,")
        #expect(try fields(base, isolated) == ["plugins[0].isolation"])
        let limited = base.replacing("name: a,", with: "name: a, isolation: process, memoryLimitMiB: 64,")
        #expect(try fields(isolated, limited) == ["plugins[0].isolation"])
    }

    @Test func theListItselfTakesARestart() throws {
        let lines = base.split(separator: "\n").map(String.init)
        let swapped = (lines[0...2] + [lines[4], lines[3]]).joined(separator: "\n")
        #expect(try fields(base, swapped) == ["plugins (order)"])
        let shorter = lines[0...3].joined(separator: "\n")
        #expect(
            try change(base, shorter).restarts == [.init(field: "plugins (b is gone)", plugin: "b")])
        #expect(try fields(shorter, base) == ["plugins[1] (b is new)"])
    }

    @Test(arguments: [
        ("pluginDirectory: /x", "pluginDirectory"), ("kubernetes: { kubeconfig: /x }", "kubernetes.kubeconfig"),
        ("trust: { policy: any }", "trust"), ("manager: { resyncSeconds: 60 }", "manager"),
        ("gateway: { drainSeconds: 1 }", "gateway"), ("observability: { metricsPort: 9 }", "observability"),
    ])
    func everySectionIsNamed(section: String, field: String) throws {
        #expect(try fields(base, "\(base)\n\(section)") == [field])
        #expect(try fields("\(base)\n\(section)", base) == [field])
    }

    @Test func theRoleAndTheNodeAreNamed() throws {
        let other = base.replacing("role: gateway", with: "role: node").replacing("nodeName: n", with: "nodeName: m")
        #expect(try fields(base, other) == ["role", "nodeName"])
    }

    @Test func aFileIsReadOnceItStaysAsItIs() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "kegwt-watch-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "host.yaml")
        func version() -> FileVersion? { FileVersion(path: file.path) }
        var watch = FileWatch()
        // The macro #expect calls no mutating function.
        func isRead(isAsked: Bool = false) -> Bool { watch.shouldRead(version(), isAsked: isAsked) }
        try Data("one".utf8).write(to: file)
        #expect(!isRead())
        #expect(isRead())
        #expect(!isRead())
        // Still being written at each look.
        for text in ["one, tw", "one, two, thr"] {
            try Data(text.utf8).write(to: file)
            #expect(!isRead())
        }
        #expect(isRead())
        #expect(isRead(isAsked: true))
        #expect(!isRead())
        try FileManager.default.removeItem(at: file)
        #expect(!isRead())
        #expect(isRead())
    }
}
