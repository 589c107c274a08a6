import Testing

@testable import LinuxNet

/// A configuration, and the same in both control protocols' forms, written by hand from their references.
private enum Sample {
    static let key = key(1)
    static let other = key(0xab)
    static let ones = String(repeating: "01", count: 32)
    static let others = String(repeating: "ab", count: 32)

    static func key(_ byte: UInt8) -> WireGuardKey {
        guard let key = WireGuardKey(bytes: [UInt8](repeating: byte, count: 32)) else { preconditionFailure() }
        return key
    }

    static func prefix(_ text: String) -> IPPrefix {
        guard let prefix = try? IPPrefix(parsing: text) else { preconditionFailure(text) }
        return prefix
    }

    static let peer = WireGuardPeer(
        publicKey: key, endpoint: WireGuardEndpoint(address: prefix("10.243.0.6/32").address, port: 6000),
        allowedIPs: [prefix("10.244.0.20/32")])
}

@Suite("Userspace WireGuard's control protocol")
struct UserspaceProtocolTests {
    @Test func aChangeIsWrittenInTheProtocolsWords() throws {
        let key = try WireGuardPrivateKey(parsing: KeyTests.vectors[0].0)
        var set = WireGuardPeerChange.set(Sample.peer)
        set.persistentKeepalive = 25
        set.allowedIPs.append(Sample.prefix("fd00::/64"))
        let text = UserspaceProtocol.setRequest(
            WireGuardConfiguration(
                privateKey: key, listenPort: 6000, replacePeers: true, peers: [.remove(Sample.other), set]))
        #expect(
            String(decoding: text, as: UTF8.self) == """
                set=1
                private_key=70076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c6a
                listen_port=6000
                replace_peers=true
                public_key=\(Sample.others)
                remove=true
                public_key=\(Sample.ones)
                endpoint=10.243.0.6:6000
                persistent_keepalive_interval=25
                replace_allowed_ips=true
                allowed_ip=10.244.0.20/32
                allowed_ip=fd00::/64


                """)
    }

    @Test func anIPv6EndpointStandsInBrackets() {
        var change = WireGuardPeerChange(publicKey: Sample.key)
        change.updateOnly = true
        change.endpoint = WireGuardEndpoint(address: IPAddress("fd00::6")!, port: 1)
        let text = String(
            decoding: UserspaceProtocol.setRequest(WireGuardConfiguration(peers: [change])), as: UTF8.self)
        #expect(text == "set=1\npublic_key=\(Sample.ones)\nupdate_only=true\nendpoint=[fd00::6]:1\n\n")
    }

    @Test func aReplyIsReadWithAllItsPeers() throws {
        let reply = """
            private_key=70076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c6a
            listen_port=6000
            fwmark=0
            public_key=\(Sample.ones)
            preshared_key=\(String(repeating: "0", count: 64))
            protocol_version=1
            endpoint=[fe80::1%2]:51820
            last_handshake_time_sec=1700000000
            last_handshake_time_nsec=5
            tx_bytes=18446744073709551615
            rx_bytes=92
            persistent_keepalive_interval=25
            allowed_ip=10.244.0.20/32
            allowed_ip=::/0
            public_key=\(Sample.others)
            last_handshake_time_sec=0
            last_handshake_time_nsec=0
            tx_bytes=0
            rx_bytes=0
            errno=0


            """
        let status = try UserspaceProtocol.status(inReply: Array(reply.utf8))
        #expect(status.publicKey?.description == KeyTests.vectors[0].1)
        #expect(status.listenPort == 6000)
        #expect(status.peers.map(\.publicKey) == [Sample.key, Sample.other])
        let peer = status.peers[0]
        #expect(peer.endpoint == WireGuardEndpoint(address: IPAddress("fe80::1")!, port: 51820))
        #expect(peer.lastHandshake == .seconds(1_700_000_000) + .nanoseconds(5))
        #expect(peer.sentBytes == .max && peer.receivedBytes == 92 && peer.persistentKeepalive == 25)
        #expect(peer.allowedIPs == [Sample.prefix("10.244.0.20/32"), Sample.prefix("::/0")])
        #expect(status.peers[1].lastHandshake == nil)
        #expect(try UserspaceProtocol.errorNumber(inReply: Array(reply.utf8)) == 0)
    }

    @Test func aDeviceWithoutAKeyHasNone() throws {
        let reply = "private_key=\(String(repeating: "0", count: 64))\nerrno=0\n\n"
        #expect(try UserspaceProtocol.status(inReply: Array(reply.utf8)).publicKey == nil)
    }

    @Test(arguments: [
        "listen_port=65536\n", "rx_bytes=1\n", "public_key=01\n", "nonsense\n", "private_key=01\n",
        "public_key=\(Sample.ones)\nallowed_ip=10.0.0.0/33\n", "public_key=\(Sample.ones)\nendpoint=x:1\n",
    ])
    func aMalformedReplyIsAnError(text: String) {
        #expect(throws: LinuxNetError.self) { try UserspaceProtocol.status(inReply: Array(text.utf8)) }
    }

    @Test func errorNumbersComeInEitherSign() throws {
        #expect(try UserspaceProtocol.errorNumber(inReply: Array("errno=-98\n\n".utf8)) == 98)
        #expect(try UserspaceProtocol.errorNumber(inReply: Array("errno=22\n\n".utf8)) == 22)
        #expect(throws: LinuxNetError.self) { try UserspaceProtocol.errorNumber(inReply: Array("a=b\n\n".utf8)) }
    }
}

@Suite("Kernel WireGuard's generic netlink messages")
struct KernelProtocolTests {
    /// The attributes of a message, after the netlink header.
    private func attributes(_ build: (inout NetlinkMessage) -> Void) -> [UInt8] {
        var message = NetlinkMessage(type: 32)
        build(&message)
        return Array(message.bytes(sequence: 1).dropFirst(16))
    }

    @Test func aChangeHasTheBytesOfTheHeader() {
        let bytes = attributes {
            var configuration = WireGuardConfiguration(listenPort: 6000, replacePeers: true)
            var change = WireGuardPeerChange.set(Sample.peer)
            change.persistentKeepalive = nil
            configuration.peers = [change, .remove(Sample.other)]
            KernelProtocol.append(configuration, link: "wg0", to: &$0)
        }
        let expected: [[UInt8]] = [
            [8, 0, 2, 0], Array("wg0\0".utf8),  // WGDEVICE_A_IFNAME
            [8, 0, 5, 0], [1, 0, 0, 0],  // WGDEVICE_A_FLAGS: replace peers
            [6, 0, 6, 0], [0x70, 0x17, 0, 0],  // WGDEVICE_A_LISTEN_PORT, host order
            [152, 0, 8, 0x80],  // WGDEVICE_A_PEERS
            [100, 0, 0, 0x80],  // one peer
            [36, 0, 1, 0], [UInt8](repeating: 1, count: 32),  // WGPEER_A_PUBLIC_KEY
            [8, 0, 3, 0], [2, 0, 0, 0],  // WGPEER_A_FLAGS: replace allowed IPs
            [20, 0, 4, 0], [2, 0, 0x17, 0x70, 10, 243, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0],  // WGPEER_A_ENDPOINT
            [32, 0, 9, 0x80], [28, 0, 0, 0x80],  // WGPEER_A_ALLOWEDIPS, one of them
            [6, 0, 1, 0, 2, 0, 0, 0], [8, 0, 2, 0, 10, 244, 0, 20], [5, 0, 3, 0, 32, 0, 0, 0],
            [48, 0, 0, 0x80],  // the other peer
            [36, 0, 1, 0], [UInt8](repeating: 0xab, count: 32),
            [8, 0, 3, 0], [1, 0, 0, 0],  // WGPEER_A_FLAGS: remove
        ]
        #expect(bytes == expected.flatMap { $0 })
    }

    @Test func anIPv6EndpointIsASockaddrIn6() {
        let endpoint = WireGuardEndpoint(address: IPAddress("fd00::6")!, port: 258)
        let address: [UInt8] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6]
        #expect(KernelProtocol.socketAddress(endpoint) == [10, 0, 1, 2, 0, 0, 0, 0] + address + [0, 0, 0, 0])
    }

    @Test func aPeerThatGoesOnInTheNextMessageIsPutTogether() throws {
        func allowed(_ message: inout NetlinkMessage, _ last: UInt8) {
            message.nest(9) { list in
                list.nest(0) {
                    $0.append(1, value: UInt16(2))
                    $0.append(2, bytes: [10, 0, 0, last] as [UInt8])
                    $0.append(3, value: UInt8(32))
                }
            }
        }
        let first = attributes {
            $0.append(4, bytes: Sample.other.bytes)
            $0.append(6, value: UInt16(6000))
            $0.nest(8) { list in
                list.nest(0) { peer in
                    peer.append(1, bytes: Sample.key.bytes)
                    peer.append(6, bytes: withUnsafeBytes(of: (Int64(1_700_000_000), Int64(5))) { Array($0) })
                    peer.append(7, value: UInt64(92))
                    peer.append(8, value: UInt64(148))
                    allowed(&peer, 1)
                }
            }
        }
        let second = attributes {
            $0.nest(8) { list in
                list.nest(0) { peer in
                    peer.append(1, bytes: Sample.key.bytes)
                    allowed(&peer, 2)
                }
            }
        }
        let status = try KernelProtocol.status([NetlinkAttributes(first[...]), NetlinkAttributes(second[...])])
        #expect(status.publicKey == Sample.other && status.listenPort == 6000)
        let peer = try #require(status.peers.first)
        #expect(status.peers.count == 1)
        #expect(peer.allowedIPs == [Sample.prefix("10.0.0.1/32"), Sample.prefix("10.0.0.2/32")])
        #expect(peer.receivedBytes == 92 && peer.sentBytes == 148)
        #expect(peer.lastHandshake == .seconds(1_700_000_000) + .nanoseconds(5))
    }

    @Test func aLargeChangeIsCutIntoMessagesThatTogetherAreTheWhole() {
        let prefixes = (0..<40).map { IPPrefix(host: IPAddress(ipv4: 0x0af4_0000 + UInt32($0))) }
        let peers = (0..<50).map { number in
            var change = WireGuardPeerChange(
                publicKey: Sample.key(UInt8(number)))
            change.replaceAllowedIPs = true
            change.allowedIPs = prefixes
            return change
        }
        let whole = WireGuardConfiguration(listenPort: 1, replacePeers: true, peers: peers)
        let parts = KernelProtocol.fragments(of: whole, maximumBytes: 1000)
        for part in parts {
            let bytes = attributes { KernelProtocol.append(part, link: "wg0", to: &$0) }
            // The device's own attributes come on top.
            #expect(bytes.count <= 1000 + 64)
        }
        #expect(parts.filter(\.replacePeers).count == 1 && parts.first?.replacePeers == true)
        for peer in peers {
            let pieces = parts.flatMap(\.peers).filter { $0.publicKey == peer.publicKey }
            #expect(pieces.flatMap(\.allowedIPs) == prefixes)
            // Only the first may take the old ones away.
            #expect(pieces.map(\.replaceAllowedIPs) == [true] + pieces.dropFirst().map { _ in false })
        }
    }
}

@Suite("Changes to peers")
struct PeerChangeTests {
    @Test func onlyWhatDiffersIsSent() {
        var same = WireGuardPeerStatus(publicKey: Sample.key)
        same.endpoint = Sample.peer.endpoint
        same.allowedIPs = Sample.peer.allowedIPs
        var status = WireGuardStatus()
        status.peers = [same, WireGuardPeerStatus(publicKey: Sample.other)]
        #expect(status.changes(toPeers: [Sample.peer]) == [.remove(Sample.other)])
        status.peers[0].endpoint?.port = 1
        var change = WireGuardPeerChange(publicKey: Sample.key)
        change.endpoint = Sample.peer.endpoint
        #expect(status.changes(toPeers: [Sample.peer]) == [.remove(Sample.other), change])
        status.peers = []
        #expect(status.changes(toPeers: [Sample.peer]) == [.set(Sample.peer)])
        #expect(status.changes(toPeers: []).isEmpty)
    }

    @Test func anEndpointThatWasLearnedStays() {
        var status = WireGuardStatus()
        status.peers = [WireGuardPeerStatus(publicKey: Sample.key)]
        status.peers[0].endpoint = Sample.peer.endpoint
        #expect(status.changes(toPeers: [WireGuardPeer(publicKey: Sample.key, allowedIPs: [])]).isEmpty)
    }
}
