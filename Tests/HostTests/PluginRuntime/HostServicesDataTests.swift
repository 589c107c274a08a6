import Foundation
import ProviderKit
import Synchronization
import Testing

@testable import Host

/// Secrets, logs, metrics and events, seen from a plugin in C.
@Suite struct HostServicesDataTests {
    private static let readSecret = """
        static char value[70000]; static size_t length;
        static void put(void *c, egp_bytes b) { memcpy(value + length, b.data, b.length); length += b.length; }
        static egp_code read_secret(const char *name) {
            egp_sink sink = {sizeof sink, 0, NULL, put}; length = 0;
            egp_code code = host->secret_read(host->context, text(name), &sink); value[length] = 0; return code;
        }
        """

    private func withSecretFile<R>(_ body: (URL) async throws -> R) async throws -> R {
        let file = FileManager.default.temporaryDirectory.appending(path: "kegwt-secret-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        return try await body(file)
    }

    private func write(_ text: String, mode: Int = 0o600, to file: URL) throws {
        try Data(text.utf8).write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path)
    }

    @Test func aSecretIsReadWhenAskedForAndBlottedOut() async throws {
        var plugin = ProbePlugin()
        plugin.globals = Self.readSecret
        plugin.verb = """
            int unknown = read_secret("none"); egp_code code = read_secret("token"); char line[80000];
            snprintf(line, sizeof line, "token is %s", value);
            host->log(host->context, EGP_LOG_ERROR, text(line), text("{\\"field\\":\\"<hunter22>\\"}"));
            return say(call->ticket, "%d %zu %s %d", code, length, length < 100 ? value : "-", unknown);
            """
        try await withSecretFile { file in
            try await PluginBench.run(plugin, secrets: ["token": file.path]) { bench in
                let said = try await bench.said()
                #expect(said == "1 0  4")
                try write("hunter22\n", to: file)
                // The message that comes back is blotted, too.
                let said2 = try await bench.said()
                #expect(said2 == "0 9 [secret]\n 4")
                try write("rotated-9", to: file)
                let said3 = try await bench.said()
                #expect(said3 == "0 9 [secret] 4")
                try write("everybody", mode: 0o644, to: file)
                let said4 = try await bench.said()
                #expect(said4 == "1 0  4")
                try write(String(repeating: "x", count: 65_536), to: file)
                let said5 = try await bench.said()
                #expect(said5 == "0 65536 - 4")
                try write(String(repeating: "x", count: 65_537), to: file)
                let said6 = try await bench.said()
                #expect(said6 == "5 0  4")
                let lines = bench.lines.all.filter { $0.contains("token is") }
                #expect(lines.count == 6)
                #expect(!bench.lines.all.contains { $0.contains("hunter22") && !$0.contains("token is  ") })
                #expect(lines.contains { $0.contains("token is [secret]") && $0.contains("field=<[secret]>") })
                #expect(bench.lines.all.contains { $0.contains("its mode lets everybody read it") })
            }
        }
    }

    @Test func linesBelowTheLevelAreNotKept() async throws {
        var plugin = ProbePlugin()
        plugin.verb = """
            void *c = host->context;
            host->log(c, EGP_LOG_DEBUG, text("quiet"), none()); host->log(c, EGP_LOG_INFO, text("loud"), none());
            host->log(c, 77, text("odd"), text("no JSON"));
            return say(call->ticket, "%d %d %d", host->log_enabled(c, EGP_LOG_DEBUG), host->log_enabled(c, EGP_LOG_INFO),
                host->log_enabled(c, 77));
            """
        try await PluginBench.run(plugin) { bench in
            let said = try await bench.said()
            #expect(said == "0 1 1")
            #expect(bench.lines.all.filter { $0.contains("quiet") }.isEmpty)
            #expect(bench.lines.all.contains { $0 == "info loud plugin=c" })
            #expect(bench.lines.all.contains { $0 == "error odd plugin=c" })
        }
    }

    @Test func observationsReachTheMetricsOfTheDaemon() async throws {
        var plugin = ProbePlugin()
        plugin.globals = """
            static egp_code measure(int kind, const char *name, const char *labels, double value) {
                egp_metric m = {sizeof m, kind, text(name), text(labels), value};
                return host->metric(host->context, &m);
            }
            """
        plugin.verb = """
            int good = measure(0, "writes_total", "{\\"kind\\":\\"put\\"}", 2) + measure(0, "writes_total", "{\\"kind\\":\\"put\\"}", 3)
                + measure(1, "depth", "", 4) + measure(1, "depth", "", -1.5) + measure(2, "wait_seconds", "", 0.02);
            int bad[] = {measure(0, "writes_total", "", -1), measure(3, "x", "", 1), measure(0, "Bad", "", 1),
                measure(0, "", "", 1), measure(1, "x", "[]", 1), measure(1, "x", "{\\"plugin\\":\\"y\\"}", 1),
                measure(1, "writes_total", "", 1), measure(1, "x", "", 1.0 / 0.0),
                measure(1, "x", "{\\"a\\":\\"1\\",\\"b\\":\\"1\\",\\"c\\":\\"1\\",\\"d\\":\\"1\\",\\"e\\":\\"1\\",\\"f\\":\\"1\\",\\"g\\":\\"1\\",\\"h\\":\\"1\\",\\"i\\":\\"1\\"}", 1)};
            int invalid = 0; for (int i = 0; i < 9; i++) invalid += bad[i] == EGP_INVALID;
            char labels[64]; int ok = 0, throttled = 0;
            for (int i = 0; i < 1100; i++) {
                snprintf(labels, sizeof labels, "{\\"n\\":\\"%d\\"}", i);
                egp_code c = measure(1, "many", labels, i); ok += c == EGP_OK; throttled += c == EGP_THROTTLED;
            }
            return say(call->ticket, "%d %d %d %d", good, invalid, ok, throttled);
            """
        try await PluginBench.run(plugin) { bench in
            // Three series were there before.
            let said = try await bench.said()
            #expect(said == "0 9 997 103")
            #expect(bench.instance.health.droppedMetrics == 103)
            let text = bench.metrics.text()
            #expect(text.contains(#"egress_plugin_writes_total{kind="put",plugin="c"} 5"#), "\(text.prefix(2000))")
            #expect(text.contains(#"egress_plugin_depth{plugin="c"} -1.5"#))
            #expect(text.contains(#"egress_plugin_wait_seconds_count{plugin="c"} 1"#))
        }
    }

    @Test func eventsGoToTheObjectsOfItemsAndNowhereElse() async throws {
        var plugin = ProbePlugin()
        plugin.globals = """
            static egp_code tell(const char *item, const char *reason, const char *message, int severity) {
                egp_event e = {sizeof e, severity, text(item), text(reason), text(message)};
                return host->event(host->context, &e);
            }
            """
        plugin.verb = """
            static char long_text[3001]; memset(long_text, 'x', 3000);
            int first = tell("a", "QuotaLow", "only 3 left", 1), again = tell("a", "QuotaLow", "only 3 left", 1);
            int unknown = tell("b", "QuotaLow", "m", 0), word = tell("a", "two words", "m", 0), sev = tell("a", "W", "m", 2);
            int cut = tell("a", "Long", long_text, 0); int ok = 0, throttled = 0; char message[32];
            for (int i = 0; i < 300; i++) {
                snprintf(message, sizeof message, "n%d", i); egp_code c = tell("a", "Many", message, 0);
                ok += c == EGP_OK; throttled += c == EGP_THROTTLED;
            }
            return say(call->ticket, "%d %d %d %d %d %d %d %d", first, again, unknown, word, sev, cut, ok + throttled,
                throttled > 150);
            """
        let told = Mutex<[PluginEvent]>([])
        try await PluginBench.run(plugin) { bench in
            bench.instance.handleEvents { plugin, event, count in
                if plugin == "c", count == 1 { told.withLock { $0.append(event) } }
            }
            let said = try await bench.said()
            #expect(said == "0 0 4 4 4 0 300 1")
            let events = told.withLock { $0 }
            #expect(
                events.first == PluginEvent(severity: .warning, item: "a", reason: "QuotaLow", message: "only 3 left"))
            #expect(events.filter { $0.reason == "QuotaLow" }.count == 1)
            #expect(events.first { $0.reason == "Long" }?.message.utf8.count == 1024)
            #expect(bench.instance.health.droppedEvents > 150)
        }
    }

    @Test func anEqualEventIsToldAgainWithItsCountAfterAWhile() {
        var gate = EventGate()
        let event = PluginEvent(severity: .normal, item: "a", reason: "R", message: "m")
        func at(_ seconds: Int64) -> HostInstant { HostInstant(nanoseconds: seconds * 1_000_000_000) }
        #expect(gate.decide(event, now: at(0)) == .tell(count: 1))
        #expect(gate.decide(event, now: at(1)) == .counted)
        #expect(gate.decide(event, now: at(59)) == .counted)
        #expect(gate.decide(event, now: at(60)) == .tell(count: 3))
    }

    @Test func theLastItemsAreKnownAndOldOnesForgotten() {
        var items = RequestedItems()
        items.insert((0..<RequestedItems.maximum).map { "old\($0)" })
        items.insert(["young"])
        #expect(items.contains("young") && items.contains("old0") && !items.contains("none"))
        items.insert((0..<RequestedItems.maximum).map { "new\($0)" })
        #expect(!items.contains("old0") && items.contains("new0") && items.contains("young"))
    }
}
