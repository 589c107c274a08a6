import LinuxNet
import ProviderKit
import Testing

@testable import WireGuardProvider

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// Settings that change while tunnels live, with real devices.
@Suite("Live settings", .serialized, .enabled(if: canTunnel, needsTunnels))
struct LiveSettingsTests {
    @Test func aPodEndThatExistsTakesOtherKeepalives() async throws {
        let nodes = try await TwoNodes("live", configuration: #"{"stallSeconds": 0}"#)
        _ = try await nodes.ensure(nodes.onWorker, nodes.podEnd())
        #expect(try keepalive(nodes) == 0)
        try nodes.onWorker.reconfigure(Data(#"{"stallSeconds": 0, "persistentKeepaliveSeconds": 7}"#.utf8))
        #expect(try await eventually(nodes, 7))
        // The other direction, with silence watched for from now on.
        try nodes.onWorker.reconfigure(Data(#"{"stallSeconds": 3}"#.utf8))
        #expect(try await eventually(nodes, 0))
        try await nodes.removeAll()
    }

    @Test func whatWasDecidedWithTheLinkNeedsARestart() async throws {
        let nodes = try await TwoNodes("fixed", configuration: #"{"stallSeconds": 0}"#)
        _ = try await nodes.ensure(nodes.onWorker, nodes.podEnd())
        let changes = [
            (#"{"form": "userspace", "persistentKeepaliveSeconds": 9}"#, ResultCode.unsupported, "config.form"),
            (#"{"userspaceBinary": "/x", "persistentKeepaliveSeconds": 9}"#, .unsupported, "config.userspaceBinary"),
            (#"{"mtu": 1400, "persistentKeepaliveSeconds": 9}"#, .unsupported, "config.mtu"),
            (#"{"stallSeconds": 16, "persistentKeepaliveSeconds": 9}"#, .invalid, "config.stallSeconds"),
        ]
        for (settings, code, field) in changes {
            let error = #expect(throws: ProviderError.self) {
                try nodes.onWorker.reconfigure(Data(settings.utf8))
            }
            #expect(error?.code == code && error?.message.hasPrefix("\(field): ") == true, "\(settings)")
        }
        // Nothing of a refused change is taken: an end made now has what the settings said before.
        _ = try await nodes.onWorker.service.remove([nodes.podReference], nodes.host.context)
        _ = try await nodes.ensure(nodes.onWorker, nodes.podEnd())
        #expect(try keepalive(nodes) == 0)
        try await nodes.removeAll()
    }

    /// What the device of the pod's end says, in seconds.
    private func keepalive(_ nodes: TwoNodes) throws -> Int {
        let device = try #require(try TunnelDevice.find("wg0", in: nodes.pod.namespace, nodes.pod.routes))
        return Int(try #require(try device.backend.status().peers.first).persistentKeepalive)
    }

    private func eventually(_ nodes: TwoNodes, _ seconds: Int) async throws -> Bool {
        for _ in 0..<100 {
            if try keepalive(nodes) == seconds { return true }
            try await Task.sleep(for: .milliseconds(100))
        }
        return false
    }
}
