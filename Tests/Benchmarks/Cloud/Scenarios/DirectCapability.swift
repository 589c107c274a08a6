import Host
import ProviderKit

/// A provider as a capability of the manager, without the border of a plugin between them: its host's clock is the
/// virtual one.
struct DirectCapability<Implementation: CapabilityProvider>: CapabilityClient {
    typealias Contract = Implementation.Contract

    let provider: Implementation
    let host: HostProcess
    /// Length of one call at most.
    let timeout: Duration

    private var context: CallContext {
        CallContext(deadline: host.now().advanced(by: timeout), host: ProviderHost(host))
    }

    func ensure(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        try await provider.ensure(items, context)
    }

    func remove(_ items: [Contract.Reference]) async throws -> [ItemResult<Nothing>] {
        try await provider.remove(items, context)
    }

    func check(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        try await provider.check(items, context)
    }

    func prune(keeping items: [Contract.Reference], namespaces: [String]) async throws -> [ItemResult<Nothing>] {
        try await provider.prune(keeping: items, namespaces: namespaces, context)
    }

    func status(_ items: [Contract.Reference]) async throws -> [ItemResult<Contract.Observed>] {
        try await provider.status(items, context)
    }
}
