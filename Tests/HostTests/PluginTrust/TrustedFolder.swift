import Foundation
import JSONModel
import Logging
import ProviderKit
import Testing

@testable import Host

/// A folder that every policy accepts, with a plugin compiled from C whose constructor leaves a trace.
struct TrustedFolder {
    let folder: URL
    let plugin: String
    let manifest: String
    private let trace: String

    /// - Parameter constructor: C statements that run when the file is loaded.
    init(name: String = "traced", constructor: String = "") throws {
        // Not the temporary folder, which everybody may write to.
        let place = getuid() == 0 ? URL(filePath: "/var/lib") : FileManager.default.homeDirectoryForCurrentUser
        folder = place.appending(path: "kegwt-trust-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
        plugin = folder.appending(path: "libTraced.so").path
        manifest = folder.appending(path: "Traced.plugin.json").path
        trace = folder.appending(path: "loaded").path
        try compile(name: name, to: plugin, constructor: constructor)
    }

    func remove() { try? FileManager.default.removeItem(at: folder) }

    /// How often the constructor ran.
    var loads: Int { (FileManager.default.contents(atPath: trace) ?? Data()).count }

    /// Whether the kernel lists a mapping of a file in the folder.
    func isMapped() throws -> Bool {
        // Read to its end: the kernel gives a page at a time, which Foundation takes for the whole of a file without size.
        let file = try #require(FileHandle(forReadingAtPath: "/proc/self/maps"))
        defer { try? file.close() }
        var maps = Data()
        while let part = try file.read(upToCount: 1 << 16), !part.isEmpty { maps += part }
        return String(decoding: maps, as: UTF8.self).contains(folder.path)
    }

    func compile(name: String, to path: String, constructor: String = "") throws {
        let source = folder.appending(path: "source.c")
        try Data(Self.source(name: name, trace: trace, constructor: constructor).utf8).write(to: source)
        defer { try? FileManager.default.removeItem(at: source) }
        let result = try run(
            "/usr/bin/env",
            [
                "clang", "-shared", "-fPIC", "-I",
                ExampleProvider.root.appending(path: "Sources/ProviderAPI/include").path, "-o", path, source.path,
            ])
        try #require(result.status == 0, "\(result.error)")
    }

    private static func source(name: String, trace: String, constructor: String) -> String {
        """
        #include "egress_provider.h"
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        static int instance;
        static egp_bytes text(const char *s) { egp_bytes b = {(const uint8_t *)s, strlen(s)}; return b; }
        static egp_code verb(egp_instance *i, const egp_call *call, egp_bytes request) { return EGP_UNSUPPORTED; }
        static const egp_capability table = {sizeof table, 0, verb, verb, NULL, NULL, verb};
        static egp_code create(const egp_host *h, egp_bytes c, egp_instance **out, egp_message *e) {
            *out = (egp_instance *)&instance; return EGP_OK;
        }
        static void destroy(egp_instance *i) {}
        static const egp_capability *capability(egp_instance *i, egp_bytes id) {
            return id.length == 15 && memcmp(id.data, "load-balancer/1", 15) == 0 ? &table : NULL;
        }
        static void cancel(egp_instance *i, uint64_t ticket) {}
        __attribute__((constructor)) static void loaded(void) {
            FILE *f = fopen("\(trace)", "a"); if (f) { fputc('x', f); fclose(f); }
            \(constructor)
        }
        egp_code egp_provider_entry(uint32_t low, uint32_t high, egp_provider *out) {
            out->abi_version = EGP_ABI_1_0;
            if (high < EGP_ABI_1_0) return EGP_HOST_TOO_OLD;
            if (low > EGP_ABI_1_0) return EGP_HOST_TOO_NEW;
            egp_provider p = {sizeof p, EGP_ABI_1_0, EGP_MAGIC, 0,
                text("{\\"name\\":\\"\(name)\\",\\"version\\":\\"1\\",\\"kind\\":\\"load-balancer\\","
                     "\\"capabilities\\":[\\"load-balancer/1\\"]}"),
                create, destroy, capability, cancel};
            *out = p;
            return EGP_OK;
        }
        """
    }

    /// What is true of the file as it is now.
    func document() throws -> JSONValue {
        let digest = try run("/usr/bin/env", ["sha256sum", plugin])
        return [
            "manifestVersion": 1, "name": "traced", "version": "1", "kind": "load-balancer", "file": "libTraced.so",
            "abi": ["minimum": "1.0", "maximum": "1.0"], "capabilities": ["load-balancer/1"],
            "sha256": .string(String(digest.output.prefix(64))),
        ]
    }

    func write(_ document: JSONValue) throws {
        try document.json().write(to: URL(filePath: manifest))
        try chmod(0o644, manifest)
    }

    func writeManifest(signedBy key: PluginSigningKey? = nil) throws {
        let document = try document()
        guard let key else { return try write(document) }
        try PluginManifest(document).signed(by: key).write(to: manifest)
    }

    func chmod(_ mode: Int, _ path: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    /// The reason why the file is refused, without its path; nil if it was loaded. Refused files must not be mapped.
    func refusal(_ policy: TrustPolicy = TrustPolicy(), role: Role? = nil, path: String? = nil) throws -> String? {
        let before = loads
        var loader = PluginLoader(policy: policy, role: role, logger: .init(label: "test"))
        do {
            _ = try loader.load(path ?? plugin)
            #expect(try isMapped())
            #expect(loads > 0)
            return nil
        } catch let error as HostError {
            #expect(error.code == .plugin && !error.message.contains("\n"))
            #expect(loads == before)
            #expect(try !isMapped())
            return error.message.replacing(folder.path, with: "DIR")
        }
    }
}

struct RunResult {
    var status: Int32
    var output: String
    var error: String
}

/// Runs a program to its end; its outputs are small.
func run(_ program: String, _ arguments: [String]) throws -> RunResult {
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    let (output, error) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = error
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let complaint = String(decoding: error.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return RunResult(status: process.terminationStatus, output: text, error: complaint)
}
