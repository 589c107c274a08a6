import ProviderKit

/// A capability whose concurrent calls are joined: what arrives while a call is under way becomes one call after it.
///
/// A cloud provider turns a batch into few writes, so a hundred configurations made at once cost two calls instead of a
/// hundred. A call starts when nothing has come for a moment, so that a burst (a new node concerns all configurations of
/// its pool) is one call from the first item on; a lone item waits for that moment. The order of items is that of their
/// arrival; an item fails alone, through its own result.
struct BatchingCapability<Contract: CapabilityContract>: CapabilityClient {
    private let provider: any CapabilityClient<Contract>
    private let ensuring: Coalescer<Contract.Desired, ItemResult<Contract.Observed>>
    private let removing: Coalescer<Contract.Reference, ItemResult<Nothing>>

    /// - Parameter clock: for the moment that a call waits for more.
    init(_ provider: any CapabilityClient<Contract>, clock: any Clock<Duration> = ContinuousClock()) {
        self.provider = provider
        ensuring = Coalescer(clock) { try await provider.ensure($0) }
        removing = Coalescer(clock) { try await provider.remove($0) }
    }

    func ensure(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        try await ensuring.run(items)
    }

    func remove(_ items: [Contract.Reference]) async throws -> [ItemResult<Nothing>] {
        try await removing.run(items)
    }

    func prune(keeping items: [Contract.Reference], namespaces: [String]) async throws -> [ItemResult<Nothing>] {
        try await provider.prune(keeping: items, namespaces: namespaces)
    }

    func status(_ items: [Contract.Reference]) async throws -> [ItemResult<Contract.Observed>] {
        try await provider.status(items)
    }
}

/// Joins calls that take a list and answer a list by id. One joined call at a time.
///
/// A caller that is cancelled still waits for its call: what was handed over may have been done.
private actor Coalescer<Item: Identified & Sendable, Answer: Identified & Sendable> {
    private struct Caller {
        var items: [Item]
        var continuation: CheckedContinuation<[Answer], any Error>
    }

    /// A call starts when nothing has come for so long.
    private static var pause: Duration { .milliseconds(50) }
    /// Pauses at most, however many come.
    private static var maximumPauses: Int { 20 }

    private let clock: any Clock<Duration>
    private let perform: @Sendable ([Item]) async throws -> [Answer]
    private var waiting: [Caller] = []
    private var isRunning = false

    init(_ clock: any Clock<Duration>, _ perform: @escaping @Sendable ([Item]) async throws -> [Answer]) {
        self.clock = clock
        self.perform = perform
    }

    func run(_ items: [Item]) async throws -> [Answer] {
        try await withCheckedThrowingContinuation { continuation in
            waiting.append(Caller(items: items, continuation: continuation))
            guard !isRunning else { return }
            isRunning = true
            // Not the first caller's task: its cancellation must not end the calls of the others.
            Task { await drain() }
        }
    }

    private func drain() async {
        while !waiting.isEmpty {
            await gather()
            let callers = takeBatch()
            do {
                let answers = try await perform(callers.flatMap(\.items))
                let byID = Dictionary(answers.map { ($0.id, $0) }) { first, _ in first }
                for caller in callers {
                    caller.continuation.resume(returning: caller.items.compactMap { byID[$0.id] })
                }
            } catch {
                for caller in callers { caller.continuation.resume(throwing: error) }
            }
        }
        isRunning = false
    }

    /// Waits until nothing has come for a moment.
    private func gather() async {
        for _ in 0..<Self.maximumPauses {
            let count = waiting.count
            // The draining task is never cancelled; a clock that ended does not wait.
            try? await clock.sleep(for: Self.pause)
            if waiting.count == count { return }
        }
    }

    /// The callers of the next call: as many as fit, no id twice, at least one.
    private func takeBatch() -> [Caller] {
        var taken: [Caller] = []
        var ids = Set<String>()
        while let next = waiting.first {
            let fits = ids.count + next.items.count <= BatchLimits.maximumItems
            let isNew = next.items.allSatisfy { !ids.contains($0.id) }
            guard taken.isEmpty || (fits && isNew) else { break }
            ids.formUnion(next.items.map(\.id))
            taken.append(waiting.removeFirst())
        }
        return taken
    }
}
