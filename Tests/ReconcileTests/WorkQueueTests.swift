import Kubernetes
import Testing

@testable import Reconcile

@Suite struct WorkQueueTests {
    private struct Failure: Error {}
    private var jitter = RandomSource.seeded(1)
    private var queue = WorkQueue<String>(policy: Self.policy)
    private var runs: [String: WorkQueue<String>.Run] = [:]

    private static var policy: WorkQueuePolicy {
        var policy = WorkQueuePolicy(backoff: BackoffPolicy(base: .milliseconds(5), cap: .seconds(1000), jitter: 0))
        policy.requeueSpread = 0
        return policy
    }

    private mutating func add(_ key: String, _ priority: WorkPriority = .live, at seconds: Double = 0) {
        queue.add(key, priority: priority, now: .seconds(seconds))
    }

    private mutating func finish(_ key: String, _ outcome: Outcome, at seconds: Double = 0) {
        guard let run = runs.removeValue(forKey: key) else {
            Issue.record("\(key) does not run")
            return
        }
        queue.finish(run, outcome: outcome, now: .seconds(seconds), using: &jitter)
    }

    private mutating func next(at seconds: Double = 0) -> String? {
        guard let run = queue.next(now: .seconds(seconds)) else { return nil }
        #expect(runs.updateValue(run, forKey: run.key) == nil, "two runs of \(run.key)")
        return run.key
    }

    private mutating func due() -> Duration? { queue.nextDue() }

    @Test mutating func aKeyWaitsOnceHoweverOftenItIsAdded() {
        for _ in 0..<100 { add("a") }
        add("b")
        #expect(queue.readyCount == 2)
        #expect(next() == "a")
        #expect(next() == "b")
        #expect(next() == nil)
    }

    @Test mutating func aKeyAddedWhileItRunsRunsExactlyOnceMore() {
        add("a")
        #expect(next() == "a")
        for _ in 0..<10 { add("a") }
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
        #expect(due() == .seconds(5))
        #expect(next(at: 4.9) == nil)
        #expect(next(at: 5) == "a")
        finish("a", .done, at: 5)
        #expect(due() == nil)
        queue.add("a", at: .seconds(100))
        add("a")
        #expect(next(at: 6) == "a")
        finish("a", .done, at: 6)
        #expect(next(at: 200) == nil)
    }

    @Test mutating func failuresDoubleTheDelayPerKeyUpToTheCapAndSuccessResets() {
        var now = 0.0
        var delays: [Double] = []
        add("a")
        for _ in 0..<20 {
            #expect(next(at: now) == "a")
            finish("a", .retry(Failure()), at: now)
            guard let due = queue.nextDue() else {
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
        add("b")
        #expect(next(at: now) == "b" || next(at: now) == "b")
        finish("b", .retry(Failure()), at: now)
        #expect(queue.failureCount("b") == 1)
        add("a")
        while let key = next(at: now) { finish(key, .done, at: now) }
        #expect(queue.failureCount("a") == 0)
    }

    @Test mutating func anEventDuringAFailingRunOverridesTheBackoff() {
        add("a")
        #expect(next() == "a")
        add("a")
        finish("a", .retry(Failure()))
        #expect(next() == "a")
        #expect(queue.failureCount("a") == 1)
    }

    @Test mutating func terminalWaitsForAnEvent() {
        add("a")
        _ = next()
        finish("a", .terminal(Failure()))
        #expect(next(at: 1e6) == nil)
        add("a")
        #expect(next(at: 1e6) == "a")
    }

    @Test mutating func aConflictIsRepeatedSoonAndIsNoFailure() {
        add("a")
        _ = next()
        finish("a", .conflict)
        #expect(queue.failureCount("a") == 0)
        #expect(next(at: 0.1) == "a")
    }

    @Test mutating func aRequeueComesAfterItsTime() {
        add("a")
        _ = next()
        finish("a", .requeue(after: .seconds(300)), at: 1)
        #expect(next(at: 300.9) == nil)
        #expect(next(at: 301) == "a")
    }

    // MARK: Priorities

    @Test mutating func liveKeysGoBeforeBackgroundKeys() {
        add("old", .background)
        add("news", .live)
        #expect(next() == "news")
        #expect(next() == "old")
    }

    @Test mutating func newsAboutABackgroundKeyBringItForwardAndItRunsOnce() {
        for name in ["a", "b", "c"] { add(name, .background) }
        add("c", .live)
        add("a", .background)
        #expect(queue.readyCount == 3)
        #expect(next() == "c")
        #expect(next() == "a")
        #expect(next() == "b")
        #expect(next() == nil)
    }

    @Test mutating func anAgedBackgroundKeyGetsItsShareOfAnEndlessLiveStream() {
        add("old", .background, at: 0)
        var order: [String] = []
        for step in 0..<200 {
            let now = Double(step) * 0.1
            add("live\(step)", .live, at: now)
            guard let key = next(at: now) else { break }
            order.append(key)
            finish(key, .done, at: now)
        }
        // Aged after 5 s, which is step 50; then it waits for its turn, at most three live keys more.
        let position = order.firstIndex(of: "old")
        #expect(position.map { (50...54).contains($0) } == true, "\(String(describing: position))")
    }

    @Test mutating func whileManyAreAgedLiveKeysStillGetThreeOfFourTurns() {
        for index in 0..<1000 { add("old\(index)", .background, at: 0) }
        for index in 0..<90 { add("live\(index)", .live, at: 100) }
        var live = 0
        for _ in 0..<120 { live += next(at: 100)?.hasPrefix("live") == true ? 1 : 0 }
        #expect(live == 90)
    }

    @Test mutating func aResyncIsBackgroundWorkAndARetryKeepsItsClass() {
        add("resync")
        add("retry")
        _ = next()
        _ = next()
        finish("resync", .requeue(after: .seconds(1)))
        finish("retry", .retry(Failure()))
        #expect(next(at: 2) == "retry")
        #expect(next(at: 2) == "resync")
    }

    // MARK: Outcomes

    @Test mutating func throttledWaitsAsToldAndKeepsTheCountOfFailures() {
        add("a")
        _ = next()
        finish("a", .retry(Failure()))
        #expect(next(at: 1) == "a")
        finish("a", .throttled(after: .seconds(30)), at: 1)
        #expect(queue.failureCount("a") == 1)
        #expect(next(at: 30.9) == nil)
        #expect(next(at: 31) == "a")
    }

    @Test mutating func conflictsInARowWaitLongerUpToASecond() {
        var now = 0.0
        add("a")
        for attempt in 0..<12 {
            #expect(next(at: now) == "a", "attempt \(attempt)")
            finish("a", .conflict, at: now)
            guard let due = due() else {
                Issue.record("no delay")
                return
            }
            let wait = due - .seconds(now)
            #expect(wait <= min(.milliseconds(5) * (1 << attempt), .seconds(1)))
            #expect(wait >= min(.milliseconds(5) * (1 << attempt), .seconds(1)) / 2 - .microseconds(1))
            now += 2
        }
        #expect(queue.failureCount("a") == 0)
    }

    @Test func requeuesOfOneMomentSpread() {
        var queue = WorkQueue<Int>()
        var random = RandomSource.seeded(7)
        for key in 0..<100 { queue.add(key, now: .zero) }
        while let run = queue.next(now: .zero) {
            queue.finish(run, outcome: .requeue(after: .seconds(300)), now: .zero, using: &random)
        }
        #expect(queue.next(now: .seconds(299.9)) == nil)
        var atOnce = 0
        while queue.next(now: .seconds(303)) != nil { atOnce += 1 }
        #expect(atOnce < 40)
        while queue.next(now: .seconds(330)) != nil { atOnce += 1 }
        #expect(atOnce == 100)
    }

    // MARK: Quarantine

    @Test mutating func keysThatOnlyFailShareOneWorkerAndAreNeverDropped() {
        for name in ["bad1", "bad2", "bad3"] {
            for round in 0..<10 {
                add(name, at: Double(round))
                _ = next(at: Double(round))
                finish(name, .retry(Failure()), at: Double(round))
            }
            #expect(queue.isQuarantined(name))
        }
        #expect(queue.quarantinedCount == 3)
        for name in ["bad1", "bad2", "bad3", "good1", "good2"] { add(name, at: 100) }
        let running = (0..<5).compactMap { _ in next(at: 100) }
        #expect(Set(running) == ["bad1", "good1", "good2"])
        finish("bad1", .done, at: 100)
        #expect(queue.quarantinedCount == 2)
        #expect(next(at: 100) == "bad2")
        finish("bad2", .retry(Failure()), at: 100)
        #expect(next(at: 100) == "bad3")
        finish("bad3", .done, at: 100)
        // Its delay is what ten failures make; then it is tried again.
        #expect(next(at: 100 + 0.005 * 1024 + 0.01) == "bad2")
    }

    @Test mutating func aRunThatHadToBeCutShortIsQuarantinedAtOnce() {
        add("slow")
        _ = next()
        finish("slow", .retry(ReconcileError(.runDeadlineExceeded, "late")))
        #expect(queue.isQuarantined("slow"))
    }

    // MARK: Bounds

    @Test mutating func theQueueForgetsKeysThatAreIdle() {
        for round in 0..<10_000 {
            add("a", .background, at: Double(round))
            add("a", .live, at: Double(round))
            queue.add("b", at: .seconds(Double(round) + 0.5))
            add("b", at: Double(round))
            while let key = next(at: Double(round)) { finish(key, .done, at: Double(round)) }
        }
        #expect(queue.readyCount == 0 && queue.delayedCount == 0 && queue.storedEntries < 300)
    }

    @Test mutating func nothingIsLostUnderRandomUse() {
        // A model of what must run: after the last add of a key at least one run starts.
        let seed = UInt64.random(in: 0 ... .max)
        var random = RandomSource.seeded(seed)
        var owed: Set<String> = []
        var running: Set<String> = []
        for step in 0..<20_000 {
            let name = "k\(Int.random(in: 0..<20, using: &random))"
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                add(name, Bool.random(using: &random) ? .live : .background, at: Double(step))
                owed.insert(name)
            case 1:
                queue.add(name, at: .seconds(Double(step) + 3))
                owed.insert(name)
            case 2:
                if let key = next(at: Double(step)) {
                    #expect(running.insert(key).inserted, "two runs of \(key)")
                    owed.remove(key)
                }
            default:
                if let key = running.randomElement(using: &random) {
                    running.remove(key)
                    finish(key, .done, at: Double(step))
                }
            }
        }
        for key in running { finish(key, .done, at: 30_000) }
        while let key = next(at: 30_000) {
            owed.remove(key)
            finish(key, .done, at: 30_000)
        }
        #expect(owed.isEmpty, "seed \(seed)")
        #expect(queue.readyCount == 0 && queue.delayedCount == 0 && queue.runningCount == 0)
    }
}
