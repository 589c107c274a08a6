import ProviderKit

/// Runs `body` for each element, at most `limit` at a time.
///
/// - Returns: the results in the order of the elements.
func concurrently<Element: Sendable, Value: Sendable>(
    _ elements: [Element], limit: Int, _ body: @escaping @Sendable (Element) async -> Value
) async -> [Value] {
    await withTaskGroup(of: (Int, Value).self) { group in
        var results: [Int: Value] = [:]
        for (index, element) in elements.enumerated() {
            if index >= limit, let (done, value) = await group.next() { results[done] = value }
            group.addTask { (index, await body(element)) }
        }
        for await (done, value) in group { results[done] = value }
        return elements.indices.compactMap { results[$0] }
    }
}

/// Runs `body` for each item, at most `limit` at a time, each failing alone.
///
/// - Returns: what became of each, by id.
func separately<Item: Identified & Sendable, Value: Sendable>(
    _ items: [Item], limit: Int = 8, _ body: @escaping @Sendable (Item) async throws -> Value
) async -> [String: Result<Value, ProviderError>] {
    let results = await concurrently(items, limit: limit) { item -> (String, Result<Value, ProviderError>) in
        do {
            return (item.id, .success(try await body(item)))
        } catch {
            return (item.id, .failure(ProviderError(error)))
        }
    }
    return Dictionary(results) { first, _ in first }
}
