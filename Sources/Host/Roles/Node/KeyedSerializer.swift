/// Lets one piece of work at a time run per key; others for the key wait in order of arrival.
actor KeyedSerializer {
    /// The newest work per key; entries go when their work was the last.
    private var tails: [String: (number: Int, task: Task<Void, Never>)] = [:]
    private var counter = 0

    /// Runs `body` after all earlier work for `key`. Cancelling the caller cancels `body`.
    func run<R: Sendable>(_ key: String, _ body: @escaping @Sendable () async -> R) async -> R {
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
}
