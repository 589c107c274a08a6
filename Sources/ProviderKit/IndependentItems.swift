/// Work on a batch whose items are independent: each succeeds or fails alone.
extension CallContext {
    /// Does `work` for every item, a few at a time, and gives the results in the items' order. Items that are not begun
    /// when the call is cancelled or its deadline passes fail; those under way go on to their end.
    ///
    /// - Parameters:
    ///   - parallelism: Items under way at a time, 1 or more.
    ///   - describe: What an error of `work` means to the host.
    ///   - work: Gives what was observed of the item; its errors are the item's.
    public func each<Item: Identified & Sendable, Observed: Codable & Sendable & Equatable>(
        _ items: [Item], parallelism: Int,
        describe: @escaping @Sendable (any Error) -> ProviderError = { ProviderError($0) },
        _ work: @escaping @Sendable (Item) async throws -> Observed?
    ) async -> [ItemResult<Observed>] {
        await eachResult(items, parallelism: parallelism, describe: describe) { .ok($0.id, try await work($0)) }
    }

    /// As ``each(_:parallelism:describe:_:)``, for work that has more to say of an item than what was observed.
    public func eachResult<Item: Identified & Sendable, Observed: Codable & Sendable & Equatable>(
        _ items: [Item], parallelism: Int,
        describe: @escaping @Sendable (any Error) -> ProviderError = { ProviderError($0) },
        _ work: @escaping @Sendable (Item) async throws -> ItemResult<Observed>
    ) async -> [ItemResult<Observed>] {
        await withTaskGroup(of: (Int, ItemResult<Observed>).self) { group in
            var results = [ItemResult<Observed>?](repeating: nil, count: items.count)
            for (index, item) in items.enumerated() {
                if index >= parallelism, let (done, result) = await group.next() { results[done] = result }
                group.addTask { (index, await self.result(of: item, describe, work)) }
            }
            for await (done, result) in group { results[done] = result }
            return results.compactMap { $0 }
        }
    }

    private func result<Item: Identified & Sendable, Observed: Codable & Sendable & Equatable>(
        of item: Item, _ describe: @Sendable (any Error) -> ProviderError,
        _ work: @Sendable (Item) async throws -> ItemResult<Observed>
    ) async -> ItemResult<Observed> {
        if Task.isCancelled { return .failed(item.id, ProviderError(.cancelled, "cancelled before it was begun")) }
        guard host.now < deadline else {
            return .failed(item.id, ProviderError(.retry, "the call's deadline passed before this item was begun"))
        }
        do {
            return try await work(item)
        } catch {
            return .failed(item.id, describe(error))
        }
    }
}
