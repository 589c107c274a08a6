import Foundation
import JSONModel
import Testing

@testable import ProviderCheck

/// The real executable, run as a person runs it.
struct Validator {
    /// What one run said.
    struct Run {
        var status: Int32
        var reports: [CaseReport]
        var output: String

        func names(_ outcome: Outcome) -> Set<String> {
            Set(reports.filter { $0.outcome == outcome }.map(\.name))
        }

        func reason(_ name: String) -> String { reports.first { $0.name == name }?.reason ?? "" }
    }

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Where `swift build --build-tests` puts executables and plugins.
    static let products = root.appending(path: ".build/debug")

    /// Runs all cases, or those of `arguments`.
    ///
    /// - Parameter namespace: name of the network namespace to run in; nil: this process's.
    static func run(
        _ plugin: String, config: JSONValue?, _ arguments: [String] = [], in namespace: String? = nil
    ) async throws -> Run {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var all = [plugin, "--json", "--seed", "7"] + arguments
        if let config {
            let file = folder.url.appending(path: "check.json")
            try config.json().write(to: file)
            all += ["--config", file.path]
        }
        var command = [products.appending(path: "egress-provider-check").path] + all
        if let namespace { command = ["ip", "netns", "exec", namespace] + command }
        let (status, output) = try await launch(URL(filePath: "/usr/bin/env"), command)
        let document = try? JSONDecoder().decode(ReportPage.Document.self, from: Data(output.utf8))
        return Run(status: status, reports: document?.cases ?? [], output: output)
    }

    /// Runs a program and gives its exit status and what it wrote to standard output.
    static func launch(_ program: URL, _ arguments: [String], in folder: URL? = nil) async throws -> (Int32, String) {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        if let folder { process.currentDirectoryURL = folder }
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardInput = FileHandle.nullDevice
        return try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { _ in }
            do { try process.run() } catch { return continuation.resume(throwing: error) }
            // A thread of its own: reading blocks until the program has ended.
            Thread.detachNewThread {
                let output = pipe.fileHandleForReading.readDataToEndOfFile()
                process.waitUntilExit()
                continuation.resume(returning: (process.terminationStatus, String(decoding: output, as: UTF8.self)))
            }
        }
    }
}

/// A folder of one test.
struct TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "provider-check-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    func remove() { try? FileManager.default.removeItem(at: url) }
}
