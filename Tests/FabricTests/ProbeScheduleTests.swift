import LinuxNet
import Testing

@testable import Lab

@Suite struct ProbeScheduleTests {
    private let start = ContinuousClock().now

    private func target(threshold: Int = 1) -> ProbeTarget {
        ProbeTarget(
            rule: "lb/rule", node: "gateway-1", address: IPAddress(ipv4: 0x0af3_0004), port: 8082, path: "/gw/uid",
            interval: .seconds(5), threshold: threshold)
    }

    @Test func aNewTargetIsProbedAtOnceAndThenEveryInterval() {
        var schedule = ProbeSchedule()
        schedule.setTargets([target()], now: start)
        #expect(schedule.takeDue(now: start) == [target()])
        #expect(schedule.takeDue(now: start + .seconds(5)).isEmpty, "the first probe is still running")
        #expect(schedule.finished(target(), success: false) == nil, "it was unhealthy before")
        #expect(schedule.takeDue(now: start + .seconds(4)).isEmpty)
        #expect(schedule.nextStart == start + .seconds(5))
        #expect(schedule.takeDue(now: start + .seconds(5)) == [target()])
    }

    @Test func onlyAsManyEqualResultsAsTheThresholdFlipTheState() {
        var schedule = ProbeSchedule()
        let target = target(threshold: 2)
        schedule.setTargets([target], now: start)
        #expect(schedule.finished(target, success: true) == nil)
        #expect(schedule.finished(target, success: false) == nil)
        #expect(schedule.finished(target, success: true) == nil)
        #expect(schedule.finished(target, success: true) == true)
        #expect(schedule.finished(target, success: false) == nil)
        #expect(schedule.finished(target, success: false) == false)
    }

    @Test func aTargetThatStaysKeepsItsState() {
        var schedule = ProbeSchedule()
        schedule.setTargets([target()], now: start)
        #expect(schedule.finished(target(), success: true) == true)
        schedule.setTargets([target(), target(threshold: 3)], now: start)
        #expect(schedule.finished(target(), success: true) == nil)
        schedule.setTargets([], now: start)
        #expect(schedule.finished(target(), success: false) == nil)
        #expect(schedule.nextStart == nil)
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\n", true), ("HTTP/1.0 200", true), ("HTTP/1.1 503 Unavailable", false),
        ("HTTP/1.1 204 No Content", false), ("SSH-2.0-x 200", false),
    ])
    func onlyStatus200IsHealthy(answer: String, isHealthy: Bool) {
        #expect(ProbeConnection.isSuccess(Array(answer.utf8)) == isHealthy)
    }

    @Test func anAnswerMayTakeNoLongerThanTheIntervalOr30Seconds() {
        var slow = target()
        slow.interval = .seconds(60)
        #expect(target().timeout == .seconds(5))
        #expect(slow.timeout == .seconds(30))
    }
}
