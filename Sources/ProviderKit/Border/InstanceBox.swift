import ProviderAPI
import Synchronization

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// What an `egp_instance` points to: the provider, its vtables, and the calls under way.
///
/// Retained by create, released by destroy.
final class InstanceBox: Sendable {
    private let provider: any Provider
    private let connection: HostConnection
    private let capabilities: [CapabilityBinding]
    private let tables: VerbTables
    private let calls = Mutex<[UInt64: Task<Void, Never>]>([:])

    init(_ type: any Provider.Type, host: UnsafePointer<egp_host>, configuration: Data) throws {
        guard let connection = HostConnection(host) else {
            throw ProviderError(.unsupported, "egp_host: a required function is missing or the struct is too small")
        }
        let provider = try type.init(host: ProviderHost(connection), configuration: configuration)
        let capabilities = provider.capabilities
        guard capabilities.count <= CapabilityBinding.maximumPerProvider else {
            throw ProviderError(
                .terminal, "\(capabilities.count) capabilities; at most \(CapabilityBinding.maximumPerProvider)")
        }
        self.provider = provider
        self.connection = connection
        self.capabilities = capabilities
        tables = VerbTables(capabilities)
    }

    func table(_ identifier: String) -> UnsafePointer<egp_capability>? {
        capabilities.firstIndex { $0.identifier == identifier }.map { tables.pointer($0) }
    }

    /// Starts a verb call; the completion goes to the host from a task of its own.
    func start(_ slot: Int, _ verb: Verb, _ call: UnsafePointer<egp_call>, _ request: egp_bytes) -> ResultCode {
        guard capabilities.indices.contains(slot) else { return .unsupported }
        guard call.pointee.size >= UInt32(MemoryLayout<egp_call>.size), call.pointee.flags == 0,
            request.length <= UInt64(BatchLimits.maximumBytes)
        else { return .invalid }
        let ticket = call.pointee.ticket
        let body = request.copied
        let perform = capabilities[slot].perform
        let context = CallContext(
            deadline: HostInstant(nanoseconds: call.pointee.deadline_ns), host: ProviderHost(connection))
        calls.withLock { calls in
            calls[ticket] = Task { [connection, self] in
                let outcome: Result<Data, ProviderError>
                do {
                    outcome = .success(try await perform(verb, body, context))
                } catch {
                    outcome = .failure(ProviderError(error))
                }
                self.forget(ticket)
                connection.complete(ticket, outcome)
            }
        }
        return .ok
    }

    private func forget(_ ticket: UInt64) {
        calls.withLock { _ = $0.removeValue(forKey: ticket) }
    }

    func cancel(_ ticket: UInt64) {
        calls.withLock { $0[ticket] }?.cancel()
    }

    func close() {
        connection.close()
        for task in calls.withLock({ Array($0.values) }) { task.cancel() }
    }
}
