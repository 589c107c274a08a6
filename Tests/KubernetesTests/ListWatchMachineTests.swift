import Kubernetes
import Testing

@Suite struct ListWatchMachineTests {
    // With a jitter of 0 its draws do not matter.
    private var random = SystemRandomNumberGenerator()
    private var machine = ListWatchMachine(
        backoff: BackoffPolicy(base: .seconds(1), cap: .seconds(30), jitter: 0), watchSeconds: 300...300)

    private mutating func after(_ inputs: ListWatchMachine.Input...) -> ListWatchMachine.Action {
        for input in inputs { machine.handle(input, using: &random) }
        return machine.next(using: &random)
    }

    @Test mutating func itListsPagesThenWatchesFromTheLastVersion() {
        #expect(after() == .list(continueToken: nil))
        #expect(after(.page(resourceVersion: "9", continueToken: "x")) == .list(continueToken: "x"))
        #expect(
            after(.page(resourceVersion: "10", continueToken: nil))
                == .watch(resourceVersion: "10", timeoutSeconds: 300))
        #expect(after(.event(resourceVersion: "12")) == .watch(resourceVersion: "12", timeoutSeconds: 300))
        #expect(after(.event(resourceVersion: "")) == .watch(resourceVersion: "12", timeoutSeconds: 300))
        #expect(after(.watchEnded(after: .seconds(300))) == .watch(resourceVersion: "12", timeoutSeconds: 300))
    }

    @Test mutating func aStreamedListIsWatchedFromItsVersionAndStreamedAgainWhenItIsGone() {
        machine = ListWatchMachine(
            backoff: BackoffPolicy(base: .seconds(1), cap: .seconds(30), jitter: 0), watchSeconds: 300...300,
            streamsLists: true)
        #expect(after() == .stream(timeoutSeconds: 60))
        #expect(after(.streamed(resourceVersion: "7")) == .watch(resourceVersion: "7", timeoutSeconds: 300))
        #expect(after(.failed(.gone, after: .zero)) == .stream(timeoutSeconds: 60))
        #expect(after(.failed(.throttled(.seconds(5)), after: .zero)) == .wait(.seconds(5)))
        #expect(after(.waited) == .stream(timeoutSeconds: 60))
    }

    @Test mutating func aServerThatCannotStreamIsAskedForPagesFromThenOn() {
        machine = ListWatchMachine(watchSeconds: 300...300, streamsLists: true)
        #expect(after(.streamRefused) == .list(continueToken: nil))
        _ = after(.page(resourceVersion: "1", continueToken: nil))
        #expect(after(.failed(.gone, after: .zero)) == .list(continueToken: nil))
    }

    @Test mutating func twoStreamsThatFailAreEnough() {
        machine = ListWatchMachine(
            backoff: BackoffPolicy(base: .seconds(1), cap: .seconds(30), jitter: 0), watchSeconds: 300...300,
            streamsLists: true)
        #expect(after(.failed(.other, after: .zero)) == .wait(.seconds(1)))
        #expect(after(.waited) == .stream(timeoutSeconds: 60))
        #expect(after(.failed(.other, after: .zero), .waited) == .list(continueToken: nil))
    }

    @Test mutating func goneListsAtOnceButNotForEver() {
        _ = after(.page(resourceVersion: "1", continueToken: nil))
        #expect(after(.failed(.gone, after: .zero)) == .list(continueToken: nil))
        #expect(
            after(.page(resourceVersion: "2", continueToken: nil)) == .watch(resourceVersion: "2", timeoutSeconds: 300))
        #expect(after(.failed(.gone, after: .zero)) == .wait(.seconds(1)))
        #expect(after(.waited) == .list(continueToken: nil))
        _ = after(.page(resourceVersion: "3", continueToken: nil))
        #expect(after(.failed(.gone, after: .zero)) == .wait(.seconds(2)))
        _ = after(.waited, .page(resourceVersion: "4", continueToken: nil), .event(resourceVersion: "5"))
        #expect(after(.failed(.gone, after: .zero)) == .list(continueToken: nil))
    }

    @Test mutating func goneBetweenPagesStartsTheListAnew() {
        _ = after(.page(resourceVersion: "1", continueToken: "x"))
        #expect(after(.failed(.gone, after: .zero)) == .wait(.seconds(1)))
        #expect(after(.waited) == .list(continueToken: nil))
    }

    @Test mutating func theBackoffGrowsAndIsResetByProgress() {
        let waits = (0..<7).map { _ -> ListWatchMachine.Action in
            defer { _ = after(.waited) }
            return after(.failed(.other, after: .zero))
        }
        #expect(waits == [1, 2, 4, 8, 16, 30, 30].map { .wait(.seconds($0)) })
        _ = after(.page(resourceVersion: "1", continueToken: nil))
        #expect(after(.failed(.other, after: .zero)) == .wait(.seconds(1)))
        #expect(after(.waited, .failed(.other, after: .zero)) == .wait(.seconds(2)))
        #expect(after(.waited, .event(resourceVersion: "2"), .failed(.other, after: .zero)) == .wait(.seconds(1)))
        #expect(after(.waited) == .watch(resourceVersion: "2", timeoutSeconds: 300))
    }

    @Test mutating func aWatchThatFailsThriceInARowListsAgain() {
        _ = after(.page(resourceVersion: "1", continueToken: nil))
        #expect(after(.failed(.other, after: .zero), .waited) == .watch(resourceVersion: "1", timeoutSeconds: 300))
        #expect(after(.failed(.other, after: .zero), .waited) == .watch(resourceVersion: "1", timeoutSeconds: 300))
        #expect(after(.failed(.other, after: .zero), .waited) == .list(continueToken: nil))
    }

    @Test mutating func aVersionThatIsTooLargeIsWaitedForThenListedAnew() {
        _ = after(.page(resourceVersion: "9", continueToken: nil))
        #expect(after(.failed(.versionTooLarge(.seconds(3)), after: .zero)) == .wait(.seconds(3)))
        #expect(after(.waited) == .watch(resourceVersion: "9", timeoutSeconds: 300))
        #expect(after(.failed(.versionTooLarge(nil), after: .zero)) == .wait(.seconds(2)))
        #expect(after(.waited, .failed(.versionTooLarge(nil), after: .zero), .waited) == .list(continueToken: nil))
    }

    @Test mutating func silenceAfterALongWatchIsNoReasonToWaitLonger() {
        _ = after(.page(resourceVersion: "1", continueToken: nil))
        for _ in 0..<5 {
            #expect(after(.failed(.other, after: .seconds(150))) == .wait(.seconds(1)))
            _ = after(.waited)
            if case .list = after() { _ = after(.page(resourceVersion: "1", continueToken: nil)) }
        }
    }

    @Test mutating func veryShortWatchesAreSlowedDown() {
        _ = after(.page(resourceVersion: "1", continueToken: nil))
        #expect(after(.watchEnded(after: .milliseconds(3))) == .wait(.seconds(1)))
        #expect(after(.waited, .watchEnded(after: .milliseconds(3))) == .wait(.seconds(2)))
        #expect(
            after(.waited, .event(resourceVersion: "2"), .watchEnded(after: .milliseconds(3))) == .wait(.seconds(1)))
    }

    @Test mutating func theServersWishIsTheLeastWait() {
        #expect(after(.failed(.throttled(.seconds(7)), after: .zero)) == .wait(.seconds(7)))
        #expect(after(.waited) == .list(continueToken: nil))
    }

    @Test func jitterOnlyShortensAndTheCapHolds() {
        let policy = BackoffPolicy(base: .milliseconds(5), cap: .seconds(1000), jitter: 0.5)
        var random = SystemRandomNumberGenerator()
        for failures in [0, 1, 10, 17, 18, 100, Int.max] {
            let full = min(0.005 * Double(1 << min(failures, 40)), 1000)
            for _ in 0..<50 {
                let delay = policy.delay(failures: failures, using: &random)
                #expect(delay <= .seconds(full * 1.000001))
                #expect(delay >= .seconds(full * 0.499999))
            }
        }
    }
}
