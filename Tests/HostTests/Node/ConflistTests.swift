import Foundation
import JSONModel
import Kubernetes
import Logging
import Testing

@testable import Host

@Suite("Node: conflist")
struct ConflistTests {
    private func settings(_ directory: String = "/none") -> NodeSettings {
        var settings = NodeSettings()
        settings.cniConfigurationDirectory = directory
        settings.socketPath = "/run/x.sock"
        settings.exceptionCIDRs = ["10.1.0.0/16"]
        return settings
    }

    private func decoded(_ data: Data) throws -> JSONValue { try KubernetesJSON.decode(JSONValue.self, from: data) }

    private static let ours: JSONValue = [
        "type": "kube-egress-cni", "socketPath": "/run/x.sock", "excludedCIDRs": ["10.1.0.0/16"],
    ]

    @Test("ours becomes the second plugin of a list (upstream behaviour section 5.7)")
    func list() throws {
        let source = """
            {"cniVersion":"0.3.1","name":"podnet","plugins":[{"type":"bridge","ipam":{"type":"host-local"}},
             {"type":"portmap","capabilities":{"portMappings":true}}]}
            """
        let expected: JSONValue = [
            "cniVersion": "0.3.1", "name": "podnet",
            "plugins": [
                ["type": "bridge", "ipam": ["type": "host-local"]], Self.ours,
                ["type": "portmap", "capabilities": ["portMappings": true]],
            ],
        ]
        let first = try Conflist.extending("10-podnet.conflist", Data(source.utf8), with: settings())
        #expect(try decoded(first) == expected)
        // An entry that is there already is replaced, whatever its letters' case.
        let again = String(decoding: first, as: UTF8.self).replacingOccurrences(
            of: "kube-egress-cni", with: "Kube-Egress-CNI")
        #expect(try Conflist.extending("10-podnet.conflist", Data(again.utf8), with: settings()) == first)
    }

    @Test("a single plugin's file is wrapped into a list", arguments: ["10-net.conf", "10-net.json"])
    func wrapped(name: String) throws {
        let source = #"{"cniVersion":"0.4.0","name":"single","type":"ptp","ipam":{"type":"host-local"}}"#
        let result = try decoded(try Conflist.extending(name, Data(source.utf8), with: settings()))
        #expect(
            result == [
                "cniVersion": "0.4.0", "name": "single",
                "plugins": [
                    ["cniVersion": "0.4.0", "name": "single", "type": "ptp", "ipam": ["type": "host-local"]], Self.ours,
                ],
            ])
    }

    @Test(
        "a file that is none is refused with its name and field",
        arguments: [
            ("a.conflist", "{", "is not JSON"), ("a.conflist", "[]", "is not a JSON object"),
            ("a.conflist", "{}", "field plugins"), ("a.conflist", #"{"plugins":[]}"#, "field plugins"),
            ("a.conflist", #"{"plugins":{}}"#, "field plugins"),
            ("a.conflist", #"{"plugins":[{"type":"x"},{}]}"#, "field plugins[1].type"),
            ("a.conf", #"{"type":"x"}"#, "field name"), ("a.conf", #"{"name":"n","cniVersion":1}"#, "field cniVersion"),
        ])
    func refused(name: String, text: String, reason: String) {
        let error = #expect(throws: HostError.self) {
            try Conflist.extending(name, Data(text.utf8), with: settings())
        }
        #expect(error?.message.hasPrefix(name) == true && error?.message.contains(reason) == true)
    }

    @Test("the first file by name is extended, never our own")
    func source() {
        #expect(Conflist.source(among: ["99-z.conf", "10-b.conflist", "README", "05-a.json.bak"]) == "10-b.conflist")
        #expect(Conflist.source(among: ["01-EgressGateway.conflist", "01-egressgateway.conflist.tmp"]) == nil)
    }

    @Test("the file follows its source, is written only on change and comes back when it is removed")
    func installs() throws {
        let directory = NSTemporaryDirectory() + "kegwt-ro-cni-\(UUID().uuidString.prefix(8))"
        let files = FileManager.default
        try files.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? files.removeItem(atPath: directory) }
        let installer = ConflistInstaller(settings: settings(directory), logger: Logger(label: "test"))
        #expect(try installer.install() == .noSource)
        try Data(#"{"name":"one","plugins":[{"type":"bridge"}]}"#.utf8).write(
            to: URL(filePath: "\(directory)/10-a.conflist"))
        #expect(try installer.install() == .written(source: "10-a.conflist"))
        #expect(try installer.install() == .unchanged)
        let path = "\(directory)/01-egressgateway.conflist"
        let mode = try files.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o644)
        try Data(#"{"name":"two","type":"ptp"}"#.utf8).write(to: URL(filePath: "\(directory)/05-b.conf"))
        #expect(try installer.install() == .written(source: "05-b.conf"))
        #expect(try decoded(Data(contentsOf: URL(filePath: path)))["name"] == "two")
        try files.removeItem(atPath: path)
        #expect(try installer.install() == .written(source: "05-b.conf"))
        #expect(
            try files.contentsOfDirectory(atPath: directory).sorted() == [
                "01-egressgateway.conflist", "05-b.conf", "10-a.conflist",
            ])
    }

    @Test("an announced uninstallation takes the file away, and its end brings it back")
    func uninstalls() throws {
        let directory = NSTemporaryDirectory() + "kegwt-ro-cni-\(UUID().uuidString.prefix(8))"
        let files = FileManager.default
        try files.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? files.removeItem(atPath: directory) }
        let announcement = "\(directory)/uninstall"
        var settings = settings(directory)
        settings.uninstallFile = announcement
        let installer = ConflistInstaller(settings: settings, logger: Logger(label: "test"))
        try Data(#"{"name":"one","plugins":[{"type":"bridge"}]}"#.utf8).write(
            to: URL(filePath: "\(directory)/10-a.conflist"))
        for text in ["false", "", "truely"] {
            try Data(text.utf8).write(to: URL(filePath: announcement))
            #expect(try installer.install() != .removed)
            #expect(files.fileExists(atPath: "\(directory)/01-egressgateway.conflist"))
        }
        try Data("true\n".utf8).write(to: URL(filePath: announcement))
        #expect(try installer.install() == .removed)
        #expect(try installer.install() == .unchanged)
        #expect(try files.contentsOfDirectory(atPath: directory).sorted() == ["10-a.conflist", "uninstall"])
        try files.removeItem(atPath: announcement)
        #expect(try installer.install() == .written(source: "10-a.conflist"))
    }

    @Test("the executable is replaced whole, also while it runs, and by a shorter one")
    func executable() throws {
        let directory = NSTemporaryDirectory() + "kegwt-ro-bin-\(UUID().uuidString.prefix(8))"
        let files = FileManager.default
        try files.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? files.removeItem(atPath: directory) }
        let installed = "\(directory)/kube-egress-cni"
        #expect(try CNIExecutable.install("/usr/bin/sleep", into: directory) == installed)
        let running = try Process.run(URL(filePath: installed), arguments: ["60"])
        defer { running.terminate() }
        #expect(try CNIExecutable.install("/usr/bin/true", into: directory) == installed)
        #expect(files.contentsEqual(atPath: "/usr/bin/true", andPath: installed))
        #expect(running.isRunning)
        #expect(try files.attributesOfItem(atPath: installed)[.posixPermissions] as? Int == 0o755)
        #expect(throws: HostError.self) { try CNIExecutable.install("/nonexistent", into: directory) }
        #expect(try files.contentsOfDirectory(atPath: directory) == ["kube-egress-cni"])
    }
}
