import Logging
import ProviderKit

/// The plugins of one daemon, in the order of its list.
public struct PluginRuntime: Sendable {
    public let instances: [PluginInstance]

    /// Loads and starts every plugin of the list.
    ///
    /// - Parameters:
    ///   - directory: where relative paths start.
    ///   - trust: decides which files may be loaded.
    ///   - role: decides which kinds of plugins are of use; nil: all are.
    /// - Throws: ``HostError`` for the first plugin that cannot be used; those started before it are ended.
    public init(
        _ entries: [PluginEntry], directory: String, trust: TrustPolicy, role: Role? = nil, logger: Logger
    ) async throws {
        var loader = PluginLoader(policy: trust, role: role, logger: logger)
        var started: [PluginInstance] = []
        do {
            for entry in entries {
                let instance = try await PluginInstance.open(entry, in: directory, with: &loader, logger: logger)
                started.append(instance)
                logger.info(
                    "plugin started",
                    metadata: [
                        "plugin": .string(entry.name), "isolation": .string(entry.isolation.name),
                        "provider": .string(instance.descriptor.name),
                        "version": .string(instance.descriptor.version),
                        "capabilities": .string(instance.descriptor.capabilities.joined(separator: ",")),
                    ])
            }
        } catch {
            for instance in started.reversed() { instance.close() }
            for instance in started { await instance.ended() }
            throw error
        }
        instances = started
    }

    /// The first instance of the list that offers the capability.
    ///
    /// - Throws: ``HostError`` that says which capability no plugin of the list offers.
    public func require<Contract: CapabilityContract>(
        _ contract: Contract.Type, timeout: Duration
    ) throws -> PluginCapability<Contract> {
        for instance in instances {
            if let capability = instance.capability(contract, timeout: timeout) { return capability }
        }
        let offered = instances.map { "\($0.name): \($0.descriptor.capabilities.joined(separator: " "))" }
        throw HostError(
            .configuration,
            "plugins: none offers \(Contract.identifier), which this role needs; the list offers "
                + (offered.isEmpty ? "nothing" : offered.joined(separator: ", ")))
    }

    /// Registers the one receiver of what plugins tell about items; before, it is logged.
    public func handleEvents(_ handler: @escaping PluginEventHandler) {
        for instance in instances { instance.handleEvents(handler) }
    }

    /// Asks before each HTTP request of a plugin in this process that may change something (any method but GET, HEAD and
    /// OPTIONS). A plugin with a process of its own sends its requests there; it is stopped by the cancellation of its
    /// calls alone.
    ///
    /// - Parameter refusal: the error such a request fails with; nil lets it pass. Called on any thread; must not block.
    public func fenceWrites(_ refusal: @escaping @Sendable () -> ProviderError?) {
        for instance in instances { instance.fenceWrites(refusal) }
    }

    /// Ends all instances, last first, without waiting.
    public func close() {
        for instance in instances.reversed() { instance.close() }
    }

    /// Waits for the end that ``close()`` began.
    public func ended() async {
        for instance in instances { await instance.ended() }
    }
}
