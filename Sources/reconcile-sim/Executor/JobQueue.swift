import CDeterministicExecutor
import Glibc
import Reconcile

/// Runs all Swift concurrency of this process on the main thread, in an order that follows from a seed.
///
/// Any ready job may be the next: what two jobs do to each other does not depend on luck, but on the seed, and with
/// another seed they meet in another order.
enum JobQueue {
    // Safe without a lock: touched by the main thread alone, which `enqueue` makes sure of.
    nonisolated(unsafe) private static var ready: [UnsafeMutableRawPointer] = []
    nonisolated(unsafe) private static var random = RandomSource.seeded(0)
    private static let thread = pthread_self()

    /// Takes over the process. Call it once, on the main thread, before the first task is made.
    static func install() {
        _ = thread
        deterministic_executor_install { job in
            guard let job else { return }
            JobQueue.enqueue(job)
        }
    }

    /// Starts a run; nothing may be left of the one before.
    static func begin(seed: UInt64) {
        precondition(ready.isEmpty, "jobs of the run before are left")
        random = RandomSource.seeded(seed)
    }

    /// Runs jobs until all tasks wait.
    static func drain() {
        while !ready.isEmpty {
            let index = ready.count == 1 ? 0 : Int.random(in: 0..<ready.count, using: &random)
            ready.swapAt(index, ready.count - 1)
            deterministic_executor_run(ready.removeLast())
        }
    }

    private static func enqueue(_ job: UnsafeMutableRawPointer) {
        precondition(pthread_equal(pthread_self(), thread) != 0, "a job came from another thread than the simulation's")
        ready.append(job)
    }
}
