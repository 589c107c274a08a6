import ProviderKit
import Testing

@testable import Host

/// The policy behind a reference, since `#expect` takes no mutating call.
private final class Subject {
    private var policy = QuarantinePolicy()

    func state(now: HostInstant) -> QuarantinePolicy.State { policy.state(now: now) }
    func admit(now: HostInstant) -> QuarantinePolicy.Verdict { policy.admit(now: now) }
    func completed() { policy.completed() }
    func abandoned() { policy.abandoned() }

    @discardableResult
    func failed(_ fault: PluginFault, _ detail: String, now: HostInstant) -> Bool {
        policy.failed(fault, detail, now: now)
    }
}

@Suite struct QuarantinePolicyTests {
    private func at(_ seconds: Int64) -> HostInstant { HostInstant(nanoseconds: seconds * 1_000_000_000) }

    @Test func threeOverrunsInARowBeginAQuarantineAndOneGoodCallBreaksTheRow() {
        let policy = Subject()
        #expect(!policy.failed(.overrun, "a", now: at(0)))
        #expect(!policy.failed(.overrun, "a", now: at(1)))
        policy.completed()
        #expect(!policy.failed(.overrun, "a", now: at(2)))
        #expect(!policy.failed(.overrun, "a", now: at(3)))
        #expect(policy.failed(.overrun, "tunnel/1 ensure", now: at(4)))
        let reason = "3 calls in a row overran their deadline; the last: tunnel/1 ensure"
        #expect(policy.state(now: at(4)) == .quarantined(until: at(14), reason: reason))
        #expect(policy.admit(now: at(13)) == .refused(until: at(14)))
    }

    @Test func violationsAndCrashesCountWithinTheirWindowOnly() {
        for fault in [PluginFault.violation, .crash] {
            let policy = Subject()
            #expect(!policy.failed(fault, "x", now: at(0)))
            #expect(!policy.failed(fault, "x", now: at(500)))
            #expect(!policy.failed(fault, "x", now: at(601)))
            #expect(policy.failed(fault, "x", now: at(602)))
        }
    }

    @Test func aStuckFunctionIsEnough() {
        let policy = Subject()
        #expect(policy.failed(.stuck, "destroy", now: at(0)))
    }

    @Test func oneTrialAtATimeAndItsGoodEndMakesHealthy() {
        let policy = Subject()
        policy.failed(.stuck, "x", now: at(0))
        #expect(policy.admit(now: at(10)) == .trial)
        #expect(policy.admit(now: at(11)) == .refused(until: at(11)))
        policy.completed()
        #expect(policy.state(now: at(11)) == .healthy)
        #expect(policy.admit(now: at(11)) == .allowed)
    }

    @Test func anAbandonedTrialLetsTheNextOneTry() {
        let policy = Subject()
        policy.failed(.stuck, "x", now: at(0))
        #expect(policy.admit(now: at(10)) == .trial)
        policy.abandoned()
        #expect(policy.admit(now: at(11)) == .trial)
    }

    @Test func failedTrialsDoubleTheTimeUpToTheLongest() {
        let policy = Subject()
        var now: Int64 = 0
        var lengths: [Int64] = []
        policy.failed(.stuck, "x", now: at(now))
        for _ in 0..<10 {
            guard case .quarantined(let until, _) = policy.state(now: at(now)) else {
                Issue.record("must be quarantined")
                return
            }
            lengths.append(until.nanoseconds / 1_000_000_000 - now)
            now = until.nanoseconds / 1_000_000_000
            #expect(policy.admit(now: at(now)) == .trial)
            policy.failed(.overrun, "again", now: at(now))
        }
        #expect(lengths == [10, 20, 40, 80, 160, 320, 640, 1_280, 1_800, 1_800])
    }

    @Test func aFaultThatArrivesLateDuringAQuarantineDoesNotLengthenIt() {
        let policy = Subject()
        policy.failed(.stuck, "x", now: at(0))
        #expect(!policy.failed(.violation, "late", now: at(5)))
        #expect(policy.admit(now: at(10)) == .trial)
    }
}
