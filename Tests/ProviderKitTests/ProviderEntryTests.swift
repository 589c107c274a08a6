import Foundation
import JSONModel
import ProviderAPI
import Testing

@testable import ProviderKit

/// A provider with a schema, a rule of its own, settings that change live and a probe.
private struct SampleProvider: ReconfigurableProvider, ProbingProvider {
    static let descriptor = ProviderDescriptor(
        name: "Sample", version: "1", kind: .loadBalancer, capabilities: ["load-balancer/1"],
        configurationSchema: ["type": "object", "properties": ["port": ["type": "integer", "maximum": 65535]]])

    let capabilities: [CapabilityBinding] = []

    init(host: ProviderHost, configuration: Data) throws { try Self.checkSettings(configuration) }

    static func checkSettings(_ configuration: Data) throws {
        let port = try JSONValue(json: configuration)["port"]?.int
        if port == 13 { throw ProviderError(.invalid, "port: 13 is unlucky") }
    }

    func reconfigure(_ configuration: Data) throws { try Self.checkSettings(configuration) }

    func probe(_ context: CallContext) async throws -> ProbeResult { ProbeResult(ready: true) }
}

@Suite struct ProviderEntryTests {
    @Test func aConfigurationIsJudgedByTheSchemaAndThenByTheProvider() {
        func mistakes(_ text: String) -> [ConfigurationMistake] { SampleProvider.mistakes(in: Data(text.utf8)) }
        #expect(mistakes(#"{"port": 80}"#).isEmpty)
        #expect(mistakes(#"{"port": 70000}"#).map(\.path) == ["/port"])
        #expect(mistakes(#"{"port": 13}"#) == [ConfigurationMistake(path: "", message: "port: 13 is unlucky")])
        #expect(mistakes("no JSON").count == 1)
    }

    @Test func theDescriptorIsAsItsSchemaSays() throws {
        let schema = try #require(CapabilitySchemas.document(.providerDescriptor))
        let json = try JSONValue(json: JSONEncoder().encode(SampleProvider.descriptor))
        #expect(schema.mistakes(in: json).isEmpty)
    }

    @Test func aTableThatEndsBeforeTheOptionalMembersIsEnough() async throws {
        var host = egp_host()
        // As long as the first host of 1.0 must be: up to http_send.
        host.size = UInt32((MemoryLayout<egp_host>.offset(of: \.http_send) ?? 0) + MemoryLayout<UInt>.size)
        host.log = { _, _, _, _ in }
        host.now_ns = { _ in 1_000 }
        host.complete = { _, _, _ in }
        host.http_send = { _, _, _, _ in egp_code(EGP_TERMINAL) }
        // Beyond the size: must not be read.
        host.log_enabled = { _, _ in fatalError("beyond the size") }
        host.timer_start = { _, _, _, _, _ in fatalError("beyond the size") }
        host.secret_read = { _, _, _ in fatalError("beyond the size") }
        let connection = try #require(HostConnection(&host))
        let provider = ProviderHost(connection)
        #expect(provider.isLogEnabled(.error))
        let error = #expect(throws: ProviderError.self) { try provider.secret("x") }
        #expect(error?.code == .unsupported)
        #expect(!provider.record(.gauge, "depth", 1))
        try await provider.sleep(until: HostInstant(nanoseconds: 2_000_000))
    }

    @Test func secretsMetricsEventsAndTimersReachTheHost() async throws {
        var host = egp_host()
        host.size = UInt32(MemoryLayout<egp_host>.size)
        host.log = { _, _, _, _ in }
        host.now_ns = { _ in 0 }
        host.complete = { _, _, _ in }
        host.http_send = { _, _, _, _ in egp_code(EGP_TERMINAL) }
        host.secret_read = { _, name, sink in
            for part in ["of ", name.text] { part.withBorderBytes { sink.pointee.write?(sink.pointee.context, $0) } }
            return egp_code(EGP_OK)
        }
        host.metric = { _, metric in
            let raw = metric.pointee
            let isAsSent = raw.kind == 0 && raw.name.text == "n" && raw.labels.text == #"{"a":"b"}"# && raw.value == 2
            return egp_code(isAsSent ? EGP_OK : EGP_INVALID)
        }
        host.event = { _, event in
            let raw = event.pointee
            let isAsSent =
                raw.severity == 1 && raw.item.text == "i" && raw.reason.text == "R" && raw.message.text == "m"
            return egp_code(isAsSent ? EGP_OK : EGP_INVALID)
        }
        // The first timer fires; a long one is ended as cancelled.
        host.timer_start = { _, delay, done, context, number in
            number.pointee = 7
            done(context, delay < 1_000 ? 1 : 0)
            return egp_code(EGP_OK)
        }
        host.timer_cancel = { _, _ in egp_code(EGP_INVALID) }
        let connection = try #require(HostConnection(&host))
        let provider = ProviderHost(connection)
        #expect(String(decoding: try provider.secret("token"), as: UTF8.self) == "of token")
        #expect(provider.record(.counter, "n", 2, labels: ["a": "b"]))
        #expect(provider.tell(.warning, item: "i", reason: "R", message: "m"))
        try await provider.sleep(until: HostInstant(nanoseconds: 10))
        await #expect(throws: CancellationError.self) {
            try await provider.sleep(until: HostInstant(nanoseconds: 1_000_000))
        }
    }
}
