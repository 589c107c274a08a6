import Foundation
import ProviderKit
import Synchronization
import Testing

@testable import Host

/// Plugins that do not return, and what checking finds.
@Suite struct PluginThreadsTests {
    private var impatient: InstanceLimits {
        var limits = InstanceLimits()
        limits.inside = .milliseconds(200)
        return limits
    }

    @Test func aVerbThatBlocksHoldsOneThreadAndNobodyElse() async throws {
        var plugin = ProbePlugin()
        plugin.verb = """
            if (memmem(request.data, request.length, "\\"block\\"", 7)) { usleep(1500000); return EGP_RETRY; }
            return say(call->ticket, "here");
            """
        try await PluginBench.run(plugin, limits: impatient) { bench in
            let clock = ContinuousClock()
            let began = clock.now
            let error = await #expect(throws: ProviderError.self) {
                try await bench.call("block", timeout: .milliseconds(100))
            }
            #expect(error?.message.contains("did not complete within") == true)
            #expect(clock.now - began < .milliseconds(1400))
            try await bench.waitForHealth { $0.stuckThreads == 1 }
            // A plugin that is stuck is quarantined; its threads are still there for whoever is let through.
            #expect(bench.instance.status.state == "quarantined")
            try await bench.waitForHealth { $0.stuckThreads == 0 }
        }
    }

    @Test func aPluginThatHangsIsNotDestroyed() async throws {
        var plugin = ProbePlugin()
        plugin.globals = "static atomic_int go;"
        plugin.verb = "while (!go) usleep(1000); return EGP_RETRY;"
        plugin.destroy = "host->log(host->context, EGP_LOG_ERROR, text(\"destroyed\"), none());"
        let bench = try await PluginBench.run(plugin, limits: impatient) { bench in
            _ = try? await bench.call(timeout: .milliseconds(50))
            bench.instance.close()
            let clock = ContinuousClock()
            let began = clock.now
            let isInOrder = await bench.instance.ended()
            #expect(!isInOrder)
            #expect(clock.now - began < .seconds(5))
            return bench
        }
        #expect(!bench.lines.all.contains { $0.contains("destroyed") })
        #expect(bench.lines.all.contains { $0.contains("its instance is left as it is") })
        #expect(bench.instance.health.stuckThreads == 1)
    }

    @Test func aCreateThatDoesNotReturnIsGivenUp() async throws {
        var plugin = ProbePlugin()
        plugin.create = "usleep(700000);"
        let error = await #expect(throws: HostError.self) {
            try await PluginBench.run(plugin, limits: impatient) { _ in }
        }
        #expect(error?.message.contains("its create did not return within") == true)
    }

    @Test func aHopToTheThreadsOfAnInstanceIsCheap() async throws {
        var plugin = ProbePlugin()
        plugin.verb = "return finish(call->ticket, EGP_OK, \"{\\\"items\\\":[]}\");"
        try await PluginBench.run(plugin) { bench in
            let request = Data(#"{"items":[]}"#.utf8)
            let capability = try UntypedCapability(LoadBalancer.identifier, of: bench.instance)
            let clock = ContinuousClock()
            let count = 2_000
            let elapsed = try await clock.measure {
                for _ in 0..<count { _ = try await capability.call(.ensure, request, timeout: .seconds(5)) }
            }
            print("one call across the border: \(elapsed / count)")
            #expect(elapsed / count < .milliseconds(5))
        }
    }

    @Test func aCallOfAHostFunctionIsCheap() async throws {
        var plugin = ProbePlugin()
        plugin.verb = """
            int64_t begin = host->now_ns(host->context); int64_t end = begin;
            for (int i = 0; i < 1000000; i++) end = host->now_ns(host->context);
            return say(call->ticket, "%lld", (long long)((end - begin) / 1000000));
            """
        try await PluginBench.run(plugin) { bench in
            let nanoseconds = try #require(Int(try await bench.said()))
            print("one call of now_ns through its closure: \(nanoseconds) ns")
            #expect(nanoseconds < 20_000)
        }
    }

    @Test func manyCallsAtOnceAllEnd() async throws {
        var plugin = ProbePlugin()
        plugin.globals = """
            static void later(void *c, int32_t f) { say((uint64_t)c, "%d", f); }
            """
        plugin.verb = """
            uint64_t timer;
            return host->timer_start(host->context, (call->ticket % 7) * 100000, later, (void *)call->ticket, &timer);
            """
        try await PluginBench.run(plugin) { bench in
            let said = await withTaskGroup(of: String?.self) { group in
                for number in 0..<1000 { group.addTask { try? await bench.said("i\(number)") } }
                return await group.reduce(into: [String: Int]()) { $0[$1 ?? "error", default: 0] += 1 }
            }
            #expect(said == ["1": 1000])
            #expect(bench.instance.health.calls == 1000)
            #expect(bench.instance.health.violations == [:])
        }
    }

    @Test func timersOfTheQueueRunInOrderAndCancelledOnesNever() async throws {
        let queue = TimerQueue()
        let ran = Mutex<[Int]>([])
        let now = HostClock.now()
        var tokens: [TimerQueue.Token] = []
        for number in (0..<200).shuffled() {
            let token = queue.schedule(at: now.advanced(by: .milliseconds(100 + number))) {
                ran.withLock { $0.append(number) }
            }
            if number % 2 == 1 { tokens.append(token) }
        }
        for token in tokens { #expect(queue.cancel(token)) }
        for token in tokens { #expect(!queue.cancel(token)) }
        while ran.withLock({ $0.count }) < 100 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(ran.withLock { $0 } == Array(stride(from: 0, to: 200, by: 2)))
    }

    // MARK: - Checking

    private let good =
        #"{\"items\":[{\"id\":\"a\",\"code\":\"ok\",\"observed\":{\"frontendIP\":\"10.0.0.4\",\"port\":6000}}]}"#

    @Test func aGoodPluginPassesFullChecking() async throws {
        var plugin = ProbePlugin()
        plugin.verb = "return finish(call->ticket, EGP_OK, \"\(good)\");"
        try await PluginBench.run(plugin, checking: .full) { bench in
            let codes = try await bench.call().map(\.code)
            #expect(codes == [.ok])
            #expect(bench.instance.health.violations == [:])
        }
    }

    @Test(arguments: [
        (#"{\"items\":[]}"#, "item \"a\" is missing"),
        (#"{\"items\":[{\"id\":\"b\",\"code\":\"retry\",\"message\":\"m\"}]}"#, "item \"b\" was not asked for"),
        (
            #"{\"items\":[{\"id\":\"a\",\"code\":\"retry\",\"message\":\"m\"},{\"id\":\"a\",\"code\":\"retry\",\"message\":\"m\"}]}"#,
            "item \"a\" occurs twice"
        ),
        (#"{\"items\":[{\"id\":\"a\",\"code\":\"splendid\"}]}"#, "code"),
        ("nothing", "is not JSON"),
    ])
    func fullCheckingFindsAWrongResult(result: String, problem: String) async throws {
        var plugin = ProbePlugin()
        plugin.verb = "return finish(call->ticket, EGP_OK, \"\(result)\");"
        try await PluginBench.run(plugin, checking: .full) { bench in
            let error = await #expect(throws: ProviderError.self) { try await bench.call() }
            #expect(error?.code == .terminal)
            #expect(error?.message.contains(problem) == true, "\(error?.message ?? "")")
            #expect(bench.instance.health.violations == ["P-14": 1])
            #expect(bench.instance.health.badResults == 1)
        }
    }

    @Test func fullCheckingShowsAKeptPointer() async throws {
        var plugin = ProbePlugin()
        plugin.globals = """
            static egp_bytes kept; static uint64_t ticket;
            static void *later(void *unused) {
                usleep(50000); size_t n = kept.length, bad = 0;
                for (size_t i = 0; i < n; i++) bad += kept.data[i] == 0xA5;
                say(ticket, "%d", n > 0 && bad == n); return NULL;
            }
            """
        plugin.verb = "kept = request; ticket = call->ticket; start(later, NULL); return EGP_OK;"
        try await PluginBench.run(plugin, checking: .full) { bench in
            let said = try await bench.said()
            #expect(said == "1")
        }
    }

    @Test func fullCheckingFindsATimerMadeInCreate() async throws {
        var plugin = ProbePlugin()
        plugin.globals = "static void fired(void *c, int32_t f) {}"
        plugin.create = "uint64_t t; h->timer_start(h->context, 0, fired, NULL, &t);"
        try await PluginBench.run(plugin, checking: .full) { bench in
            #expect(bench.instance.health.violations == ["P-5": 1])
        }
    }
}
