import ProviderKit

/// Runs a batch as one; if Azure says that it is wrong, halves it until the wrong items stand alone.
///
/// Only for errors that repetition does not cure: a passing fault fails the whole batch, and costs one call.
///
/// - Returns: an outcome per item id.
public func isolatingFailures<Item: Identified & Sendable, Outcome: Sendable>(
    _ items: [Item], _ body: @Sendable ([Item]) async throws -> [String: Result<Outcome, ProviderError>]
) async throws -> [String: Result<Outcome, ProviderError>] {
    do {
        return try await body(items)
    } catch {
        let failure = ProviderError(error)
        guard items.count > 1, [.invalid, .terminal].contains(failure.code) else {
            return Dictionary(items.map { ($0.id, .failure(failure)) }) { first, _ in first }
        }
        let half = items.count / 2
        let first = try await isolatingFailures(Array(items[..<half]), body)
        let second = try await isolatingFailures(Array(items[half...]), body)
        return first.merging(second) { first, _ in first }
    }
}

extension Result where Failure == ProviderError {
    /// The outcome as the host reads it.
    public func itemResult<Observed: Codable & Sendable & Equatable>(
        _ id: String, _ observed: (Success) -> Observed?
    ) -> ItemResult<Observed> {
        switch self {
        case .success(let value): .ok(id, observed(value))
        case .failure(let error): .failed(id, error)
        }
    }
}
