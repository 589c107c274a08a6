import Kubernetes
import Logging
import Reconcile
import ScriptedServer
import Synchronization
import Testing

@Suite struct ControllerTests {
    private struct Failure: Error {}

    private func make(
        concurrency: Int = 1, runDeadline: Duration? = nil, clock: ManualClock,
        _ reconcile: @escaping @Sendable (ObjectKey) async -> Outcome
    ) -> Controller {
        Controller(
            name: "test", concurrency: concurrency,
            backoff: BackoffPolicy(base: .seconds(1), cap: .seconds(8), jitter: 0), logger: Logger(label: "test"),
            runDeadline: runDeadline, environment: ReconcileEnvironment(clock: clock), reconcile: reconcile)
    }

    @Test func retriesFollowTheVirtualClock() async {
        let clock = ManualClock()
        let runs = Collector<Duration>()
        let controller = make(clock: clock) { _ in
            runs.add(clock.now.offset)
            return runs.all.count < 5 ? .retry(Failure()) : .done
        }
        let task = Task { await controller.run() }
        controller.enqueue(key("a"))
        for expected in 1...4 {
            #expect(await eventually { runs.all.count == expected && clock.sleeperCount == 1 })
            clock.advance(by: .seconds(1 << (expected - 1)))
        }
        #expect(await eventually { runs.all.count == 5 && controller.counts.done == 1 })
        #expect(runs.all == [0, 1, 3, 7, 15].map { .seconds($0) })
        #expect(controller.counts.retried == 4)
        task.cancel()
        await task.value
    }

    @Test func aDueKeyWakesNobodyWhileAllWorkersAreBusy() async {
        let clock = ManualClock()
        let started = Collector<ObjectKey>()
        let held = Mutex<CheckedContinuation<Void, Never>?>(nil)
        let controller = make(clock: clock) { key in
            started.add(key)
            if key.name == "long" { await withCheckedContinuation { waiter in held.withLock { $0 = waiter } } }
            return .done
        }
        let task = Task { await controller.run() }
        controller.enqueue(key("long"))
        #expect(await eventually { held.withLock { $0 != nil } })
        controller.enqueue(key("late"), after: .seconds(1))
        clock.advance(by: .seconds(2))
        // A dispatcher that looks again and again would ask the clock each time.
        let before = clock.readings
        for _ in 0..<1000 { await Task.yield() }
        #expect(clock.readings - before < 10)
        held.withLock { $0 }?.resume()
        #expect(await eventually { started.all.map(\.name) == ["long", "late"] })
        task.cancel()
        await task.value
    }

    @Test func aKeyRunsOnceAtATimeAndKeysRunTogether() async {
        let clock = ManualClock()
        let state = Mutex<(running: [ObjectKey: Int], together: Int, worst: Int)>(([:], 0, 0))
        let controller = make(concurrency: 3, clock: clock) { key in
            state.withLock { state in
                state.running[key, default: 0] += 1
                state.worst = max(state.worst, state.running[key] ?? 0)
                state.together = max(state.together, state.running.values.reduce(0, +))
            }
            try? await Task.sleep(for: .milliseconds(3))
            state.withLock { $0.running[key, default: 0] -= 1 }
            return .done
        }
        let task = Task { await controller.run() }
        for round in 0..<60 {
            controller.enqueue(key("k\(round % 6)"))
            if round % 6 == 5 { try? await Task.sleep(for: .milliseconds(1)) }
        }
        #expect(
            await eventually { controller.counts.done >= 6 && state.withLock { $0.running.values.reduce(0, +) } == 0 })
        let (_, together, worst) = state.withLock { $0 }
        #expect(worst == 1)
        #expect(together > 1 && together <= 3)
        task.cancel()
        await task.value
    }

    @Test func aRunIsCancelledAtItsDeadlineAndTriedAgain() async {
        let clock = ManualClock()
        let runs = Collector<Int>()
        let controller = make(runDeadline: .seconds(30), clock: clock) { _ in
            runs.add(1)
            guard runs.all.count == 1 else { return .done }
            try? await clock.sleep(for: .seconds(1000))
            return .requeue(after: .seconds(5000))
        }
        let task = Task { await controller.run() }
        controller.enqueue(key("a"))
        #expect(await eventually { clock.sleeperCount == 2 })
        clock.advance(by: .seconds(30))
        #expect(await eventually { controller.counts.retried == 1 && clock.sleeperCount == 1 })
        #expect(controller.counts.timeouts == 1)
        clock.advance(by: .seconds(1))
        #expect(await eventually { controller.counts.done == 1 })
        task.cancel()
        await task.value
    }

    @Test func stoppingCancelsTheRunsUnderWayAndWaitsForThem() async {
        let clock = ManualClock()
        let ended = Collector<Bool>()
        let controller = make(clock: clock) { _ in
            try? await clock.sleep(for: .seconds(1000))
            ended.add(Task.isCancelled)
            return .done
        }
        let task = Task { await controller.run() }
        controller.enqueue(key("a"))
        #expect(await eventually { clock.sleeperCount == 1 })
        task.cancel()
        await task.value
        #expect(ended.all == [true])
    }
}
