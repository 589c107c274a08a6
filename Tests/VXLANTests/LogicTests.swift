import LinuxNet
import ProviderKit
import Testing

@testable import VXLANProvider

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

@Suite struct SettingsTests {
    private func settings(_ json: String) throws -> VXLANSettings { try VXLANSettings(json: Data(json.utf8)) }

    @Test func everyFieldMayBeAbsent() throws {
        #expect(try settings("{}") == VXLANSettings())
        let all = try settings(
            #"{"portRange":"5000-5009","mtu":1400,"underlayAddress":"10.0.0.4","underlayFamily":"ipv4"}"#)
        #expect(all.portRange == 5000...5009 && all.mtu == 1400 && all.underlayAddress == IPAddress("10.0.0.4"))
        #expect(try settings(#"{"underlayFamily":"ipv6"}"#).derivedMTU(fromUplink: 1500) == 1430)
        #expect(VXLANSettings().derivedMTU(fromUplink: 1500) == 1450)
        #expect(VXLANSettings().derivedMTU(fromUplink: 576) == 1280, "IPv6 needs it")
    }

    @Test(arguments: [
        (#"{"portRange":"1-2"}"#, "config.portRange: \"1-2\" is not allowed; allowed: FIRST-LAST within 1024...65534"),
        (#"{"portRange":"5000"}"#, "config.portRange: \"5000\""),
        (#"{"portRange":"5001-5000"}"#, "config.portRange: \"5001-5000\""),
        (#"{"portRange":"65000-65535"}"#, "config.portRange: \"65000-65535\""),
        (#"{"portRange":5000}"#, "portRange must be of type String"),
        (#"{"mtu":1279}"#, "config.mtu: 1279 is not allowed; allowed: 1280...65465 bytes"),
        (#"{"underlayAddress":"127.0.0.1"}"#, "config.underlayAddress: \"127.0.0.1\" is not allowed"),
        (#"{"underlayAddress":"fd00::1"}"#, "config.underlayAddress: \"fd00::1\" is not allowed"),
        (#"{"underlayFamily":"ipx"}"#, "config.underlayFamily: \"ipx\" is not allowed; allowed: ipv4, ipv6"),
        (#"{"ports":"1"}"#, "config.ports: no such field; allowed: portRange, mtu, underlayAddress, underlayFamily"),
        ("[]", "config: "),
    ])
    func aWrongFieldIsNamedWithItsValueAndWhatIsAllowed(json: String, message: String) throws {
        let error = try #require(throws: ProviderError.self) { try settings(json) }
        #expect(error.code == .invalid && error.message.contains(message), "\(error.message)")
    }

    @Test func theStartSaysThatNothingIsEncrypted() throws {
        let host = TestHost()
        _ = try VXLANProvider(host: ProviderHost(host), configuration: Data("{}".utf8))
        #expect(host.log.count == 1)
        #expect(host.log.first?.hasPrefix("warning VXLAN neither encrypts nor authenticates") == true)
    }
}

@Suite struct PodKeyTests {
    private static let station = MACAddress(bytes: [0x02, 1, 2, 3, 4, 5])

    private func bytes(_ text: String) throws -> [UInt8] { [UInt8](try #require(Data(base64Encoded: text))) }

    @Test(arguments: ["10.243.4.4", "fd00:1::4"])
    func aKeyIs32BytesThatReadBackAsTheyWereWritten(host: String) throws {
        let key = PodKey(
            host: try #require(IPAddress(host)), port: 24_577, hardwareAddress: try #require(Self.station))
        #expect(try bytes(key.text).count == 32)
        #expect(try PodKey(parsing: key.text) == key)
        #expect(key.nextHop.description == "fe80::1:2ff:fe03:405")
    }

    /// What is written at which place, and what the refusal says.
    @Test(arguments: [
        (0, UInt8(2), "format version is 2, known is 1"), (1, 5, "neither IPv4 nor IPv6"),
        (2, 127, "address is none of a host"), (2, 224, "address is none of a host"), (9, 1, "neither IPv4 nor IPv6"),
        (20, 0x03, "not a made-up unicast one"), (20, 0x00, "not a made-up unicast one"), (26, 1, "not zero"),
        (31, 1, "not zero"),
    ])
    func aByteThatCannotBeIsRefused(index: Int, value: UInt8, reason: String) throws {
        let key = PodKey(
            host: try #require(IPAddress("10.243.4.4")), port: 25_000, hardwareAddress: try #require(Self.station))
        var bytes = try bytes(key.text)
        bytes[index] = value
        let error = try #require(throws: ProviderError.self) {
            try PodKey(parsing: Data(bytes).base64EncodedString(), field: "peer.publicKey")
        }
        #expect(error.code == .invalid && error.message.hasPrefix("peer.publicKey: "))
        #expect(error.message.contains(reason), "\(error.message)")
    }

    @Test func keysOfWireGuardAndOtherTextAreRefused() throws {
        for text in [try WireGuardPrivateKey.generate().publicKey.description, "", "AAAA", "no base64"] {
            #expect(throws: ProviderError.self) { try PodKey(parsing: text) }
        }
    }
}

@Suite struct IdentityAndPlanTests {
    @Test func allGatewaysOfAConfigurationAreOneAndThoseOfOthersAreNot() throws {
        let keys = try (0..<64).map { _ in try WireGuardPrivateKey.generate().publicKey }
        let identities = try keys.map { try #require(GatewayIdentity($0)) }
        #expect(try keys.map { try #require(GatewayIdentity($0)) } == identities)
        #expect(Set(identities.map(\.hardwareAddress)).count == 64)
        for identity in identities {
            #expect(VXLANParameters.identifiers.contains(identity.identifier) && identity.identifier > 0)
            #expect(identity.hardwareAddress.isUnicast && identity.hardwareAddress.isLocallyAdministered)
        }
    }

    /// Nodes of different versions must agree on it: changing it cuts running pods off.
    @Test func theIdentityOfAKeyNeverChanges() throws {
        let key = try #require(WireGuardKey(bytes: Array(0..<32)))
        let identity = try #require(GatewayIdentity(key))
        #expect(identity.identifier == 2_496_415)
        #expect(identity.hardwareAddress.description == "e6:40:d6:20:4a:b8")
    }

    @Test func onlyDifferencesArePlanned() throws {
        let stations = try (1...4).map { try #require(MACAddress(bytes: [2, 0, 0, 0, 0, UInt8($0)])) }
        let address = try #require(IPAddress("10.243.4.4"))
        let next = stations.map(\.linkLocalAddress)
        let prefixes = try (1...4).map { try IPPrefix(parsing: "10.244.0.\($0)/32") }
        var old = TableState()
        old.routes = []
        for index in 0..<3 {
            old.forwarding[stations[index]] = TunnelHost(address: address, port: 5000 + UInt16(index))
            old.neighbours[next[index]] = stations[index]
            old.routes?.insert(TunnelRoute(prefixes[index], via: next[index]))
        }
        #expect(TablePlan(from: old, to: old, linkIndex: 7).changes.isEmpty)
        var new = old
        // The first goes, the second has moved to another port, the third's address now belongs to a fourth.
        new.forwarding[stations[0]] = nil
        new.neighbours[next[0]] = nil
        new.forwarding[stations[1]]?.port = 6001
        new.forwarding[stations[3]] = TunnelHost(address: address, port: 5003)
        new.neighbours[next[3]] = stations[3]
        new.routes = [TunnelRoute(prefixes[1], via: next[1]), TunnelRoute(prefixes[2], via: next[3])]
        let plan = TablePlan(from: old, to: new, linkIndex: 7)
        #expect(
            plan.changes == [
                .setForwarding(ForwardingEntry(stations[1], behind: address, port: 6001, linkIndex: 7)),
                .setForwarding(ForwardingEntry(stations[3], behind: address, port: 5003, linkIndex: 7)),
                .setNeighbour(Neighbour(next[3], at: stations[3], linkIndex: 7)),
                .setRoute(TunnelRoute(prefixes[2], via: next[3]).route(linkIndex: 7)),
                .removeRoute(TunnelRoute(prefixes[0], via: next[0]).route(linkIndex: 7)),
                .removeNeighbour(Neighbour(next[0], at: stations[0], linkIndex: 7)),
                .removeForwarding(ForwardingEntry(stations[0], behind: address, port: 5000, linkIndex: 7)),
            ])
        #expect(plan.differences(limit: 2).last == "and 5 more")
        // A pod's routes are nobody's business here.
        var pod = TableState()
        pod.routes = nil
        #expect(
            TablePlan(from: old, to: pod, linkIndex: 7).changes.allSatisfy {
                if case .removeRoute = $0 { false } else { true }
            })
    }
}
