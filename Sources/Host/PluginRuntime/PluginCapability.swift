import FoundationEssentials
import ProviderKit

/// One capability of one instance, typed.
public struct PluginCapability<Contract: CapabilityContract>: CapabilityClient {
    private let plugin: PluginInstance
    private let timeout: Duration

    init(plugin: PluginInstance, timeout: Duration) {
        self.plugin = plugin
        self.timeout = timeout
    }

    public func ensure(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        try await run(.ensure, BatchRequest(items: items))
    }

    public func remove(_ items: [Contract.Reference]) async throws -> [ItemResult<Nothing>] {
        try await run(.remove, BatchRequest(items: items))
    }

    public func check(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        try await run(.check, BatchRequest(items: items))
    }

    public func prune(keeping items: [Contract.Reference], namespaces: [String]) async throws -> [ItemResult<Nothing>] {
        try await run(.prune, BatchRequest(items: items, namespaces: namespaces))
    }

    public func status(_ items: [Contract.Reference]) async throws -> [ItemResult<Contract.Observed>] {
        try await run(.status, BatchRequest(items: items))
    }

    private func run<Item: Codable & Sendable & Identified, Observed: Codable & Sendable & Equatable>(
        _ verb: Verb, _ request: BatchRequest<Item>
    ) async throws -> [ItemResult<Observed>] {
        let operation = PluginOperation.verb(capability: Contract.identifier, verb)
        let answer = try await plugin.call(
            operation, try request.json(), items: request.items.map(\.id), timeout: timeout)
        return try plugin.decode(BatchResult<Observed>.self, answer, operation).items
    }
}
