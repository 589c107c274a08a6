import CMnl
import Glibc
import Testing

@testable import LinuxNet

@Suite("Netlink messages")
struct NetlinkMessageTests {
    @Test("nested attributes and growth keep the layout")
    func layout() throws {
        var message = NetlinkMessage(type: 16)
        message.append(header: genlmsghdr(cmd: 3, version: 1, reserved: 0))
        message.append(1, string: "wg0")
        message.nest(8) { peers in
            for number in 0..<100 {
                peers.nest(number) { peer in
                    peer.append(1, value: UInt32(number))
                    peer.append(2, bytes: [UInt8](repeating: UInt8(number), count: 5))
                    peer.append(3, bytes: [])
                }
            }
        }
        message.append(2, value: UInt16(7))
        let bytes = message.bytes(sequence: 42)
        #expect(bytes.count == message.count && bytes.count > 2800)
        let reply = NetlinkReply(type: 16, payload: bytes[...].dropFirst(16))
        #expect(try reply.header(as: genlmsghdr.self).cmd == 3)
        let attributes = try reply.attributes(after: genlmsghdr.self)
        #expect(attributes[1]?.string == "wg0" && attributes[2]?.uint16 == 7)
        let peers = try #require(try attributes[8]?.nested())
        #expect(Array(peers).count == 100)
        let last = try #require(try peers[99]?.nested())
        #expect(last[1]?.uint32 == 99 && Array(last[2]?.payload ?? []) == [99, 99, 99, 99, 99])
        #expect(last[3]?.payload.isEmpty == true && last[4] == nil)
    }

    /// One netlink message by hand.
    private func datagram(type: UInt16, flags: UInt16, sequence: UInt32, payload: [UInt8]) -> [UInt8] {
        let header = nlmsghdr(
            nlmsg_len: UInt32(16 + payload.count), nlmsg_type: type, nlmsg_flags: flags, nlmsg_seq: sequence,
            nlmsg_pid: 0)
        return withUnsafeBytes(of: header) { Array($0) } + payload
    }

    private func bytes(of value: some BitwiseCopyable) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

    @Test("replies to another request are not taken")
    func foreignSequence() throws {
        var collector = ReplyCollector(sequence: 5, isDump: false)
        collector.take(datagram(type: 2, flags: 0, sequence: 4, payload: bytes(of: Int32(-EPERM)))[...])
        #expect(!collector.isComplete)
        collector.take(datagram(type: 2, flags: 0, sequence: 5, payload: bytes(of: Int32(0)))[...])
        #expect(collector.isComplete)
        #expect(try collector.failure("x") == nil)
    }

    @Test("an interrupted dump is told from a failed one")
    func interrupted() throws {
        var collector = ReplyCollector(sequence: 1, isDump: true)
        collector.take(datagram(type: 16, flags: 0x10, sequence: 1, payload: [0, 0, 0, 0])[...])
        collector.take(datagram(type: 3, flags: 0, sequence: 1, payload: bytes(of: Int32(0)))[...])
        #expect(collector.isComplete && collector.wasInterrupted)
        #expect(try collector.failure("x") == nil)
        var failed = ReplyCollector(sequence: 1, isDump: true)
        failed.take(datagram(type: 3, flags: 0, sequence: 1, payload: bytes(of: Int32(-ENOMEM)))[...])
        #expect(try failed.failure("list")?.code == .temporary)
    }

    @Test("a message longer than its datagram is an error, not a crash", arguments: [0, 15, 17, 4000] as [UInt32])
    func malformed(length: UInt32) throws {
        var bytes = datagram(type: 16, flags: 0, sequence: 1, payload: [])
        bytes.replaceSubrange(0..<4, with: self.bytes(of: length))
        var collector = ReplyCollector(sequence: 1, isDump: false)
        collector.take(bytes[...])
        #expect(collector.isComplete)
        #expect(try collector.failure("x")?.code == .malformedReply)
        #expect(throws: LinuxNetError.self) { try NetlinkAttributes([200, 0, 1, 0][...]) }
    }

    @Test("generic netlink finds a family that is there and none that is not", .enabled(if: isRoot, needsRoot))
    func family() throws {
        let socket = try GenericNetlinkSocket()
        #expect(try socket.family(named: "nlctrl")?.identifier == UInt16(GENL_ID_CTRL))
        #expect(try socket.family(named: "no-such-family") == nil)
        let control = GenericNetlinkSocket.Family(name: "nlctrl", identifier: UInt16(GENL_ID_CTRL), version: 1)
        let all = try socket.request(control, command: CTRL_CMD_GETFAMILY, flags: .dump) { _ in }
        #expect(all.contains { $0.attributes[CTRL_ATTR_FAMILY_NAME]?.string == "nlctrl" })
    }
}
