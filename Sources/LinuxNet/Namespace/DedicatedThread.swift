import Glibc
import Synchronization

/// Operating-system threads that live for one piece of work. setns(2) and unshare(2) change the calling thread, so
/// such work must not borrow a thread that somebody else uses afterwards; ending the thread ends the change.
enum DedicatedThread {
    /// The work, on its way into the thread that does it.
    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a thread that runs `body` and ends. Nobody waits for it.
    static func start(_ body: @escaping @Sendable () -> Void) throws {
        pthread_detach(try create(body))
    }

    /// Runs `body` on a thread of its own and waits for it. Blocks the caller.
    static func runBlocking<R: Sendable>(_ body: @escaping @Sendable () throws -> R) throws -> R {
        let outcome = Outcome<R>()
        let thread = try create { outcome.set(Result { try body() }) }
        pthread_join(thread, nil)
        guard let result = outcome.take() else {
            throw LinuxNetError(
                code: .temporary, message: "a thread ended without a result", advice: "report it: this is a defect")
        }
        return try result.get()
    }

    private final class Outcome<R: Sendable>: Sendable {
        private let value = Mutex<Result<R, any Error>?>(nil)
        func set(_ result: Result<R, any Error>) { value.withLock { $0 = result } }
        func take() -> Result<R, any Error>? { value.withLock { $0 } }
    }

    private static func create(_ body: @escaping @Sendable () -> Void) throws -> pthread_t {
        // Retained here, released by the thread that receives it.
        let work = Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        guard code == 0 else {
            work.release()
            throw LinuxNetError.system("start a thread", errorNumber: code)
        }
        return thread
    }
}
