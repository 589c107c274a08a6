/// Lets one piece of work at a time run per key; others for the key wait in order of arrival.
///
/// A provider needs it where its work goes on after a call was cancelled: the host's next call for the same item comes
/// while the first one's work may still run.
public actor KeyedSerializer {
    /// The newest work per key; entries go when their work was the last.
    private var tails: [String: (number: Int, task: Task<Void, Never>)] = [:]
    private var counter = 0

    public init() {}

    /// Runs `body` after all earlier work for `key`. Cancelling the caller cancels `body`, which is run in any case.
    public func run<R: Sendable>(_ key: String, _ body: @escaping @Sendable () async -> R) async -> R {
        let previous = tails[key]?.task
        let work = Task {
            await previous?.value
            return await body()
        }
        counter += 1
        let number = counter
        tails[key] = (number, Task { _ = await work.value })
        defer { if tails[key]?.number == number { tails[key] = nil } }
        return await withTaskCancellationHandler {
            await work.value
        } onCancel: {
            work.cancel()
        }
    }

    /// As ``run(_:_:)``, for work that may fail. Work whose caller was cancelled before its turn is not begun.
    public func attempt<R: Sendable>(
        _ key: String, _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        try await run(key) {
            do {
                try Task.checkCancellation()
                return Result<R, any Error>.success(try await body())
            } catch {
                return .failure(error)
            }
        }.get()
    }
}
