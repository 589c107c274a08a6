import Kubernetes
import Reconcile
import Testing

@Suite struct WorkQueueTests {
    private struct Failure: Error {}
    private var jitter = SystemRandomNumberGenerator()
    private var queue = WorkQueue<String>(
        backoff: BackoffPolicy(base: .milliseconds(5), cap: .seconds(1000), jitter: 0))

    private mutating func finish(_ key: String, _ outcome: Outcome, at seconds: Double = 0) {
        queue.finish(key, outcome: outcome, now: .seconds(seconds), using: &jitter)
    }

    private mutating func next(at seconds: Double = 0) -> String? { queue.next(now: .seconds(seconds)) }

    @Test mutating func aKeyWaitsOnceHoweverOftenItIsAdded() {
        for _ in 0..<100 { queue.add("a") }
        queue.add("b")
        #expect(queue.readyCount == 2)
        #expect(next() == "a")
        #expect(next() == "b")
        #expect(next() == nil)
    }

    @Test mutating func aKeyAddedWhileItRunsRunsExactlyOnceMore() {
        queue.add("a")
        #expect(next() == "a")
        for _ in 0..<10 { queue.add("a") }
        #expect(next() == nil)
        finish("a", .done)
        #expect(next() == "a")
        finish("a", .done)
        #expect(next() == nil)
    }

    @Test mutating func theEarliestDelayCountsAndAnImmediateAddOverridesIt() {
        queue.add("a", at: .seconds(10))
        queue.add("a", at: .seconds(5))
        queue.add("a", at: .seconds(20))
        #expect(queue.nextDue == .seconds(5))
        #expect(next(at: 4.9) == nil)
        #expect(next(at: 5) == "a")
        finish("a", .done, at: 5)
        #expect(queue.nextDue == nil)
        queue.add("a", at: .seconds(100))
        queue.add("a")
        #expect(next(at: 6) == "a")
        finish("a", .done, at: 6)
        #expect(next(at: 200) == nil)
    }

    @Test mutating func failuresDoubleTheDelayPerKeyUpToTheCapAndSuccessResets() {
        var now = 0.0
        var delays: [Double] = []
        queue.add("a")
        for _ in 0..<20 {
            #expect(next(at: now) == "a")
            finish("a", .retry(Failure()), at: now)
            guard let due = queue.nextDue else {
                Issue.record("no delay")
                return
            }
            let (seconds, attoseconds) = (due - .seconds(now)).components
            delays.append(Double(seconds) + Double(attoseconds) * 1e-18)
            now = Double(due.components.seconds) + Double(due.components.attoseconds) * 1e-18 + 1e-6
        }
        for (index, delay) in delays.enumerated() {
            let expected = min(0.005 * Double(1 << index), 1000)
            #expect(abs(delay - expected) < 0.001, "failure \(index)")
        }
        #expect(queue.failureCount("a") == 20)
        queue.add("b")
        #expect(next(at: now) == "b" || next(at: now) == "b")
        finish("b", .retry(Failure()), at: now)
        #expect(queue.failureCount("b") == 1)
        queue.add("a")
        while let key = next(at: now) { finish(key, .done, at: now) }
        #expect(queue.failureCount("a") == 0)
    }

    @Test mutating func anEventDuringAFailingRunOverridesTheBackoff() {
        queue.add("a")
        #expect(next() == "a")
        queue.add("a")
        finish("a", .retry(Failure()))
        #expect(next() == "a")
        #expect(queue.failureCount("a") == 1)
    }

    @Test mutating func terminalWaitsForAnEvent() {
        queue.add("a")
        _ = next()
        finish("a", .terminal(Failure()))
        #expect(next(at: 1e6) == nil)
        queue.add("a")
        #expect(next(at: 1e6) == "a")
    }

    @Test mutating func aConflictIsRepeatedSoonAndIsNoFailure() {
        queue.add("a")
        _ = next()
        finish("a", .conflict)
        #expect(queue.failureCount("a") == 0)
        #expect(next(at: 0.1) == "a")
    }

    @Test mutating func aRequeueComesAfterItsTime() {
        queue.add("a")
        _ = next()
        finish("a", .requeue(after: .seconds(300)), at: 1)
        #expect(next(at: 300.9) == nil)
        #expect(next(at: 301) == "a")
    }

    @Test mutating func nothingIsLostUnderRandomUse() {
        // A model of what must run: after the last add of a key at least one run starts.
        var random = SystemRandomNumberGenerator()
        var owed: Set<String> = []
        var running: Set<String> = []
        for step in 0..<20_000 {
            let name = "k\(Int.random(in: 0..<20, using: &random))"
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                queue.add(name)
                owed.insert(name)
            case 1:
                queue.add(name, at: .seconds(Double(step) + 3))
                owed.insert(name)
            case 2:
                if let key = queue.next(now: .seconds(Double(step))) {
                    #expect(running.insert(key).inserted, "two runs of \(key)")
                    owed.remove(key)
                }
            default:
                if let key = running.randomElement(using: &random) {
                    running.remove(key)
                    queue.finish(key, outcome: .done, now: .seconds(Double(step)), using: &jitter)
                }
            }
        }
        for key in running { queue.finish(key, outcome: .done, now: .seconds(30_000), using: &jitter) }
        while let key = queue.next(now: .seconds(30_000)) {
            owed.remove(key)
            queue.finish(key, outcome: .done, now: .seconds(30_000), using: &jitter)
        }
        #expect(owed.isEmpty)
        #expect(queue.readyCount == 0 && queue.delayedCount == 0 && queue.runningCount == 0)
    }
}
