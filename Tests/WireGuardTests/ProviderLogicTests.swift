import LinuxNet
import ProviderKit
import Testing

@testable import WireGuardProvider

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

@Suite("WireGuard provider's settings")
struct SettingsTests {
    @Test func absentFieldsHaveDefaults() throws {
        let settings = try WireGuardSettings(json: Data("{}".utf8))
        #expect(settings == WireGuardSettings())
        #expect(settings.form == .auto && settings.mtu == nil && settings.stallSeconds == 5)
    }

    @Test func allFieldsAreRead() throws {
        let settings = try WireGuardSettings(
            json: Data(
                """
                {"form": "userspace", "userspaceBinary": "/x", "mtu": 1400, "persistentKeepaliveSeconds": 25,
                 "stallSeconds": 0}
                """.utf8))
        #expect(settings.form == .userspace && settings.userspaceBinary == "/x" && settings.mtu == 1400)
        #expect(settings.persistentKeepaliveSeconds == 25 && settings.stallSeconds == 0)
    }

    @Test(arguments: [
        (#"{"form":"fast"}"#, #"config.form: "fast" is not allowed; allowed: auto, kernel, userspace"#),
        (#"{"mtu":1279}"#, "config.mtu: 1279 is not allowed; allowed: 1280...65455 bytes"),
        (#"{"mtu":"x"}"#, "config: field mtu must be of type Int"),
        (#"{"stallSeconds":16}"#, "config.stallSeconds: 16 is not allowed; allowed: 0...15 seconds, 0 is off"),
        (
            #"{"userspaceBinary":"wireguard-go"}"#,
            #"config.userspaceBinary: "wireguard-go" is not allowed; allowed: an absolute path"#
        ),
        (
            #"{"colour":1}"#,
            "config.colour: no such field; "
                + "allowed: form, userspaceBinary, mtu, persistentKeepaliveSeconds, stallSeconds"
        ),
    ])
    func aMistakeIsNamed(json: String, message: String) {
        let error = #expect(throws: ProviderError.self) { try WireGuardSettings(json: Data(json.utf8)) }
        #expect(error?.code == .invalid)
        #expect(error?.message == message)
    }

    @Test func anAbsentBinaryOrModuleIsToldAtTheFirstUse() throws {
        var settings = WireGuardSettings()
        settings.form = .userspace
        settings.userspaceBinary = "/nonexistent/wireguard-go"
        let error = #expect(throws: ProviderError.self) { _ = try TunnelForms(settings).choose() }
        #expect(error?.code == .terminal)
        #expect(error?.message.contains("/nonexistent/wireguard-go") == true)
    }
}

@Suite("Tunnel requests and plans")
struct TunnelPlanTests {
    private let key = KeyTests.vectors[0].0
    private let publicKeys = KeyTests.vectors.map(\.1)

    private func gateway(_ peers: [Tunnel.Peer], port: Int = 6000, addresses: [String] = ["fe80::1/64"])
        -> Tunnel.Desired
    {
        Tunnel.Desired(
            id: "1", namespace: "/run/netns/egress", link: "wg-6000", addresses: addresses,
            gateway: Tunnel.GatewayEnd(port: port, privateKey: key, peers: peers))
    }

    @Test func mistakesNameTheField() {
        let cases: [(Tunnel.Desired, String)] = [
            (gateway([], port: 65536), "gateway.port: \"65536\""),
            (gateway([], addresses: ["fe80::1"]), "addresses: \"fe80::1\""),
            (
                Tunnel.Desired(
                    id: "1", namespace: "x", link: "wg0", addresses: [],
                    pod: Tunnel.PodEnd(
                        endpoint: Tunnel.Endpoint(address: "10.0.0.1", port: 1), gatewayPublicKey: publicKeys[0])),
                "namespace: \"x\""
            ),
            (
                Tunnel.Desired(
                    id: "1", namespace: "/x", link: "wg0", addresses: [],
                    pod: Tunnel.PodEnd(
                        endpoint: Tunnel.Endpoint(address: "a.example", port: 1), gatewayPublicKey: publicKeys[0])),
                "pod.endpoint.address: \"a.example\""
            ),
            (
                Tunnel.Desired(
                    id: "1", namespace: "/x", link: "a-name-of-16-byt", addresses: [],
                    pod: Tunnel.PodEnd(
                        endpoint: Tunnel.Endpoint(address: "10.0.0.1", port: 1), gatewayPublicKey: publicKeys[0])),
                "link name: \"a-name-of-16-byt\""
            ),
        ]
        for (desired, message) in cases {
            let error = #expect(throws: ProviderError.self) {
                _ = try TunnelSpec(desired, settings: WireGuardSettings())
            }
            #expect(error?.code == .invalid)
            #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
        }
    }

    @Test func anUnusablePeerDoesNotTakeTheOthersAlong() throws {
        let spec = try TunnelSpec(
            gateway([
                Tunnel.Peer(id: "a/old", publicKey: publicKeys[0], allowedIPs: ["10.244.0.1/32", "10.244.0.2/32"]),
                Tunnel.Peer(id: "a/bad", publicKey: "?", allowedIPs: ["10.244.0.3/32"]),
                Tunnel.Peer(id: "a/new", publicKey: publicKeys[1], allowedIPs: ["10.244.0.1/32"]),
            ]), settings: WireGuardSettings())
        // An address that two claim belongs to the later one.
        #expect(spec.peers.map { $0.allowedIPs.map(\.description) } == [["10.244.0.2/32"], ["10.244.0.1/32"]])
        #expect(spec.warnings.count == 2)
        #expect(spec.warnings.contains { $0.hasPrefix("peer a/bad is left out: publicKey: \"?\"") })
        #expect(spec.warnings.contains { $0.hasPrefix("peer a/old: allowedIPs 10.244.0.1/32") })
    }

    @Test func aTunnelThatIsAsItShallBeNeedsNothing() throws {
        let peer = Tunnel.Peer(id: "a", publicKey: publicKeys[1], allowedIPs: ["10.244.0.1/32"])
        let spec = try TunnelSpec(gateway([peer]), settings: WireGuardSettings())
        var status = WireGuardStatus()
        status.publicKey = try WireGuardKey(parsing: publicKeys[0])
        status.listenPort = 6000
        var present = WireGuardPeerStatus(publicKey: try WireGuardKey(parsing: publicKeys[1]))
        present.allowedIPs = spec.peers[0].allowedIPs
        present.endpoint = WireGuardEndpoint(address: try IPAddress(parsing: "10.243.4.4"), port: 1234)
        status.peers = [present]
        var link = ObservedLink(mtu: 1420, isUp: true, addresses: Set(spec.addresses), routes: spec.routes)
        #expect(TunnelPlan(spec, status: status, link: link, mtu: 1420, podKey: nil).isEmpty)

        link.routes = [try IPPrefix(parsing: "10.244.0.9/32")]
        link.mtu = 1500
        status.listenPort = 6001
        let plan = TunnelPlan(spec, status: status, link: link, mtu: 1420, podKey: nil)
        #expect(plan.addedRoutes.map(\.description) == ["10.244.0.1/32"])
        #expect(plan.removedRoutes.map(\.description) == ["10.244.0.9/32"])
        #expect(plan.mtu == 1420 && plan.configuration.listenPort == 6000)
        #expect(plan.configuration.privateKey == nil && plan.configuration.peers.isEmpty)
    }

    @Test func theMTUIsTheUplinksLessTheOverheadWithinWhatIPv6Takes() {
        #expect(TunnelMTU.derived(fromUplink: 1500) == 1420)
        #expect(TunnelMTU.derived(fromUplink: 9000) == 8920)
        #expect(TunnelMTU.derived(fromUplink: 1300) == 1280)
        #expect(TunnelMTU.derived(fromUplink: 65_536) == 65_455)
    }

    @Test func creationNamesAreLinkNamesAndDifferByNamespaceAndLink() throws {
        let name = TunnelNaming.creationName(namespacePath: "/run/netns/a", link: "wg0")
        try Link.validate(name: name)
        #expect(name.utf8.count == 15 && TunnelNaming.isCreationName(name))
        #expect(name == TunnelNaming.creationName(namespacePath: "/var/run/netns/a", link: "wg0"))
        #expect(name != TunnelNaming.creationName(namespacePath: "/run/netns/a", link: "wg1"))
        #expect(name != TunnelNaming.creationName(namespacePath: "/run/netns/b", link: "wg0"))
        for other in ["egw", "egw-0123456789a", "wg0123456789abc", "egwXYZ456789abc", "egw0123456789abc"] {
            #expect(!TunnelNaming.isCreationName(other))
        }
    }
}

@Suite("Stall detector")
struct StallDetectorTests {
    private func at(_ seconds: Int) -> HostInstant { HostInstant(nanoseconds: Int64(seconds) * 1_000_000_000) }

    @Test func anAnsweredFlowIsLeftAlone() {
        var detector = StallDetector(patience: .seconds(5))
        let asked = (0..<60).filter { second in
            let bytes = UInt64(second * 1000)
            return detector.observe(received: bytes, sent: bytes, hasSession: true, at: at(second))
        }
        #expect(asked.isEmpty)
    }

    @Test func anIdleTunnelIsLeftAlone() {
        var detector = StallDetector(patience: .seconds(5))
        let asked = (0..<60).filter {
            detector.observe(received: 500, sent: 500, hasSession: true, at: at($0))
        }
        #expect(asked.isEmpty)
    }

    @Test func silenceAgainstTrafficIsNoticedAfterThePatienceThenEachSecondForAWhile() {
        var detector = StallDetector(patience: .seconds(5))
        var sent: UInt64 = 1000
        _ = detector.observe(received: 1000, sent: sent, hasSession: true, at: at(0))
        var forced: [Int] = []
        var hasSession = true
        for second in 1...60 {
            sent += 148
            if detector.observe(received: hasSession ? 1000 : 0, sent: sent, hasSession: hasSession, at: at(second)) {
                forced.append(second)
                hasSession = false
                sent = 0
            }
        }
        // The traffic began between second 0 and 1.
        #expect(forced == Array(6...15))
    }

    @Test func aPeerThatNeverAnsweredIsAskedAgainEachSecond() {
        var detector = StallDetector(patience: .seconds(5))
        let asked = (0...2).filter {
            detector.observe(received: 0, sent: 148, hasSession: false, at: at($0))
        }
        #expect(asked == [1, 2])
    }

    @Test func aFlowThatGoesOneWayIsLeftInPeaceMoreAndMore() {
        var detector = StallDetector(patience: .seconds(4))
        var (received, sent): (UInt64, UInt64) = (1000, 1000)
        var forced: [Int] = []
        _ = detector.observe(received: received, sent: sent, hasSession: true, at: at(0))
        for second in 1...90 {
            sent += 1600
            if forced.last == second - 1 { received += 92 }
            if detector.observe(received: received, sent: sent, hasSession: true, at: at(second)) {
                forced.append(second)
                (received, sent) = (0, 0)
            }
        }
        let gaps = zip(forced, forced.dropFirst()).map { $1 - $0 }
        #expect(forced.first == 5)
        #expect(gaps.last == 17, "\(forced)")
        #expect(forced.count <= 8)
        // Data that comes back restores the first patience.
        _ = detector.observe(received: received + 5000, sent: sent, hasSession: true, at: at(91))
        #expect(detector.patience == .seconds(4))
    }
}
