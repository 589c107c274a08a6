import Foundation
import Testing

/// The install tree of `make build`: named by the environment, because it is made from these products.
private let tree: URL? = ProcessInfo.processInfo.environment["EGRESS_INSTALL_TREE"].map { URL(filePath: $0) }

@Suite(
    .enabled(
        if: tree != nil && getuid() == 0,
        "needs root, and EGRESS_INSTALL_TREE naming an install tree; `make test` provides both"))
struct InstallTreeTests {
    /// Runs a shell line with the Swift toolchain's folder hidden from it.
    private func withoutToolchain(_ line: String) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        let hide = """
            set -e
            swift=$(readlink -f "$(command -v swift)")
            toolchain=$(dirname "$(dirname "$(dirname "$swift")")")
            mount -t tmpfs none "$toolchain"
            ! [ -e "$swift" ]
            \(line)
            """
        process.arguments = ["unshare", "--mount", "--propagation", "private", "bash", "-c", hide]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }

    private func path(_ relative: String) throws -> String { try #require(tree).appending(path: relative).path }

    @Test func programsRunWithoutTheToolchain() throws {
        for program in ["egress-host", "egressctl"] {
            let result = try withoutToolchain("\(try path("bin/\(program)")) --help")
            #expect(result.status == 0, "\(result.output)")
            #expect(result.output.contains("USAGE: \(program)"))
        }
    }

    @Test func theTreeRunsFromAnotherPlace() throws {
        // Not the temporary folder: the default trust policy refuses plugins below one that everybody may write to.
        let copy = URL(filePath: "/var/lib").appending(path: "kegwt-tree-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: copy) }
        try FileManager.default.createDirectory(at: copy, withIntermediateDirectories: true)
        for part in ["bin", "lib"] {
            let source = try #require(tree).appending(path: part)
            try FileManager.default.copyItem(at: source, to: copy.appending(path: part))
        }
        // A plugin of the moved tree is found, loaded and refuses its settings: so its libraries were found, too.
        let file = copy.appending(path: "host.yaml")
        try Data(
            """
            role: manager
            kubernetes: { kubeconfig: /nonexistent }
            plugins:
              - { name: lb, path: libAzureLB.so, config: { cloudConfig: /nonexistent/azure.json } }
            """.utf8
        ).write(to: file)
        let result = try withoutToolchain("\(copy.path)/bin/egress-host run --config \(file.path)")
        #expect(result.status == 1)
        #expect(result.output.contains("plugin lb"))
        #expect(result.output.contains("/nonexistent/azure.json"))
    }

    /// What a person gets for each mistake in the file: one line, and a status other than 0.
    @Test(arguments: [
        ("role: leader", "role is \"leader\"; allowed are manager, gateway, node"),
        ("role: gateway", "nodeName is missing"),
        ("role: manager\nplugins: [{ name: a, path: libNone.so }]", "libNone.so: No such file or directory"),
        ("role: manager\nplugins: [{ name: a, path: /etc/passwd }]", "/etc/passwd: has no manifest"),
        (
            "role: manager\ntrust: { policy: any }\nplugins: [{ name: a, path: /etc/passwd }]",
            "/etc/passwd: is no loadable shared object"
        ),
        ("role: manager\nkubernetes: { kubeconfig: /nonexistent/k }", "/nonexistent/k"),
        ("role: [", "is not YAML"),
    ])
    func badConfigurationIsOneLine(text: String, expected: String) throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "kegwt-host-\(UUID().uuidString).yaml")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(text.utf8).write(to: file)
        let result = try withoutToolchain("\(try path("bin/egress-host")) run --config \(file.path) 2>&1 >/dev/null")
        let lines = result.output.split(separator: "\n").filter { $0.hasPrefix("egress-host: ") }
        #expect(result.status == 1)
        #expect(lines.count == 1, "\(result.output)")
        #expect(lines.first?.contains(expected) == true, "\(result.output)")
    }
}
