import Synchronization

/// Counts changes that several watches tell of.
final class ChangeCount: Sendable {
    private let changes = Atomic(0)

    func note() { changes.add(1, ordering: .relaxed) }

    var count: Int { changes.load(ordering: .relaxed) }
}
