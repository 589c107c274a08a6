import Foundation
import Glibc
import Logging
import ProviderKit
import Testing

@testable import Host

/// A load balancer that does what an item's id asks for: `trap`, `hang`, `leak`, or serves it. It answers with its
/// process id as the port's place is too small for it: the frontend says it.
private let moody = """
    #define _GNU_SOURCE
    #include "egress_load_balancer.h"
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>
    static volatile char *leaked;
    struct egp_instance { const egp_host *host; char label[64]; };
    static int asks(egp_bytes r, const char *word) { return memmem(r.data, r.length, word, strlen(word)) != NULL; }
    static egp_code verb(egp_instance *i, const egp_call *call, egp_bytes request) {
        if (asks(request, "trap")) abort();
        if (asks(request, "hang")) for (;;) pause();
        if (asks(request, "leak")) { size_t n = 400u << 20; leaked = malloc(n); memset((void *)leaked, 1, n); }
        if (asks(request, "twice")) for (int n = 0; n < 2; n++) {
            egp_completion c = {.size = sizeof c, .result = {(const uint8_t *)"{\\"items\\":[]}", 12}};
            i->host->complete(i->host->context, call->ticket, &c);
        }
        else {
            char text[256];
            int n = snprintf(text, sizeof text, "{\\"items\\":[{\\"id\\":\\"a\\",\\"code\\":\\"ok\\",\\"observed\\":"
                "{\\"frontendIP\\":\\"%s-%d\\",\\"port\\":6000}}]}", i->label, (int)getpid());
            egp_completion c = {.size = sizeof c, .result = {(const uint8_t *)text, (uint64_t)n}};
            i->host->complete(i->host->context, call->ticket, &c);
        }
        return EGP_OK;
    }
    static const egp_capability table = {.size = sizeof table, .ensure = verb, .remove = verb, .status = verb};
    static egp_code take(egp_instance *i, egp_bytes c, egp_message *e) {
        if (asks(c, "bad")) { memcpy(e->buffer, "label: bad", 10); e->length = 10; return EGP_INVALID; }
        snprintf(i->label, sizeof i->label, "%s", asks(c, "second") ? "second" : "first");
        return EGP_OK;
    }
    static egp_code create(const egp_host *h, egp_bytes c, egp_instance **out, egp_message *e) {
        egp_bytes line = {(const uint8_t *)"hello from create", 17};
        h->log(h->context, EGP_LOG_WARNING, line, (egp_bytes){NULL, 0});
        if (asks(c, "die")) abort();
        egp_instance *i = calloc(1, sizeof *i); i->host = h;
        egp_code code = take(i, c, e);
        if (code != EGP_OK) { free(i); return code; }
        *out = i; return EGP_OK;
    }
    static void destroy(egp_instance *i) { free(i); }
    static const egp_capability *capability(egp_instance *i, egp_bytes id) { (void)i;
        return id.length == 15 && memcmp(id.data, "load-balancer/1", 15) == 0 ? &table : NULL;
    }
    static void cancel(egp_instance *i, uint64_t ticket) { (void)i, (void)ticket; }
    egp_code egp_provider_entry(uint32_t low, uint32_t high, egp_provider *out) { (void)low, (void)high;
        static const char about[] = "{\\"name\\":\\"Moody\\",\\"version\\":\\"1\\",\\"kind\\":\\"load-balancer\\","
            "\\"capabilities\\":[\\"load-balancer/1\\"]}";
        *out = (egp_provider){.size = sizeof *out, .abi_version = EGP_ABI_1_0, .magic = EGP_MAGIC,
            .descriptor = {(const uint8_t *)about, sizeof about - 1}, .create = create, .destroy = destroy,
            .capability = capability, .cancel = cancel, .reconfigure = take};
        return EGP_OK;
    }
    """

private func item(_ id: String) -> LoadBalancer.Desired {
    LoadBalancer.Desired(id: id, pool: PoolSelector(nodepoolName: "p"), probe: .init(path: "/gw/a", port: 8082))
}

/// Log lines by message, in order.
private final class Lines: @unchecked Sendable {
    // Sendable: guarded by the lock.
    private let lock = NSLock()
    private var lines: [String] = []
    func add(_ line: String) { lock.withLock { lines.append(line) } }
    var all: [String] { lock.withLock { lines } }
}

private struct LineHandler: LogHandler {
    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info
    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }
    func log(event: LogEvent) {
        lines.add("\(event.message) \(event.metadata ?? [:])")
    }
}

@Suite(.serialized) struct ChildTransportTests {
    private let lines = Lines()

    private var logger: Logger {
        let lines = lines
        return Logger(label: "test") { _ in LineHandler(lines: lines) }
    }

    private func withPlugin(
        config: String = "{}", memoryLimitMiB: Int = 512,
        _ body: (PluginInstance, PluginCapability<LoadBalancer>) async throws -> Void
    ) async throws {
        let workshop = try PluginWorkshop()
        defer { workshop.remove() }
        let path = try workshop.build("moody", moody)
        var loader = PluginLoader(policy: .testing, role: .manager, logger: logger)
        let instance = try await PluginInstance.open(
            PluginEntry(
                name: "moody", path: path, configuration: Data(config.utf8),
                isolation: .process(memoryLimitMiB: memoryLimitMiB)), in: "/", with: &loader, logger: logger)
        let result: Result<Void, any Error>
        do {
            try await body(instance, try #require(instance.capability(LoadBalancer.self, timeout: .seconds(5))))
            result = .success(())
        } catch {
            result = .failure(error)
        }
        instance.close()
        await instance.ended()
        try result.get()
    }

    /// The label and the process that answered.
    private func answer(_ capability: PluginCapability<LoadBalancer>) async throws -> (label: String, process: pid_t) {
        let parts = try #require(await capability.ensure([item("a")]).first?.observed).frontendIP.split(separator: "-")
        return (String(parts[0]), try #require(pid_t(parts[1])))
    }

    /// Asks until the plugin's process is back; at most 5 seconds.
    private func answerAfterRestart(
        _ capability: PluginCapability<LoadBalancer>
    ) async throws -> (label: String, process: pid_t) {
        for _ in 0..<50 {
            if let answer = try? await answer(capability) { return answer }
            try await Task.sleep(for: .milliseconds(100))
        }
        return try await answer(capability)
    }

    @Test func aPluginWorksInAProcessOfItsOwnWhichEndsWithIt() async throws {
        var process: pid_t = 0
        try await withPlugin { instance, capability in
            process = try await answer(capability).process
            #expect(process != getpid())
            #expect(kill(process, 0) == 0)
            #expect(instance.status.isolation == "process")
            #expect(instance.descriptor.name == "Moody")
            #expect(lines.all.contains { $0.hasPrefix("hello from create") })
        }
        #expect(kill(process, 0) != 0)
    }

    @Test func aTrapCostsItsOwnCallAndTheProcessComesBack() async throws {
        try await withPlugin { instance, capability in
            let first = try await answer(capability).process
            let error = await #expect(throws: ProviderError.self) { try await capability.ensure([item("trap")]) }
            #expect(error?.code == .retry)
            #expect(error?.message.contains("its process ended by itself: signal 6") == true)
            let second = try await answerAfterRestart(capability).process
            #expect(second != first)
            #expect(instance.status.faults["crash"] == 1)
            #expect(instance.status.state == "healthy")
        }
    }

    @Test func aHangInAVerbLeavesOtherCallsAlone() async throws {
        try await withPlugin { instance, _ in
            let short = try #require(instance.capability(LoadBalancer.self, timeout: .milliseconds(300)))
            let error = await #expect(throws: ProviderError.self) { try await short.ensure([item("hang")]) }
            #expect(error?.message.contains("did not complete within") == true)
            let other = try #require(instance.capability(LoadBalancer.self, timeout: .seconds(5)))
            _ = try await answer(other)
            #expect(instance.status.faults["overrun"] == 1)
        }
    }

    @Test func aProcessThatOutgrowsItsMemoryIsEnded() async throws {
        try await withPlugin(memoryLimitMiB: 200) { instance, capability in
            let first = try await answer(capability).process
            _ = try? await capability.ensure([item("leak")])
            for _ in 0..<100 where kill(first, 0) == 0 { try await Task.sleep(for: .milliseconds(100)) }
            #expect(kill(first, 0) != 0)
            #expect(try await answerAfterRestart(capability).process != first)
            #expect(lines.all.contains { $0.contains("MiB of memory; allowed are 200") })
        }
    }

    @Test func aProcessKilledFromOutsideComesBackWithTheLastSettings() async throws {
        try await withPlugin { instance, capability in
            #expect(try await answer(capability).label == "first")
            try await instance.reconfigure(Data(#"{"label":"second"}"#.utf8))
            let before = try await answer(capability)
            #expect(before.label == "second")
            let error = await #expect(throws: ProviderError.self) {
                try await instance.reconfigure(Data(#"{"label":"bad"}"#.utf8))
            }
            #expect(error?.code == .invalid)
            #expect(error?.message == "label: bad")
            kill(before.process, SIGKILL)
            let after = try await answerAfterRestart(capability)
            #expect(after.label == "second")
            #expect(after.process != before.process)
        }
    }

    @Test func crashAfterCrashEndsInQuarantine() async throws {
        try await withPlugin { instance, capability in
            for _ in 0..<3 {
                _ = try await answerAfterRestart(capability)
                _ = try? await capability.ensure([item("trap")])
            }
            let error = await #expect(throws: ProviderError.self) { try await capability.ensure([item("a")]) }
            #expect(error?.code == .throttled)
            #expect(error?.reason == "ProviderQuarantined")
            #expect(error?.message.contains("3 crashes within") == true)
            #expect(instance.status.state == "quarantined")
            #expect((1...11).contains(try #require(instance.status.retryInSeconds)))
        }
    }

    @Test func whatCannotStartIsRefusedWithThePluginsOwnWords() async throws {
        let refused = await #expect(throws: HostError.self) {
            try await withPlugin(config: #"{"label":"bad"}"#) { _, _ in }
        }
        #expect(refused?.message.hasSuffix("): label: bad") == true)
        let died = await #expect(throws: HostError.self) {
            try await withPlugin(config: #"{"label":"die"}"#) { _, _ in }
        }
        #expect(died?.message.contains("its process ended by itself: signal 6") == true)
    }
}
