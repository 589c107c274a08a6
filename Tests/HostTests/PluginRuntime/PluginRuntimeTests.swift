import Foundation
import Logging
import ProviderKit
import Testing

@testable import Host

/// A load balancer in C whose verbs answer in the way the body of `verb` says.
private func source(verb: String, version: String = "EGP_ABI_VERSION", create: String = "") -> String {
    """
    #include "egress_provider.h"
    #include <stddef.h>
    #include <string.h>
    static const egp_host *host;
    static int instance;
    static egp_bytes text(const char *s) { egp_bytes b = {(const uint8_t *)s, strlen(s)}; return b; }
    static egp_code finish(uint64_t ticket, egp_code code, const char *result) {
        egp_completion c = {sizeof c, code, {NULL, 0}, {NULL, 0}, 0, {NULL, 0}};
        if (code == EGP_OK) c.result = text(result); else c.message = text(result);
        host->complete(host->context, ticket, &c);
        return EGP_OK;
    }
    static egp_code verb(egp_instance *i, const egp_call *call, egp_bytes request) { \(verb) }
    static const egp_capability table = {sizeof table, 0, verb, verb, NULL, NULL, verb};
    static egp_code create(const egp_host *h, egp_bytes c, egp_instance **out, egp_message *e) {
        \(create)
        host = h; *out = (egp_instance *)&instance; return EGP_OK;
    }
    static void destroy(egp_instance *i) {}
    static const egp_capability *capability(egp_instance *i, egp_bytes id) {
        return id.length == 15 && memcmp(id.data, "load-balancer/1", 15) == 0 ? &table : NULL;
    }
    static void cancel(egp_instance *i, uint64_t ticket) {}
    egp_code egp_provider_entry(uint32_t low, uint32_t high, egp_provider *out) {
        uint32_t version = \(version);
        out->abi_version = version;
        if (version > high) return EGP_HOST_TOO_OLD;
        if (version < low) return EGP_HOST_TOO_NEW;
        egp_provider p = {sizeof p, version, EGP_MAGIC, 0,
            text("{\\"name\\":\\"c\\",\\"version\\":\\"1\\",\\"kind\\":\\"load-balancer\\",\\"capabilities\\":[\\"load-balancer/1\\"]}"),
            create, destroy, capability, cancel};
        *out = p;
        return EGP_OK;
    }
    """
}

private let goodResult = #"{"items":[{"id":"a","code":"ok","observed":{"frontendIP":"10.0.0.4","port":6000}}]}"#
private let goodVerb = #"return finish(call->ticket, EGP_OK, "\#(goodResult.replacing("\"", with: "\\\""))");"#

private let item = LoadBalancer.Desired(
    id: "a", pool: PoolSelector(nodepoolName: "p"), probe: .init(path: "/gw/a", port: 8082))

@Suite struct PluginRuntimeTests {
    private let logger = Logger(label: "test")

    private func withPlugin<R>(
        _ source: String, config: String = "{}", timeout: Duration = .seconds(5),
        _ body: (PluginCapability<LoadBalancer>) async throws -> R
    ) async throws -> R {
        let workshop = try PluginWorkshop()
        defer { workshop.remove() }
        let path = try workshop.build("plugin", source)
        let runtime = try await PluginRuntime(
            [PluginEntry(name: "c", path: path, configuration: Data(config.utf8))], directory: "/", trust: .testing,
            logger: logger)
        defer { runtime.close() }
        return try await body(runtime.require(LoadBalancer.self, timeout: timeout))
    }

    private func failure(_ entries: [PluginEntry], directory: String = "/nonexistent") async -> String? {
        do {
            _ = try await PluginRuntime(entries, directory: directory, trust: .testing, logger: logger)
            return nil
        } catch {
            return String(describing: error)
        }
    }

    @Test func aPluginInCAnswersThroughTheBorder() async throws {
        let results = try await withPlugin(source(verb: goodVerb)) { try await $0.ensure([item]) }
        #expect(results == [.ok("a", .init(frontendIP: "10.0.0.4", port: 6000))])
    }

    @Test func theRequestArrivesAsTheDocumentedJSON() async throws {
        // The plugin echoes the request's bytes in its error message.
        let echo = """
            char copy[512]; size_t n = request.length < 511 ? request.length : 511;
            memcpy(copy, request.data, n); copy[n] = 0; return finish(call->ticket, EGP_INVALID, copy);
            """
        do {
            _ = try await withPlugin(source(verb: echo)) { try await $0.ensure([item]) }
            Issue.record("an EGP_INVALID completion must throw")
        } catch let error as ProviderError {
            #expect(error.code == .invalid)
            let echoed = Data(error.message.utf8)
            let request = try JSONDecoder().decode(BatchRequest<LoadBalancer.Desired>.self, from: echoed)
            #expect(request.items == [item])
        }
    }

    @Test func aMissingFileIsNamed() async {
        let message = await failure([PluginEntry(name: "x", path: "libNone.so", configuration: Data("{}".utf8))])
        #expect(message == "plugin /nonexistent/libNone.so: No such file or directory")
    }

    @Test func aFileThatIsNoPluginIsRefused() async throws {
        let workshop = try PluginWorkshop()
        defer { workshop.remove() }
        let text = workshop.folder.appending(path: "libText.so")
        try Data("hello".utf8).write(to: text)
        let message = await failure([PluginEntry(name: "x", path: text.path, configuration: Data("{}".utf8))])
        #expect(message?.contains("is no loadable shared object") == true)
        let other = try workshop.build("other", "int unrelated(void) { return 1; }")
        let otherMessage = await failure([PluginEntry(name: "x", path: other, configuration: Data("{}".utf8))])
        #expect(otherMessage?.contains("is no provider plugin: it exports no egp_provider_entry") == true)
        let directory = await failure([
            PluginEntry(name: "x", path: workshop.folder.path, configuration: Data("{}".utf8))
        ])
        #expect(directory?.contains("is not a regular file") == true)
    }

    @Test func anotherABIVersionIsRefused() async throws {
        let workshop = try PluginWorkshop()
        defer { workshop.remove() }
        let path = try workshop.build("future", source(verb: goodVerb, version: "0x10009"))
        let message = await failure([PluginEntry(name: "x", path: path, configuration: Data("{}".utf8))])
        #expect(
            message
                == "plugin \(path): speaks ABI version 1.9 and needs a newer host; this host speaks version 1.0 only")
    }

    @Test func thePluginsOwnRefusalIsShown() async throws {
        let workshop = try PluginWorkshop()
        defer { workshop.remove() }
        let refuse = """
            memcpy(e->buffer, "field x: must be 1", 18); e->length = 18; return EGP_INVALID;
            """
        let path = try workshop.build("refusing", source(verb: goodVerb, create: refuse))
        let message = await failure([PluginEntry(name: "mine", path: path, configuration: Data("{}".utf8))])
        #expect(message == "plugin mine (\(path)): field x: must be 1")
    }

    @Test func aCapabilityNobodyOffersIsNamed() async throws {
        let workshop = try PluginWorkshop()
        defer { workshop.remove() }
        let path = try workshop.build("plugin", source(verb: goodVerb))
        let runtime = try await PluginRuntime(
            [PluginEntry(name: "c", path: path, configuration: Data("{}".utf8))], directory: "/", trust: .testing,
            logger: logger)
        defer { runtime.close() }
        #expect(throws: HostError.self) { try runtime.require(Tunnel.self, timeout: .seconds(1)) }
    }

    @Test func aCallThatNeverCompletesEndsAtItsDeadline() async throws {
        let clock = ContinuousClock()
        let started = clock.now
        do {
            _ = try await withPlugin(source(verb: "return EGP_OK;"), timeout: .milliseconds(200)) {
                try await $0.ensure([item])
            }
            Issue.record("must throw")
        } catch let error as ProviderError {
            #expect(error.code == .retry)
            #expect(error.message.contains("did not complete within"))
        }
        #expect(clock.now - started >= .milliseconds(200))
    }

    @Test func aSecondCompletionIsHarmless() async throws {
        let finish = #"finish(call->ticket, EGP_OK, "{\"items\":[]}");"#
        let twice = "\(finish) \(finish) return EGP_OK;"
        let results = try await withPlugin(source(verb: twice)) { capability in
            _ = try await capability.ensure([item])
            return try await capability.ensure([item])
        }
        #expect(results.isEmpty)
    }

    @Test func anAnswerThatIsNotTheSchemaIsAnError() async throws {
        do {
            _ = try await withPlugin(source(verb: "return finish(call->ticket, EGP_OK, \"{}\");")) {
                try await $0.ensure([item])
            }
            Issue.record("must throw")
        } catch let error as ProviderError {
            #expect(error.code == .terminal)
            #expect(error.message.contains("field items is missing"))
        }
    }

    @Test func aVerbThatIsNotOfferedSaysSo() async throws {
        do {
            _ = try await withPlugin(source(verb: goodVerb)) { try await $0.prune(keeping: [], namespaces: []) }
            Issue.record("must throw")
        } catch let error as ProviderError {
            #expect(error.code == .unsupported)
        }
    }

    @Test func aCancelledCallerIsReleasedAtOnce() async throws {
        try await withPlugin(source(verb: "return EGP_OK;"), timeout: .seconds(60)) { capability in
            let task = Task { try await capability.ensure([item]) }
            try await Task.sleep(for: .milliseconds(50))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test func structsThatAreTooSmallAreNotReadFurther() async throws {
        let completes = """
            egp_completion c = {8, EGP_OK, {NULL, 0}, {NULL, 0}, 0, {NULL, 0}}; c.result = text("{\\"items\\":[]}");
            host->complete(host->context, call->ticket, &c); return EGP_OK;
            """
        let error = await #expect(throws: ProviderError.self) {
            _ = try await withPlugin(source(verb: completes)) { try await $0.ensure([item]) }
        }
        #expect(error?.code == .terminal)
        #expect(error?.message.contains("egp_completion of 8 bytes; at least 64 are needed") == true)
        let small = source(verb: goodVerb).replacing("table = {sizeof table,", with: "table = {8,")
        await #expect(throws: HostError.self) { _ = try await withPlugin(small) { _ in } }
    }

    @Test func anInstanceIsDestroyedAfterTheLastFunctionOnItReturned() async throws {
        let workshop = try PluginWorkshop()
        defer { workshop.remove() }
        let diary = workshop.folder.appending(path: "diary")
        let note = """
            #include <stdio.h>
            #include <unistd.h>
            static void note(const char *s) { FILE *f = fopen("\(diary.path)", "a"); fputs(s, f); fclose(f); }
            """
        let code = source(verb: "note(\"begin \"); usleep(400000); note(\"end \"); return EGP_OK;")
            .replacing("destroy(egp_instance *i) {}", with: "destroy(egp_instance *i) { note(\"destroy\"); }")
            .replacing("uint64_t ticket) {}", with: "uint64_t ticket) { note(\"cancel \"); }")
        let path = try workshop.build("slow", note + "\n" + code)
        let runtime = try await PluginRuntime(
            [PluginEntry(name: "c", path: path, configuration: Data("{}".utf8))], directory: "/", trust: .testing,
            logger: logger)
        let capability = try runtime.require(LoadBalancer.self, timeout: .seconds(5))
        let call = Task { try await capability.ensure([item]) }
        func read() -> String { (try? String(contentsOf: diary, encoding: .utf8)) ?? "" }
        while read().isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        runtime.close()
        while read() == "begin " { try await Task.sleep(for: .milliseconds(5)) }
        #expect(read() == "begin cancel ")
        let error = await #expect(throws: ProviderError.self) { _ = try await call.value }
        #expect(error?.code == .cancelled)
        await runtime.ended()
        #expect(read() == "begin cancel end destroy")
        await #expect(throws: ProviderError.self) { _ = try await capability.ensure([item]) }
        #expect(read() == "begin cancel end destroy")
    }
}
