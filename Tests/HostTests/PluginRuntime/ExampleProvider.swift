import Foundation
import Testing

@testable import Host

/// The provider in C of `deploy/examples`, built by the very command that its header comment tells.
struct ExampleProvider {
    /// Temporary; the shared object is in it.
    let folder: URL
    /// Path of the shared object.
    let path: String

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "kegwt-example-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        path = folder.appending(path: "libStaticLB.so").path
        let file = Self.root.appending(path: "deploy/examples/provider-in-c/static_load_balancer.c")
        let command = try Self.command(in: String(contentsOf: file, encoding: .utf8))
        try #require(command.contains("-std=c11 -Wall -Wextra -Wpedantic -Werror"))
        let shell = Process()
        shell.executableURL = URL(filePath: "/bin/sh")
        shell.arguments = ["-c", command.replacing("-o libStaticLB.so", with: "-o \(path)")]
        shell.currentDirectoryURL = Self.root
        try shell.run()
        shell.waitUntilExit()
        try #require(shell.terminationStatus == 0)
    }

    /// The lines from ` *   clang` on, as long as they end in a backslash.
    private static func command(in source: String) throws -> String {
        let lines = source.split(separator: "\n").drop { !$0.hasPrefix(" *   clang") }
        let end = try #require(lines.firstIndex { !$0.hasSuffix("\\") })
        return lines[...end].map { $0.dropFirst(3).replacing("\\", with: "") }.joined()
    }

    func remove() { try? FileManager.default.removeItem(at: folder) }

    func entry(_ configuration: String = #"{"frontendIP": "10.0.0.4", "firstPort": 6000}"#) -> PluginEntry {
        PluginEntry(name: "fixed", path: path, configuration: Data(configuration.utf8))
    }
}
