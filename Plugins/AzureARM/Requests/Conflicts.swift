import ProviderKit

/// One writer at a time per target, in order of arrival.
public actor WriteQueue {
    private var busy: Set<String> = []
    private var waiting: [String: [CheckedContinuation<Void, Never>]] = [:]

    public init() {}

    /// Runs `body` when no other body of the same target runs; not at all if the caller was cancelled while it waited.
    public func run<Value: Sendable>(
        _ target: String, _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        if busy.contains(target) {
            await withCheckedContinuation { waiting[target, default: []].append($0) }
        } else {
            busy.insert(target)
        }
        defer { release(target) }
        try Task.checkCancellation()
        return try await body()
    }

    private func release(_ target: String) {
        if var queue = waiting[target], !queue.isEmpty {
            let next = queue.removeFirst()
            waiting[target] = queue
            next.resume()
        } else {
            waiting[target] = nil
            busy.remove(target)
        }
    }
}

/// Reads, decides and writes again while somebody else changes the target: `body` starts from a fresh read each time.
///
/// - Throws: the last error; ``ProviderError`` `conflict` after `attempts` conflicts.
public func retryingConflicts<Value: Sendable>(
    attempts: Int = 8, host: ProviderHost, deadline: HostInstant, _ body: @Sendable () async throws -> Value
) async throws -> Value {
    var wait = Duration.milliseconds(100)
    for attempt in 1... {
        do {
            return try await body()
        } catch let error as ProviderError
            where error.code == .conflict && attempt < attempts && host.now.advanced(by: wait) < deadline
        {
            host.log(.debug, "target changed under us, reading again", ["reason": error.message])
            try await host.sleep(for: wait)
            wait = min(wait * 2, .seconds(5))
        }
    }
    throw ProviderError(.conflict, "the target keeps changing")
}

/// A value that was read before a loop of attempts: good for the first attempt only.
public actor FirstValue<Value: Sendable> {
    private var value: Value?

    public init(_ value: Value) {
        self.value = value
    }

    /// The value, once; nil from then on.
    public func take() -> Value? {
        defer { value = nil }
        return value
    }
}
