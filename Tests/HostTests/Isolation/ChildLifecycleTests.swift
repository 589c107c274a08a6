import Foundation
import NIOCore
import ProviderKit
import Testing

@testable import Host

@Suite struct ChildLifecycleTests {
    private func at(_ milliseconds: Int64) -> HostInstant { HostInstant(nanoseconds: milliseconds * 1_000_000) }

    @Test func eachEndThatFollowsSoonDoublesThePause() {
        var lifecycle = ChildLifecycle()
        var pauses: [Duration] = []
        for round in 0..<11 {
            let now = Int64(round) * 1_000
            lifecycle.started(now: at(now))
            guard case .spawn(let pause) = lifecycle.died("signal 4", now: at(now + 10)) else {
                Issue.record("a process that was not told to end is restarted")
                return
            }
            pauses.append(pause)
            let wanted = lifecycle.restarting()
            #expect(wanted)
        }
        #expect(
            pauses.map { $0 / .milliseconds(1) } == [
                100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000,
            ])
    }

    @Test func aLongLifeForgivesEarlierEnds() {
        var lifecycle = ChildLifecycle()
        for _ in 0..<5 {
            lifecycle.started(now: at(0))
            _ = lifecycle.died("x", now: at(1))
            _ = lifecycle.restarting()
        }
        lifecycle.started(now: at(0))
        let action = lifecycle.died("x", now: at(60_000))
        #expect(action == .spawn(after: .milliseconds(100)))
    }

    @Test func afterTheEndNothingIsStarted() {
        var lifecycle = ChildLifecycle()
        lifecycle.started(now: at(0))
        lifecycle.end()
        let action = lifecycle.died("x", now: at(5))
        #expect(action == .none)
        let wanted = lifecycle.restarting()
        #expect(!wanted)
    }

    @Test func anEndBeforeTheRestartCancelsIt() {
        var lifecycle = ChildLifecycle()
        lifecycle.started(now: at(0))
        _ = lifecycle.died("x", now: at(5))
        lifecycle.end()
        let wanted = lifecycle.restarting()
        #expect(!wanted)
    }
}

@Suite struct IsolationFrameTests {
    private func decode(_ buffer: ByteBuffer) throws -> IsolationFrame {
        var rest = buffer
        rest.moveReaderIndex(forwardBy: 4)
        return try IsolationFrame(rest)
    }

    @Test func callsAndCompletionsSurviveTheSocket() throws {
        let call = OutgoingCall(
            operation: .verb(capability: "tunnel/1", .ensure), ticket: .max, deadline: HostInstant(nanoseconds: -5),
            trace: "00-ab", request: Data([0, 255, 10]))
        var buffer = ByteBuffer()
        call.frame.write(to: &buffer)
        let back = try OutgoingCall(decode(buffer))
        #expect(back.operation == call.operation)
        #expect(back.ticket == call.ticket)
        #expect(back.deadline == call.deadline)
        #expect(back.trace == call.trace)
        #expect(back.request == call.request)
        for completion in [
            PluginCompletion(code: .ok, result: Data(repeating: 7, count: 100_000)),
            PluginCompletion(code: .throttled, message: "später", retryAfterMilliseconds: 0, reason: "TooMany"),
        ] {
            var buffer = ByteBuffer()
            completion.frame(9).write(to: &buffer)
            #expect(try PluginCompletion(decode(buffer)) == completion)
        }
    }

    @Test func everyCutAndEveryForeignByteIsRefused() throws {
        var buffer = ByteBuffer()
        PluginCompletion(code: .invalid, message: "no").frame(1).write(to: &buffer)
        let bytes = Array(buffer.readableBytesView.dropFirst(4))
        for length in 0..<bytes.count {
            #expect(throws: ProviderError.self) { try IsolationFrame(ByteBuffer(bytes: bytes[..<length])) }
        }
        #expect(throws: ProviderError.self) { try IsolationFrame(ByteBuffer(bytes: bytes + [0])) }
        #expect(throws: ProviderError.self) { try IsolationFrame(ByteBuffer(bytes: [200] + bytes.dropFirst())) }
    }
}
