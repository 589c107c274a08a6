import Glibc
import LinuxNet
import ProviderKit
import Synchronization
import Testing

@testable import CNIChainProvider

@Suite("A selected pod never leaks", .enabled(if: isRoot, needsRoot))
struct FailClosedTests {
    /// The pod's namespace as the provider uses it, with the planned actions.
    private static func plan(
        _ lab: PodLab, _ desired: PodNetwork.Desired
    ) async throws -> (PodAttachment, [PodNetworkAction]) {
        let attachment = try PodAttachment(desired)
        let actions = try await lab.pod.run {
            try PodNetworkPlan.attach(attachment, PodNamespace(attachment.pod, routes: try RouteSocket()).read())
        }
        return (attachment, actions)
    }

    private struct Injected: Error {}

    private final class Flag: Sendable {
        private let value = Mutex(true)
        var isSet: Bool { value.withLock { $0 } }
        func clear() { value.withLock { $0 = false } }
    }

    /// Carries the actions out, but fails at number `limit`.
    private static func carryOut(
        _ actions: [PodNetworkAction], failingAt limit: Int, _ pod: PodReference, in lab: PodLab
    ) async throws -> ProviderError? {
        try await lab.pod.run {
            let namespace = PodNamespace(pod, routes: try RouteSocket())
            var done = 0
            do {
                try namespace.carryOut(actions) { action in
                    if done == limit { throw Injected() }
                    try namespace.perform(action)
                    done += 1
                }
                return nil
            } catch let error as ProviderError {
                return error
            }
        }
    }

    @Test("an ensure that fails at any step leaves the old routes or none that leave, and says which")
    func everyStep() async throws {
        let count = try await Self.plan(
            try await PodLab("steps"), try await PodLab("count").desired(.staticEgressGateway)
        ).1.count
        try #require(count > 10)
        for step in 0..<count {
            let lab = try await PodLab("step\(step)")
            let desired = lab.desired(.staticEgressGateway)
            let (attachment, actions) = try await Self.plan(lab, desired)
            let error = try await Self.carryOut(actions, failingAt: step, attachment.pod, in: lab)
            if step == 0 {
                #expect(error?.message.hasSuffix("nothing was changed") == true)
                #expect(try await lab.way(to: PodLab.target) == .router(source: PodLab.podAddress))
            } else {
                #expect(error?.message.hasSuffix("eth0 is closed until ensure or remove succeeds") == true)
                for target in [PodLab.target, PodLab.excluded, PodLab.target6] {
                    let way = try await lab.way(to: target)
                    #expect(way == .nowhere || way == .tunnel(source: PodLab.podAddress), "step \(step) to \(target)")
                }
            }
            #expect(await lab.ensure(desired)?.code == .ok, "ensure after a failure at step \(step)")
            #expect(try await lab.way(to: PodLab.target) == .tunnel(source: PodLab.podAddress))
            #expect(try await lab.way(to: PodLab.excluded) == .router(source: PodLab.podAddress))
        }
    }

    @Test("an ensure that died at any step, without cleaning up, is found and finished, or undone")
    func everyDeath() async throws {
        let probe = try await PodLab("deaths")
        let ordinary = try probe.fingerprint()
        let count = try await Self.plan(probe, probe.desired(.staticEgressGateway)).1.count
        for step in 1..<count {
            let lab = try await PodLab("death\(step)")
            let desired = lab.desired(.staticEgressGateway)
            let (attachment, actions) = try await Self.plan(lab, desired)
            let error = try await Self.carryOut(Array(actions[..<step]), failingAt: .max, attachment.pod, in: lab)
            #expect(error == nil)
            let way = try await lab.way(to: PodLab.target)
            #expect(way == .nowhere || way == .tunnel(source: PodLab.podAddress), "dead at step \(step)")
            if step.isMultiple(of: 2) {
                #expect(await lab.ensure(desired)?.code == .ok)
                #expect(try await lab.way(to: PodLab.target) == .tunnel(source: PodLab.podAddress))
            }
            let removed = await PodNetworkProbe.capability.remove([lab.reference], PodNetworkProbe.context).first
            #expect(removed?.code == .ok)
            #expect(try lab.fingerprint() == ordinary, "removed after death at step \(step)")
        }
    }

    @Test("while packets flow, none goes by eth0 after the first one went by the tunnel")
    func underTraffic() async throws {
        let lab = try await PodLab("flow")
        let port: UInt16 = 7007
        let atRouter = try await TestSocket.open(in: lab.router, bind: PodLab.target, port: port)
        let atTunnel = try await TestSocket.open(in: lab.tunnel, bind: PodLab.target, port: port)
        let sender = try await TestSocket.open(in: lab.pod, bind: "0.0.0.0", port: 0)
        let isRunning = Flag()
        /// Numbers of the packets that arrived.
        func drain(_ socket: TestSocket) -> [UInt32] {
            var numbers: [UInt32] = []
            while let packet = socket.receive(milliseconds: 0) {
                numbers.append(packet.bytes.reduce(0) { $0 << 8 | UInt32($1) })
            }
            return numbers
        }
        var (byRouter, byTunnel): ([UInt32], [UInt32]) = ([], [])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // On a thread of its own: the test's pool has two at most here.
                try await lab.pod.run {
                    var number: UInt32 = 0
                    while isRunning.isSet {
                        sender.send(withUnsafeBytes(of: number.bigEndian) { Array($0) }, to: PodLab.target, port: port)
                        number += 1
                        usleep(50)
                    }
                }
            }
            try await Task.sleep(for: .milliseconds(50))
            byRouter += drain(atRouter)
            #expect(!byRouter.isEmpty)
            for round in 0..<10 {
                let excluded = round.isMultiple(of: 2) ? "192.0.2.0/24" : "203.0.113.0/24"
                #expect(await lab.ensure(lab.desired(.staticEgressGateway, excluded: [excluded]))?.code == .ok)
                byRouter += drain(atRouter)
                byTunnel += drain(atTunnel)
            }
            isRunning.clear()
            try await group.waitForAll()
        }
        byRouter += drain(atRouter)
        byTunnel += drain(atTunnel)
        let lastOut = try #require(byRouter.max())
        let firstIn = try #require(byTunnel.min())
        #expect(byTunnel.count > 50)
        #expect(lastOut < firstIn)
    }

    @Test("a connection opened before the attachment does not go on by eth0")
    func establishedBefore() async throws {
        let lab = try await PodLab("before")
        let atRouter = try await TestSocket.open(in: lab.router, bind: PodLab.target, port: 7008)
        let client = try await TestSocket.open(in: lab.pod, bind: "0.0.0.0", port: 7009)
        client.send([1], to: PodLab.target, port: 7008)
        let question = try #require(atRouter.receive(milliseconds: 500))
        #expect(await lab.ensure(lab.desired(.staticEgressGateway))?.code == .ok)
        client.send([2], to: PodLab.target, port: 7008)
        #expect(atRouter.receive(milliseconds: 100) == nil)
        // An answer that comes late by eth0 does not reopen the way out: the pod spoke first.
        atRouter.send([3], to: question.source, port: question.port)
        _ = client.receive(milliseconds: 100)
        client.send([4], to: PodLab.target, port: 7008)
        #expect(atRouter.receive(milliseconds: 100) == nil)
    }
}
