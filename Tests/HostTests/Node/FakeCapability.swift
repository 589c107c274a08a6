import ProviderKit
import Synchronization

@testable import Host

/// A capability in memory: remembers what it was asked, holds what was ensured, fails where told to.
final class FakeCapability<Contract: CapabilityContract>: CapabilityClient {
    typealias Make = @Sendable (Contract.Desired) async throws -> Contract.Observed

    private struct State {
        var items: [String: (desired: Contract.Desired, observed: Contract.Observed)] = [:]
        var calls: [String] = []
        var failure: ProviderError?
        var askedFor: [Contract.Reference] = []
    }

    private let state = Mutex(State())
    private let make: Make
    private let onRemove: @Sendable (Contract.Reference) async throws -> Void

    init(make: @escaping Make, onRemove: @escaping @Sendable (Contract.Reference) async throws -> Void = { _ in }) {
        self.make = make
        self.onRemove = onRemove
    }

    /// `verb id,id`, in order.
    var calls: [String] { state.withLock { $0.calls } }
    /// What stands now, by id.
    var desired: [String: Contract.Desired] { state.withLock { $0.items.mapValues(\.desired) } }

    /// What status was asked for, in order.
    var askedFor: [Contract.Reference] { state.withLock { $0.askedFor } }

    /// Every ensure fails with this from now on.
    func fail(with error: ProviderError?) { state.withLock { $0.failure = error } }
    func forgetCalls() { state.withLock { $0.calls = [] } }
    /// As if the item had vanished from the world.
    func lose(_ id: String) { state.withLock { $0.items[id] = nil } }

    func ensure(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        let failure = state.withLock {
            $0.calls.append("ensure " + items.map(\.id).joined(separator: ","))
            return $0.failure
        }
        var results: [ItemResult<Contract.Observed>] = []
        for item in items {
            if let failure {
                results.append(.failed(item.id, failure))
                continue
            }
            let observed = try await make(item)
            state.withLock { $0.items[item.id] = (item, observed) }
            results.append(.ok(item.id, observed))
        }
        return results
    }

    func remove(_ items: [Contract.Reference]) async throws -> [ItemResult<Nothing>] {
        for item in items { try await onRemove(item) }
        return state.withLock { state in
            state.calls.append("remove " + items.map(\.id).joined(separator: ","))
            for item in items { state.items[item.id] = nil }
            return items.map { .ok($0.id) }
        }
    }

    func check(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        state.withLock { state in
            state.calls.append("check " + items.map(\.id).joined(separator: ","))
            return items.map { item in
                state.items[item.id].map { .ok(item.id, $0.observed) } ?? .drifted(item.id, ["\(item.id): is missing"])
            }
        }
    }

    func prune(keeping items: [Contract.Reference], namespaces: [String]) async throws -> [ItemResult<Nothing>] {
        state.withLock { $0.calls.append("prune " + items.map(\.id).joined(separator: ",")) }
        return []
    }

    func status(_ items: [Contract.Reference]) async throws -> [ItemResult<Contract.Observed>] {
        state.withLock { state in
            state.askedFor += items
            return items.map { item in
                state.items[item.id].map { .ok(item.id, $0.observed) }
                    ?? .failed(item.id, ProviderError(.retry, "link \(item.id) is not there"))
            }
        }
    }
}
