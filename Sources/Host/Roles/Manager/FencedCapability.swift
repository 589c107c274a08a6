import ProviderKit

/// A capability that changes the cloud only while this manager leads.
struct FencedCapability<Contract: CapabilityContract>: CapabilityClient {
    private let provider: any CapabilityClient<Contract>
    private let fence: WriteFence

    init(_ provider: any CapabilityClient<Contract>, fence: WriteFence) {
        self.provider = provider
        self.fence = fence
    }

    func ensure(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        try await fence.pass { [provider] in try await provider.ensure(items) }
    }

    func remove(_ items: [Contract.Reference]) async throws -> [ItemResult<Nothing>] {
        try await fence.pass { [provider] in try await provider.remove(items) }
    }

    func check(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        try await provider.check(items)
    }

    func prune(keeping items: [Contract.Reference], namespaces: [String]) async throws -> [ItemResult<Nothing>] {
        try await fence.pass { [provider] in try await provider.prune(keeping: items, namespaces: namespaces) }
    }

    func status(_ items: [Contract.Reference]) async throws -> [ItemResult<Contract.Observed>] {
        try await provider.status(items)
    }
}
