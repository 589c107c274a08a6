import FoundationEssentials
import Logging
import ProviderAPI
import ProviderKit
import Synchronization

/// One configured plugin of the list.
///
/// Sendable: the raw instance pointer is only passed to functions that the ABI tags [any-thread], except create, which
/// `init` calls once, and destroy, which whoever leaves last after ``close()`` calls once (see ``lend(_:)``).
public final class PluginInstance: @unchecked Sendable {
    public let name: String
    public let descriptor: ProviderDescriptor

    private let image: PluginImage
    private let instance: OpaquePointer
    private let services: InstanceServices
    private let lifetime = Mutex(Lifetime())

    /// Who is inside the plugin with the instance's pointer.
    private struct Lifetime {
        var isClosing = false
        var users = 0

        mutating func enter() -> Bool {
            if isClosing { return false }
            users += 1
            return true
        }

        /// The one who closes is inside, too, until it leaves.
        mutating func beginClosing() -> Bool {
            guard enter() else { return false }
            isClosing = true
            return true
        }

        /// - Returns: whether the instance is to be destroyed now.
        mutating func leave() -> Bool {
            users -= 1
            return isClosing && users == 0
        }
    }

    /// Makes the instance.
    ///
    /// - Throws: ``HostError`` with code ``HostError/Code/plugin`` that carries the plugin's own message.
    public init(image: PluginImage, entry: PluginEntry, logger: Logger) throws {
        var logger = logger
        logger[metadataKey: "plugin"] = .string(entry.name)
        let services = InstanceServices(name: entry.name, logger: logger, http: HTTPService())
        var raw: OpaquePointer?
        var text = [UInt8](repeating: 0, count: 1024)
        var written = 0
        let code: egp_code = text.withUnsafeMutableBufferPointer { buffer in
            var message = egp_message(buffer: buffer.baseAddress, capacity: UInt64(buffer.count), length: 0)
            defer { written = Int(min(message.length, message.capacity)) }
            return entry.configuration.withBorderBytes { configuration in
                image.provider.create?(services.makeTable(), configuration, &raw, &message)
                    ?? egp_code(EGP_UNSUPPORTED)
            }
        }
        guard code == egp_code(EGP_OK), let raw else {
            let reason = String(decoding: text.prefix(written), as: UTF8.self)
            throw HostError(
                .plugin, "plugin \(entry.name) (\(image.path)): " + (reason.isEmpty ? "refused to start" : reason))
        }
        name = entry.name
        descriptor = image.descriptor
        self.image = image
        self.services = services
        instance = raw
    }

    /// The capability, if this instance offers it.
    ///
    /// - Parameter timeout: until one call of it must have completed.
    public func capability<Contract: CapabilityContract>(
        _ contract: Contract.Type, timeout: Duration
    ) -> PluginCapability<Contract>? {
        table(Contract.identifier).map { PluginCapability(plugin: self, table: $0, timeout: timeout) }
    }

    /// A copy of the vtable of a capability, nil if this instance does not offer it or is closed.
    func table(_ identifier: String) -> egp_capability? {
        let table = lend { instance in
            identifier.withBorderBytes { image.provider.capability?(instance, $0) }
        }
        guard case .some(.some(let table)) = table else { return nil }
        // Read before the rest, which may not be there.
        guard table.pointee.size >= UInt32(MemoryLayout<egp_capability>.size) else {
            services.logger.error(
                "plugin's table of verbs is too small", metadata: ["capability": .string(identifier)])
            return nil
        }
        return table.pointee
    }

    /// Ends the instance. Waiting callers get an error, and the plugin hears that nobody waits; later calls throw.
    public func close() {
        guard lifetime.withLock({ $0.beginClosing() }) else { return }
        for ticket in services.calls.endAll(with: stopped) { image.provider.cancel?(instance, ticket) }
        leave()
    }

    private var stopped: ProviderError { ProviderError(.cancelled, "plugin \(name): stopped") }

    /// Lends the instance to one call into the plugin; nil once it is closing. A call that is inside while ``close()``
    /// comes keeps the instance alive until it is out, and nobody waits for it.
    @discardableResult
    private func lend<R>(_ body: (OpaquePointer) -> R) -> R? {
        guard lifetime.withLock({ $0.enter() }) else { return nil }
        defer { leave() }
        return body(instance)
    }

    private func leave() {
        if lifetime.withLock({ $0.leave() }) { image.provider.destroy?(instance) }
    }

    /// Runs one verb: hands the request over and waits for the completion, the deadline or the caller's cancellation.
    func call(_ verb: egp_verb?, named verbName: String, _ request: Data, timeout: Duration) async throws -> Data {
        guard let verb else {
            throw ProviderError(.unsupported, "plugin \(name): does not offer the verb \(verbName)")
        }
        let ticket = services.calls.makeTicket()
        let deadline = HostClock.now().advanced(by: timeout)
        let watchdog = Task { [self] in
            try await Task.sleep(for: timeout)
            giveUp(ticket, ProviderError(.retry, "plugin \(name): \(verbName) did not complete within \(timeout)"))
        }
        defer { watchdog.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                services.calls.enter(ticket, continuation)
                let accepted = lend { instance in
                    request.withBorderBytes { request in
                        var call = egp_call(
                            size: UInt32(MemoryLayout<egp_call>.size), flags: 0, ticket: ticket,
                            deadline_ns: deadline.nanoseconds, trace: egp_bytes(data: nil, length: 0))
                        return verb(instance, &call, request)
                    }
                }
                if accepted == nil {
                    services.calls.end(ticket, with: .failure(stopped))
                } else if let accepted, accepted != egp_code(EGP_OK) {
                    let code = ResultCode(borderCode: accepted) ?? .terminal
                    services.calls.end(
                        ticket, with: .failure(ProviderError(code, "plugin \(name): refused the verb \(verbName)")))
                }
                // A cancellation before the ticket was entered found nothing to give up.
                if Task.isCancelled { giveUp(ticket, CancellationError()) }
            }
        } onCancel: {
            giveUp(ticket, CancellationError())
        }
    }

    private func giveUp(_ ticket: UInt64, _ error: any Error) {
        guard services.calls.end(ticket, with: .failure(error)) else { return }
        lend { image.provider.cancel?($0, ticket) }
    }
}

/// One capability of one instance, typed.
///
/// Sendable: the table is a copy of C function pointers that the ABI tags [any-thread].
public struct PluginCapability<Contract: CapabilityContract>: CapabilityClient, @unchecked Sendable {
    private let plugin: PluginInstance
    private let table: egp_capability
    private let timeout: Duration

    init(plugin: PluginInstance, table: egp_capability, timeout: Duration) {
        self.plugin = plugin
        self.table = table
        self.timeout = timeout
    }

    public func ensure(_ items: [Contract.Desired]) async throws -> [ItemResult<Contract.Observed>] {
        try await run(table.ensure, "ensure", BatchRequest(items: items))
    }

    public func remove(_ items: [Contract.Reference]) async throws -> [ItemResult<Nothing>] {
        try await run(table.remove, "remove", BatchRequest(items: items))
    }

    public func prune(keeping items: [Contract.Reference], namespaces: [String]) async throws -> [ItemResult<Nothing>] {
        try await run(table.prune, "prune", BatchRequest(items: items, namespaces: namespaces))
    }

    public func status(_ items: [Contract.Reference]) async throws -> [ItemResult<Contract.Observed>] {
        try await run(table.status, "status", BatchRequest(items: items))
    }

    private func run<Item: Codable & Sendable, Observed: Codable & Sendable & Equatable>(
        _ verb: egp_verb?, _ name: String, _ request: BatchRequest<Item>
    ) async throws -> [ItemResult<Observed>] {
        let body = try JSONEncoder().encode(request)
        let answer = try await plugin.call(verb, named: "\(Contract.identifier) \(name)", body, timeout: timeout)
        do {
            return try JSONDecoder().decode(BatchResult<Observed>.self, from: answer).items
        } catch let error as DecodingError {
            throw ProviderError(
                .terminal, "plugin \(plugin.name): \(Contract.identifier) \(name) answered wrongly: \(error.oneLine)")
        }
    }
}
