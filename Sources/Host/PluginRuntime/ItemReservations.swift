/// Which items the calls of one capability work on: none is in two calls at a time (docs/provider-abi.md, rule H-6).
///
/// Waiting calls enter in the order of their arrival as far as their items are free. There are few of them: one joined
/// call of each verb.
actor ItemReservations {
    private struct Waiter {
        var ids: Set<String>
        var continuation: CheckedContinuation<Void, Never>
    }

    private var busy: Set<String> = []
    /// One call is about everything there is.
    private var isClosed = false
    private var waiters: [Waiter] = []

    /// Calls that wait for their items.
    var waitingCount: Int { waiters.count }

    /// Runs `body` when no other call works on one of the items.
    func run<Value: Sendable>(
        _ ids: Set<String>, _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        if isFree(ids) {
            busy.formUnion(ids)
        } else {
            // Who resumes it has reserved the items.
            await withCheckedContinuation { waiters.append(Waiter(ids: ids, continuation: $0)) }
        }
        defer { release(ids) }
        return try await body()
    }

    /// Reserves those of the items that no call works on, without waiting.
    ///
    /// - Returns: the reserved ones, which the caller has to release.
    func claim(_ ids: Set<String>) -> Set<String> {
        guard !isClosed else { return [] }
        let free = ids.subtracting(busy)
        busy.formUnion(free)
        return free
    }

    /// Keeps all calls out, if none is under way or waits.
    func claimAll() -> Bool {
        guard busy.isEmpty, waiters.isEmpty, !isClosed else { return false }
        isClosed = true
        return true
    }

    func release(_ ids: Set<String>) {
        busy.subtract(ids)
        admit()
    }

    func releaseAll() {
        isClosed = false
        admit()
    }

    private func isFree(_ ids: Set<String>) -> Bool { !isClosed && busy.isDisjoint(with: ids) }

    private func admit() {
        var rest: [Waiter] = []
        for waiter in waiters {
            if isFree(waiter.ids) {
                busy.formUnion(waiter.ids)
                waiter.continuation.resume()
            } else {
                rest.append(waiter)
            }
        }
        waiters = rest
    }
}
