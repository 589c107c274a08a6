import ProviderKit

/// A capability whose concurrent calls are joined: what arrives while a call is under way becomes one call after it.
///
/// A cloud provider turns a batch into few writes, so a hundred configurations made at once cost two calls instead of a
/// hundred. A call starts when nothing has come for a moment, so that a burst (a new node concerns all configurations of
/// its pool) is one call from the first item on; a lone item waits for that moment. The order of items is that of their
/// arrival; an item fails alone, through its own result. No item is in two calls at a time (``ItemReservations``).
struct BatchingCapability<Contract: CapabilityContract>: CapabilityClient {
    private let provider: any CapabilityClient<Contract>
    private let reservations = ItemReservations()
    private let ensuring: Coalescer<Contract.Desired, ItemResult<Contract.Observed>>
    private let removing: Coalescer<Contract.Reference, ItemResult<Nothing>>

    /// - Parameter clock: for the moment that a call waits for more.
    init(_ provider: any CapabilityClient<Contract>, clock: any Clock<Duration> = ContinuousClock()) {
        self.provider = provider
        ensuring = Coalescer(clock) { [reservations] items in
            try await reservations.run(Set(items.map(\.id))) { try await provider.ensure(items) }
        }
        removing = Coalescer(clock) { [reservations] items in
            try await reservations.run(Set(items.map(\.id))) { try await provider.remove(items) }
        }
    }

    func ensure(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        try await ensuring.run(items)
    }

    func remove(_ items: [Contract.Reference]) async throws -> [ItemResult<Nothing>] {
        try await removing.run(items)
    }

    /// Items that another call works on are left out, and so are not in the answer.
    func check(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        try await checkAndMend(items) { _ in [] }.checked
    }

    /// Compares items, and ensures at once those that `choose` names, in one call. An item is not let go of in between:
    /// a removal of it that is asked for meanwhile comes after. Items that another call works on are left out.
    ///
    /// - Parameter choose: looks at the differences, and gives what those items shall be that still are wanted.
    /// - Throws: what the comparison throws. A repair that fails is in the answer.
    func checkAndMend(
        _ items: [Contract.Desired],
        choosing choose: @Sendable ([ItemResult<Contract.Observed>]) async -> [Contract.Desired]
    ) async throws -> Mending<Contract> {
        let claimed = await reservations.claim(Set(items.map(\.id)))
        let free = items.filter { claimed.contains($0.id) }
        guard !free.isEmpty else { return Mending() }
        var mending = Mending<Contract>()
        do {
            mending.checked = try await provider.check(free)
        } catch {
            await reservations.release(claimed)
            throw error
        }
        let different = claimed.intersection(mending.checked.filter { $0.code == .conflict }.map(\.id))
        await reservations.release(claimed.subtracting(different))
        let wanted = await choose(mending.checked.filter { different.contains($0.id) })
            .filter { different.contains($0.id) }
        do {
            if !wanted.isEmpty { mending.mended = try await provider.ensure(wanted) }
        } catch {
            mending.failure = ProviderError(error)
        }
        await reservations.release(different)
        return mending
    }

    /// Prunes while nothing else is under way, and keeps all else waiting until that is done.
    ///
    /// - Parameter list: reads all that shall exist. It is called when nothing can be made any more, so that what it
    ///   does not find cannot come to be until the call has ended.
    /// - Returns: nil if something is under way.
    func pruneWhenIdle(
        keeping list: @Sendable () async throws -> [Contract.Reference]
    ) async throws -> [ItemResult<Nothing>]? {
        guard await reservations.claimAll() else { return nil }
        do {
            let results = try await provider.prune(keeping: try await list(), namespaces: [])
            await reservations.releaseAll()
            return results
        } catch {
            await reservations.releaseAll()
            throw error
        }
    }

    /// Waits for a moment in which nothing is under way only as long as ``pruneWhenIdle(keeping:)`` does: not at all.
    func prune(keeping items: [Contract.Reference], namespaces: [String]) async throws -> [ItemResult<Nothing>] {
        guard let results = try await pruneWhenIdle(keeping: { items }) else {
            throw ProviderError(.retry, "\(Contract.identifier): other calls are under way")
        }
        return results
    }

    func status(_ items: [Contract.Reference]) async throws -> [ItemResult<Contract.Observed>] {
        try await provider.status(items)
    }
}

/// What became of items that were compared, and of those that were mended.
struct Mending<Contract: CapabilityContract>: Sendable {
    var checked: [ItemResult<Contract.Observed>] = []
    var mended: [ItemResult<Contract.Observed>] = []
    /// The repair as a whole failed.
    var failure: ProviderError?
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
