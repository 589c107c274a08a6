import Foundation
import Glibc
import ProviderKit
import Testing

@testable import Host

/// The services of the host, seen from a plugin in C.
@Suite struct HostServicesTests {
    @Test func eachThreadIsNamedAsWhatItIsToTheInstance() async throws {
        var plugin = ProbePlugin()
        plugin.globals = """
            static int in_create = -1; static uint64_t ticket;
            static void *other(void *unused) {
                say(ticket, "%d %d", in_create, host->current_thread(host->context)); return NULL;
            }
            """
        plugin.create = "in_create = h->current_thread(h->context);"
        plugin.verb = """
            if (host->current_thread(host->context) != EGP_THREAD_VERB) return EGP_INVALID;
            ticket = call->ticket; start(other, NULL); return EGP_OK;
            """
        try await PluginBench.run(plugin) { bench in
            let said = try await bench.said()
            #expect(said == "1 0")
        }
    }

    @Test func aWrongContextMakesNoDifferenceAndIsReported() async throws {
        var plugin = ProbePlugin()
        plugin.verb = """
            int64_t now = host->now_ns(NULL); int64_t right = host->now_ns(host->context);
            egp_host other = *host; other.context = &instance;
            return say(call->ticket, "%d", now > 0 && right >= now && other.log_enabled(other.context, EGP_LOG_ERROR));
            """
        try await PluginBench.run(plugin) { bench in
            let said = try await bench.said()
            #expect(said == "1")
            #expect(bench.instance.health.wrongContexts == 2)
            #expect(bench.instance.health.violations == ["P-6": 2])
        }
    }

    @Test func afterDestroyNoFunctionHasAnEffect() async throws {
        var plugin = ProbePlugin()
        plugin.globals = """
            static void fired(void *c, int32_t f) {}
            static void done(void *c, const egp_http_response *r) {}
            static void put(void *c, egp_bytes b) { *(int *)c += 1; }
            static atomic_int gone; static char path[512];
            static void *after(void *unused) {
                while (!gone) usleep(1000);
                usleep(300000);
                void *c = host->context; uint64_t timer = 7; int written = 0;
                egp_http_request r = {sizeof r, 0, text("GET"), text("http://127.0.0.1:1/"), none(), none(), 1};
                egp_sink sink = {sizeof sink, 0, &written, put};
                egp_metric m = {sizeof m, EGP_METRIC_GAUGE, text("x"), none(), 1};
                egp_event e = {sizeof e, EGP_EVENT_NORMAL, text("a"), text("Word"), text("m")};
                host->log(c, EGP_LOG_ERROR, text("must not be seen"), none());
                FILE *f = fopen(path, "w");
                fprintf(f, "%d %d %d %d %d %d %d %d %d %d %llu %d", host->now_ns(c) == INT64_MAX,
                    host->http_send(c, &r, done, NULL), host->log_enabled(c, EGP_LOG_ERROR), host->current_thread(c),
                    host->is_cancelled(c, 1), host->timer_start(c, 0, fired, NULL, &timer), host->timer_cancel(c, 1),
                    host->secret_read(c, text("s"), &sink), host->metric(c, &m), host->event(c, &e),
                    (unsigned long long)timer, written);
                fclose(f);
                finish(1, EGP_OK, "{}");
                rename(path, getenv("KEG_TEST_AFTER")); return NULL;
            }
            """
        plugin.verb = "start(after, NULL); return say(call->ticket, \"\");"
        plugin.destroy = "snprintf(path, sizeof path, \"%s.part\", getenv(\"KEG_TEST_AFTER\")); gone = 1;"
        let file = FileManager.default.temporaryDirectory.appending(path: "kegwt-after-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        setenv("KEG_TEST_AFTER", file.path, 1)
        let bench = try await PluginBench.run(plugin) { bench in
            _ = try await bench.said()
            return bench
        }
        try await bench.waitForHealth { $0.revokedCalls == 12 }
        while !FileManager.default.fileExists(atPath: file.path) { try await Task.sleep(for: .milliseconds(10)) }
        #expect(try String(contentsOf: file, encoding: .utf8) == "1 7 0 0 0 7 7 7 7 7 7 0")
        #expect(bench.instance.health.violations["P-17"] == 12)
        #expect(!bench.lines.all.contains { $0.contains("must not be seen") })
    }

    @Test func completionsThatAreNoneAreToldApart() async throws {
        var plugin = ProbePlugin()
        plugin.globals = """
            static uint64_t ticket;
            static void *late(void *unused) { usleep(600000); say(ticket, "late"); return NULL; }
            """
        plugin.verb = """
            if (memmem(request.data, request.length, "\\"late\\"", 6)) {
                ticket = call->ticket; start(late, NULL); return EGP_OK;
            }
            say(call->ticket, "one"); say(call->ticket, "two"); say(call->ticket + 1000, "three"); say(0, "four");
            return EGP_OK;
            """
        try await PluginBench.run(plugin) { bench in
            await #expect(throws: ProviderError.self) { try await bench.call("late", timeout: .milliseconds(100)) }
            try await bench.waitForHealth { $0.lateCompletions == 1 }
            #expect(bench.instance.health.overruns == 1)
            #expect(bench.instance.health.violations == [:])
            let said = try await bench.said()
            #expect(said == "one")
            try await bench.waitForHealth { $0.unknownCompletions == 2 }
            let health = bench.instance.health
            #expect(health.repeatedCompletions == 1)
            #expect(health.lateCompletions == 1)
            #expect(health.violations == ["P-9": 3])
        }
    }

    @Test func aRefusedCallMustNotBeCompleted() async throws {
        var plugin = ProbePlugin()
        plugin.verb = "say(call->ticket, \"done\"); return EGP_RETRY;"
        try await PluginBench.run(plugin) { bench in
            let said = try await bench.said()
            #expect(said == "done")
            try await bench.waitForHealth { $0.violations["P-9"] == 1 }
        }
    }

    @Test func isCancelledTellsWhetherSomebodyWaits() async throws {
        var plugin = ProbePlugin()
        plugin.globals = """
            static uint64_t ticket; static atomic_int seen = -1;
            static void *poll(void *unused) {
                while (!host->is_cancelled(host->context, ticket)) usleep(1000);
                seen = 1; say(ticket, "x"); return NULL;
            }
            """
        plugin.verb = """
            if (seen < 0) {
                if (host->is_cancelled(host->context, call->ticket)) return EGP_TERMINAL;
                seen = 0; ticket = call->ticket; start(poll, NULL); return EGP_OK;
            }
            return say(call->ticket, "%d %d", seen, host->is_cancelled(host->context, 999999));
            """
        try await PluginBench.run(plugin) { bench in
            await #expect(throws: ProviderError.self) { try await bench.call(timeout: .milliseconds(100)) }
            try await bench.waitForHealth { $0.lateCompletions == 1 }
            let said = try await bench.said()
            #expect(said == "1 1")
        }
    }

    @Test func theTraceIsAFreshTraceparentForEachCall() async throws {
        var plugin = ProbePlugin()
        plugin.verb = "return say(call->ticket, \"%.*s\", (int)call->trace.length, call->trace.data);"
        try await PluginBench.run(plugin) { bench in
            let first = try await bench.said()
            let second = try await bench.said()
            #expect(first != second)
            for trace in [first, second] {
                #expect(trace.wholeMatch(of: /00-[0-9a-f]{32}-[0-9a-f]{16}-01/) != nil, "\(trace)")
            }
        }
    }

    // MARK: - Timers

    @Test func everyTimerEndsOnceWhoeverComesFirst() async throws {
        // 20 rounds of 1,000 timers of 0 to 3 ms that two threads cancel at the same time.
        var plugin = ProbePlugin()
        plugin.globals = """
            enum { COUNT = 1000 };
            static uint64_t numbers[COUNT]; static atomic_int ended[COUNT], fired_count, cancelled_count, total;
            static void fired(void *c, int32_t f) {
                ended[(long)c]++; total++; if (f) fired_count++; else cancelled_count++;
            }
            static atomic_int accepted_cancels;
            static void *cancel_all(void *step) {
                for (int i = 0; i < COUNT; i++)
                    if (host->timer_cancel(host->context, numbers[i]) == EGP_OK) accepted_cancels++;
                return NULL;
            }
            static uint64_t ticket;
            static void *rounds(void *unused) {
                int bad = 0, mismatch = 0;
                for (int round = 0; round < 20; round++) {
                    memset((void *)ended, 0, sizeof ended); total = 0; cancelled_count = 0; accepted_cancels = 0;
                    for (long i = 0; i < COUNT; i++)
                        if (host->timer_start(host->context, (i % 4) * 1000000, fired, (void *)i, &numbers[i])) bad++;
                    pthread_t a, b;
                    pthread_create(&a, NULL, cancel_all, NULL); pthread_create(&b, NULL, cancel_all, NULL);
                    pthread_join(a, NULL); pthread_join(b, NULL);
                    for (int wait = 0; total < COUNT && wait < 5000; wait++) usleep(1000);
                    usleep(5000);
                    for (int i = 0; i < COUNT; i++) if (ended[i] != 1) bad++;
                    if (cancelled_count != accepted_cancels) mismatch++;
                }
                say(ticket, "%d %d", bad, mismatch); return NULL;
            }
            """
        plugin.verb = "ticket = call->ticket; start(rounds, NULL); return EGP_OK;"
        try await PluginBench.run(plugin) { bench in
            let said = try await bench.said(timeout: .seconds(60))
            #expect(said == "0 0")
        }
    }

    @Test func timersAreBoundedAndEndBeforeDestroy() async throws {
        var plugin = ProbePlugin()
        plugin.globals = """
            static atomic_int ended; static char seen[64];
            static void fired(void *c, int32_t f) { usleep(1); if (!f) ended++; }
            """
        plugin.verb = """
            uint64_t t; int ok = 0; egp_code last = 0;
            for (int i = 0; i < 1025; i++) { last = host->timer_start(host->context, INT64_MAX, fired, NULL, &t); ok += !last; }
            return say(call->ticket, "%d %d %d %d", ok, last, host->timer_start(host->context, -1, fired, NULL, &t),
                host->timer_cancel(host->context, 0));
            """
        // Written by destroy, read after it.
        plugin.destroy = """
            snprintf(seen, sizeof seen, "%d", ended); host->log(host->context, EGP_LOG_ERROR, text(seen), none());
            """
        let bench = try await PluginBench.run(plugin) { bench in
            let said = try await bench.said()
            #expect(said == "1024 2 4 4")
            return bench
        }
        #expect(bench.lines.all.contains { $0.hasPrefix("error 1024 ") }, "\(bench.lines.all)")
        #expect(bench.instance.health.violations == [:])
    }

    // MARK: - HTTP

    @Test func exchangesAreBoundedAndEndBeforeDestroy() async throws {
        let server = try SilentServer()
        defer { server.close() }
        var plugin = ProbePlugin()
        plugin.globals = """
            static atomic_int ended, other; static char seen[64];
            static void done(void *c, const egp_http_response *r) {
                if (r->code == EGP_CANCELLED && r->status == 0) ended++; else other++;
            }
            """
        plugin.verb = """
            int ok = 0; egp_code last = 0;
            egp_http_request r = {sizeof r, 0, text("GET"), text("http://127.0.0.1:\(server.port)/"), none(), none(),
                host->now_ns(host->context) + 60000000000};
            for (int i = 0; i < 257; i++) { last = host->http_send(host->context, &r, done, NULL); ok += !last; }
            r.flags = 1; egp_code flags = host->http_send(host->context, &r, done, NULL);
            r.flags = 0; r.size = 8; egp_code size = host->http_send(host->context, &r, done, NULL);
            return say(call->ticket, "%d %d %d %d", ok, last, flags, size);
            """
        plugin.destroy = """
            snprintf(seen, sizeof seen, "%d %d", ended, other);
            host->log(host->context, EGP_LOG_ERROR, text(seen), none());
            """
        let bench = try await PluginBench.run(plugin) { bench in
            let said = try await bench.said()
            #expect(said == "256 2 4 4")
            return bench
        }
        #expect(bench.lines.all.contains { $0.hasPrefix("error 256 0 ") }, "\(bench.lines.all)")
    }

    /// Takes connections and says nothing.
    private struct SilentServer {
        let descriptor: Int32
        let port: UInt16

        init() throws {
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let descriptor = descriptor
            let bound = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) == 0 && listen(descriptor, 512) == 0
                        && getsockname(descriptor, $0, &length) == 0
                }
            }
            try #require(bound)
            port = UInt16(bigEndian: address.sin_port)
        }

        func close() { _ = Glibc.close(descriptor) }
    }
}
