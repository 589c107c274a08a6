import Foundation
import Logging
import ProviderKit
import Synchronization
import Testing

@testable import Host

/// Builds small plugins in C with the system's compiler, so that the loader meets real shared objects.
struct PluginWorkshop {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "kegwt-plugins-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    func remove() { try? FileManager.default.removeItem(at: folder) }

    /// - Returns: the path of the shared object.
    func build(_ name: String, _ source: String) throws -> String {
        let file = folder.appending(path: "\(name).c")
        let image = folder.appending(path: "lib\(name).so")
        try Data(source.utf8).write(to: file)
        let include = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Sources/ProviderAPI/include")
        let compiler = Process()
        compiler.executableURL = URL(filePath: "/usr/bin/env")
        compiler.arguments = ["clang", "-shared", "-fPIC", "-O1", "-I", include.path, "-o", image.path, file.path]
        try compiler.run()
        compiler.waitUntilExit()
        try #require(compiler.terminationStatus == 0)
        return image.path
    }
}

/// A load balancer in C that tells what it saw of its host. `verb` may use `say(ticket, format, ...)`, which completes
/// the call as EGP_INVALID with that text, so that the test reads it.
struct ProbePlugin {
    var verb = "return say(call->ticket, \"nothing\");"
    var create = ""
    var destroy = ""
    var cancel = ""
    /// Functions and variables before all others.
    var globals = ""

    var source: String {
        """
        #define _GNU_SOURCE
        #include "egress_provider.h"
        #include <pthread.h>
        #include <stdarg.h>
        #include <stdatomic.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        static const egp_host *host;
        static int instance;
        static egp_bytes text(const char *s) { egp_bytes b = {(const uint8_t *)s, strlen(s)}; return b; }
        static egp_bytes none(void) { egp_bytes b = {NULL, 0}; return b; }
        static egp_code finish(uint64_t ticket, egp_code code, const char *what) {
            egp_completion c = {sizeof c, code, {NULL, 0}, {NULL, 0}, 0, {NULL, 0}};
            if (code == EGP_OK) c.result = text(what); else c.message = text(what);
            host->complete(host->context, ticket, &c);
            return EGP_OK;
        }
        static egp_code say(uint64_t ticket, const char *format, ...) {
            char line[4096]; va_list list; va_start(list, format);
            vsnprintf(line, sizeof line, format, list); va_end(list);
            return finish(ticket, EGP_INVALID, line);
        }
        static void start(void *(*body)(void *), void *argument) {
            pthread_t thread; pthread_create(&thread, NULL, body, argument); pthread_detach(thread);
        }
        \(globals)
        static egp_code verb(egp_instance *i, const egp_call *call, egp_bytes request) { \(verb) }
        static const egp_capability table = {sizeof table, 0, verb, verb, NULL, NULL, verb};
        static egp_code create(const egp_host *h, egp_bytes c, egp_instance **out, egp_message *e) {
            host = h;
            \(create)
            *out = (egp_instance *)&instance; return EGP_OK;
        }
        static void destroy(egp_instance *i) { \(destroy) }
        static const egp_capability *capability(egp_instance *i, egp_bytes id) {
            return id.length == 15 && memcmp(id.data, "load-balancer/1", 15) == 0 ? &table : NULL;
        }
        static void cancel(egp_instance *i, uint64_t ticket) { \(cancel) }
        egp_code egp_provider_entry(uint32_t low, uint32_t high, egp_provider *out) {
            egp_provider p = {sizeof p, EGP_ABI_VERSION, EGP_MAGIC, 0,
                text("{\\"name\\":\\"c\\",\\"version\\":\\"1\\",\\"kind\\":\\"load-balancer\\",\\"capabilities\\":[\\"load-balancer/1\\"]}"),
                create, destroy, capability, cancel};
            *out = p;
            return EGP_OK;
        }
        """
    }
}

/// One instance of a plugin in C with its services.
struct PluginBench {
    let workshop: PluginWorkshop
    let services: InstanceServices
    let instance: PluginInstance
    let lines: LogLines
    let metrics: PrometheusRegistry

    /// Runs `body` with an instance, and ends both.
    static func run<R>(
        _ plugin: ProbePlugin, secrets: [String: String] = [:], checking: PluginEntry.Checking = .basic,
        limits: InstanceLimits = InstanceLimits(), _ body: (PluginBench) async throws -> R
    ) async throws -> R {
        let workshop = try PluginWorkshop()
        defer { workshop.remove() }
        let path = try workshop.build("plugin", plugin.source)
        var entry = PluginEntry(name: "c", path: path, configuration: Data("{}".utf8))
        entry.secrets = secrets
        entry.checking = checking
        let lines = LogLines()
        var logger = Logger(label: "test") { _ in lines.handler }
        logger.logLevel = .info
        let metrics = PrometheusRegistry()
        let services = InstanceServices(entry: entry, logger: logger, limits: limits, metrics: metrics)
        var loader = PluginLoader(policy: .testing, role: nil, logger: logger)
        let image = try loader.load(path)
        let instance = try await PluginInstance(image: image, entry: entry, services: services)
        let bench = PluginBench(
            workshop: workshop, services: services, instance: instance, lines: lines, metrics: metrics)
        do {
            let result = try await body(bench)
            instance.close()
            await instance.ended()
            return result
        } catch {
            instance.close()
            await instance.ended()
            throw error
        }
    }

    static func item(_ id: String = "a") -> LoadBalancer.Desired {
        .init(id: id, pool: PoolSelector(nodepoolName: "p"), probe: .init(path: "/gw/a", port: 8082))
    }

    /// Calls the verb with one item.
    func call(
        _ id: String = "a", timeout: Duration = .seconds(20)
    ) async throws -> [ItemResult<LoadBalancer.Observed>] {
        let capability = try #require(instance.capability(LoadBalancer.self, timeout: timeout))
        return try await capability.ensure([Self.item(id)])
    }

    /// What the verb said.
    func said(_ id: String = "a", timeout: Duration = .seconds(20)) async throws -> String {
        do {
            _ = try await call(id, timeout: timeout)
            return "completed as ok"
        } catch let error as ProviderError where error.code == .invalid {
            return error.message
        }
    }

    /// Waits until the health is as wanted; fails after ten seconds.
    func waitForHealth(_ wanted: (InstanceHealth) -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(10)
        while !wanted(instance.health) {
            try #require(ContinuousClock.now < end, "\(instance.health)")
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

/// Log lines as text, kept for a test to look at.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    var handler: any LogHandler { Handler(lines: self) }

    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let fields = metadata.merging(event.metadata ?? [:]) { $1 }.map { "\($0.key)=\($0.value)" }.sorted()
            lines.lines.withLock { $0.append("\(event.level) \(event.message) \(fields.joined(separator: " "))") }
        }
    }
}
