import Foundation
import ProviderKit
import Synchronization
import Testing

@testable import Host

@Suite("Roles: lifetime, settings, order")
struct RoleSupportTests {
    /// Remembers what happened, in order.
    private final class Diary: Sendable {
        private let entries = Mutex<[String]>([])
        func note(_ text: String) { entries.withLock { $0.append(text) } }
        var all: [String] { entries.withLock { $0 } }
    }

    @Test("a role drains while its work still runs, then ends it")
    func drains() async throws {
        let diary = Diary()
        let role = Task {
            try await RoleLifetime.run(
                work: {
                    diary.note("work")
                    do { try await Task.sleep(for: .seconds(60)) } catch { diary.note("work ended") }
                },
                drain: {
                    diary.note("drain")
                    // Would end at once if it ran in the cancelled task.
                    try? await Task.sleep(for: .milliseconds(100))
                    diary.note("drained")
                })
        }
        while diary.all.isEmpty { await Task.yield() }
        role.cancel()
        try await role.value
        #expect(diary.all == ["work", "drain", "drained", "work ended"])
    }

    @Test("work that fails ends the role with its error, undrained")
    func fails() async {
        let diary = Diary()
        let error = await #expect(throws: HostError.self) {
            try await RoleLifetime.run(
                work: { throw HostError(.unavailable, "the socket is gone") }, drain: { diary.note("drain") })
        }
        #expect(error?.message == "the socket is gone")
        #expect(diary.all.isEmpty)
    }

    @Test("work for one key is done one after the other, for two keys at the same time")
    func serializes() async {
        let serializer = KeyedSerializer()
        let diary = Diary()
        let clock = ContinuousClock()
        let duration = await clock.measure {
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<6 {
                    group.addTask {
                        await serializer.run(number % 2 == 0 ? "even" : "odd") {
                            diary.note(number % 2 == 0 ? "even begins" : "odd begins")
                            try? await Task.sleep(for: .milliseconds(60))
                            diary.note(number % 2 == 0 ? "even ends" : "odd ends")
                        }
                    }
                }
            }
        }
        #expect(
            diary.all.filter { $0.hasPrefix("even") }
                == Array(repeating: ["even begins", "even ends"], count: 3).flatMap { $0 })
        #expect(diary.all.prefix(2).allSatisfy { $0.hasSuffix("begins") })
        #expect(duration >= .milliseconds(180))
    }

    @Test(
        "settings name the field that breaks its rule",
        arguments: [
            (#"{"socketPath":"cni.sock"}"#, "node.socketPath"),
            (#"{"cniConfigurationDirectory":"net.d"}"#, "node.cniConfigurationDirectory"),
            (#"{"exceptionCIDRs":["10.0.0.0/8","10.0.0.0"]}"#, "node.exceptionCIDRs[1]"),
            (#"{"gatewayWaitSeconds":31}"#, "node.gatewayWaitSeconds"),
        ])
    func nodeSettings(json: String, field: String) throws {
        let settings = try JSONDecoder().decode(NodeSettings.self, from: Data(json.utf8))
        let error = #expect(throws: HostError.self) { try settings.validate() }
        #expect(error?.message.hasPrefix("\(field):") == true && error?.message.contains("allowed") == true)
    }

    @Test(
        "gateway settings name the field that breaks its rule",
        arguments: [
            (#"{"gatewayProbePort":0}"#, "gatewayProbePort"), (#"{"networkNamespace":"a/b"}"#, "networkNamespace"),
            (#"{"uplink":"a-long-name"}"#, "uplink"), (#"{"drainSeconds":-1}"#, "drainSeconds"),
            (#"{"secretNamespace":""}"#, "secretNamespace"),
        ])
    func gatewaySettings(json: String, field: String) throws {
        try GatewaySettings().validate()
        try NodeSettings().validate()
        let settings = try JSONDecoder().decode(GatewaySettings.self, from: Data(json.utf8))
        let error = #expect(throws: HostError.self) { try settings.validate() }
        #expect(error?.message.hasPrefix("gateway.\(field):") == true)
    }
}
