import ServiceLifecycle

/// How roles begin and end.
enum RoleLifetime {
    /// Runs `work` until the role is to stop (the task is cancelled or graceful shutdown begins) or `work` ends itself.
    /// Then, with `work` still running, lets `drain` do what must precede the end, and ends `work`.
    ///
    /// - Throws: the error of `work`, unless it is that of the cancellation.
    static func run(
        work: @escaping @Sendable () async throws -> Void, drain: @escaping @Sendable () async -> Void = {}
    ) async throws {
        let task = Task { try await work() }
        let endedByItself = await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await untilStopped()
                return false
            }
            group.addTask {
                _ = await task.result
                return true
            }
            let first = await group.next() ?? true
            if !first {
                // Not in this task, which may be cancelled: draining takes its time in any case.
                await Task { await drain() }.value
            }
            task.cancel()
            group.cancelAll()
            return first
        }
        do {
            try await task.value
        } catch  where error is CancellationError || !endedByItself {
            return
        }
    }

    /// Returns when the task is cancelled or graceful shutdown begins.
    private static func untilStopped() async {
        await cancelWhenGracefulShutdown {
            let (stream, continuation) = AsyncStream<Never>.makeStream()
            // Nothing ever comes: the loop ends with the cancellation.
            for await _ in stream {}
            continuation.finish()
        }
    }
}

/// Tells one waiting loop that something changed. Any number of changes before the loop looks are one.
struct ChangeSignal: Sendable {
    let changes: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() {
        (changes, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func raise() { continuation.yield() }
}
