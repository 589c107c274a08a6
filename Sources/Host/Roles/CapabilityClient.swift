import ProviderKit

/// A capability of a loaded plugin, as roles and controllers call it.
///
/// Every function throws ``ProviderError`` if the whole call failed; what became of each item is in the results. A call
/// ends at the latest after the implementation's own deadline.
public protocol CapabilityClient<Contract>: Sendable {
    associatedtype Contract: CapabilityContract
    func ensure(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>]
    func remove(_ items: [Contract.Reference]) async throws -> [ItemResult<Nothing>]
    /// Compares items with the world and changes nothing; differences are in ``ItemResult/drift``.
    func check(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>]
    func prune(keeping items: [Contract.Reference], namespaces: [String]) async throws -> [ItemResult<Nothing>]
    func status(_ items: [Contract.Reference]) async throws -> [ItemResult<Contract.Observed>]
}

extension CapabilityClient {
    /// Ensures one item.
    ///
    /// - Throws: ``ProviderError``, also for the item's own failure.
    func ensureOne(_ item: Contract.Desired) async throws -> Contract.Observed {
        try Self.observed(of: item.id, try await ensure([item]))
    }

    /// Removes one item; absent is success.
    ///
    /// - Throws: ``ProviderError``, also for the item's own failure.
    func removeOne(_ item: Contract.Reference) async throws {
        let results = try await remove([item])
        guard let result = results.first(where: { $0.id == item.id }) else { throw Self.silence(item.id) }
        if result.code != .ok { throw result.error }
    }

    /// Asks for one item.
    ///
    /// - Throws: ``ProviderError``, also if the item is not there.
    func statusOfOne(_ item: Contract.Reference) async throws -> Contract.Observed {
        try Self.observed(of: item.id, try await status([item]))
    }

    private static func observed(
        of id: String, _ results: [ItemResult<Contract.Observed>]
    ) throws -> Contract.Observed {
        guard let result = results.first(where: { $0.id == id }) else { throw silence(id) }
        guard result.code == .ok else { throw result.error }
        guard let observed = result.observed else { throw silence(id) }
        return observed
    }

    private static func silence(_ id: String) -> ProviderError {
        ProviderError(.terminal, "\(Contract.identifier): the answer says nothing about item \"\(id)\"")
    }
}

extension ItemResult {
    /// The failure of an item whose code is not ``ResultCode/ok``.
    var error: ProviderError {
        var error = ProviderError(
            code, message ?? "item \"\(id)\": \(code.rawValue)", retryAfterMilliseconds: retryAfterMilliseconds)
        error.reason = reason
        return error
    }
}
