import Foundation
import Testing

/// `egressctl plugins new`, as an author uses it: what it writes builds against this checkout and passes the validator.
@Suite(.serialized) struct PluginTemplateTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let products = root.appending(path: ".build/debug")
    private static let compiler = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .map { "\($0)/swift" }.first { FileManager.default.isExecutableFile(atPath: $0) }

    /// Runs a program to its end; both outputs in one, in a file, because a pipe that nobody reads would stop it.
    private func run(
        _ program: String, _ arguments: [String], in folder: URL
    ) async throws -> (status: Int32, output: String) {
        let file = folder.appending(path: ".output-\(UUID().uuidString)")
        try Data().write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.currentDirectoryURL = folder
        process.standardInput = FileHandle.nullDevice
        let handle = try FileHandle(forWritingTo: file)
        process.standardOutput = handle
        process.standardError = handle
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in continuation.resume() }
            do { try process.run() } catch {
                process.terminationHandler = nil
                continuation.resume(throwing: error)
            }
        }
        return (process.terminationStatus, try String(contentsOf: file, encoding: .utf8))
    }

    private func new(_ arguments: [String], in folder: URL) async throws -> (status: Int32, output: String) {
        try await run(
            Self.products.appending(path: "egressctl").path, ["plugins", "new"] + arguments, in: folder)
    }

    private func validate(
        _ plugin: String, _ configuration: String, in folder: URL
    ) async throws -> (status: Int32, output: String) {
        try await run(
            Self.products.appending(path: "egress-provider-check").path,
            [plugin, "--config", configuration, "--seed", "7"], in: folder)
    }

    /// That nothing failed could also mean that nothing was run.
    private func requirePassed(_ cases: [String], _ output: String) throws {
        let passed = output.split(separator: "\n").filter { $0.contains("passed") }
        for name in cases { #expect(passed.contains { $0.contains(name) }, "\(name): \(output)") }
    }

    private func withFolder(_ body: (URL) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "kegwt-new-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder)
    }

    private func content(_ folder: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { !$0.hasPrefix(".output-") }.sorted()
    }

    /// About a minute for the first kind, which compiles ProviderKit, and some seconds for each of the others, which
    /// share its build folder.
    @Test(.enabled(if: compiler != nil, "needs the Swift compiler on PATH"))
    func everyKindBuildsAndPassesTheValidator() async throws {
        let compiler = try #require(Self.compiler)
        try await withFolder { folder in
            for (kind, name) in [
                ("tunnel", "NewTunnel"), ("load-balancer", "NewBalancer"), ("node-pool", "NewPool"),
                ("pod-network", "NewPodNetwork"),
            ] {
                let made = try await new([name, "--kind", kind, "--sdk", Self.root.path], in: folder)
                try #require(made.status == 0, "\(made.output)")
                let built = try await run(
                    compiler, ["build", "--package-path", name, "--scratch-path", "build"], in: folder)
                try #require(built.status == 0, "\(built.output)")
                #expect(!built.output.contains("warning:"), "\(built.output)")
                let plugin = folder.appending(path: "build/debug/lib\(name).so").path
                let checked = try await validate(plugin, "\(name)/check.yaml", in: folder)
                #expect(checked.status == 0, "\(checked.output)")
                print("plugins new --kind \(kind): \(checked.output.split(separator: "\n").last ?? "")")
                try requirePassed(
                    ["bad-items-fail-alone", "check-changes-nothing", "prune-keeps-what-is-named", "fuzz-json"],
                    checked.output)
            }
        }
    }

    /// As docs/writing-a-provider.md has it.
    @Test func theExampleInCPassesTheValidator() async throws {
        let example = Self.root.appending(path: "deploy/examples/provider-in-c")
        let source = example.appending(path: "static_load_balancer.c")
        #expect(try String(contentsOf: source, encoding: .utf8).filter { $0 == "\n" }.count < 200)
        try await withFolder { folder in
            let plugin = folder.appending(path: "libStaticLB.so").path
            let built = try await run(
                "/usr/bin/env",
                [
                    "clang", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fPIC", "-shared",
                    "-fvisibility=hidden", "-Wl,-z,nodelete", "-I",
                    Self.root.appending(path: "Sources/ProviderAPI/include").path, "-o", plugin, source.path,
                ], in: folder)
            try #require(built.status == 0, "\(built.output)")
            let checked = try await validate(plugin, example.appending(path: "check.yaml").path, in: folder)
            #expect(checked.status == 0, "\(checked.output)")
            try requirePassed(["ensure-is-idempotent", "remove-removes", "fuzz-json"], checked.output)
        }
    }

    @Test(arguments: ["", "myTunnel", "1Tunnel", "My-Tunnel", "My/Tunnel", "Übung", "Tunnel", "WireGuard", "Swift"])
    func aBadNameIsRefusedAndWritesNothing(name: String) async throws {
        try await withFolder { folder in
            let made = try await new(["--kind", "tunnel", "--sdk", Self.root.path, "--", name], in: folder)
            #expect(made.status == 1)
            #expect(made.output.contains("\"\(name)\""), "\(made.output)")
            #expect(try content(folder) == [])
        }
    }

    @Test func aFolderWithContentIsLeftAlone() async throws {
        try await withFolder { folder in
            let target = folder.appending(path: "Mine")
            try FileManager.default.createDirectory(at: target, withIntermediateDirectories: false)
            try Data("precious".utf8).write(to: target.appending(path: "notes"))
            let made = try await new(["Mine", "--kind", "tunnel", "--sdk", Self.root.path], in: folder)
            #expect(made.status == 1)
            #expect(made.output.contains("not an empty folder"), "\(made.output)")
            #expect(try content(folder) == ["Mine"])
            #expect(try content(target) == ["notes"])
        }
    }

    @Test func anEmptyFolderIsTaken() async throws {
        try await withFolder { folder in
            let target = folder.appending(path: "somewhere")
            try FileManager.default.createDirectory(at: target, withIntermediateDirectories: false)
            let arguments = ["Mine", "--kind", "tunnel", "--sdk", "https://git.example/egress-gateway.git"]
            let made = try await new(arguments + ["--output", "somewhere"], in: folder)
            #expect(made.status == 0, "\(made.output)")
            #expect(try content(target).contains("check.yaml"))
            let manifest = try String(contentsOf: target.appending(path: "Package.swift"), encoding: .utf8)
            #expect(
                manifest.contains(#".package(url: "https://git.example/egress-gateway.git", branch: "main")"#))
            #expect(manifest.contains(#".product(name: "ProviderSDK", package: "egress-gateway")"#))
        }
    }

    @Test func aFolderThatCannotBeMadeLeavesNothing() async throws {
        try await withFolder { folder in
            try Data().write(to: folder.appending(path: "file"))
            let made = try await new(
                ["Mine", "--kind", "tunnel", "--sdk", Self.root.path, "--output", "file/Mine"], in: folder)
            #expect(made.status == 1)
            #expect(made.output.contains("file/Mine"), "\(made.output)")
            #expect(try content(folder) == ["file"])
        }
    }

    @Test func aMissingSDKIsNamed() async throws {
        try await withFolder { folder in
            let made = try await new(["Mine", "--kind", "tunnel", "--sdk", folder.path], in: folder)
            #expect(made.status == 1)
            #expect(made.output.contains("is no checkout of egress-gateway"), "\(made.output)")
            #expect(try content(folder) == [])
        }
    }
}
