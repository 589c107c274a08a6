import FoundationEssentials
import Logging
import ProviderKit

/// One verb call by hand through the daemon's own loader, without the daemon.
public struct PluginCall: Sendable {
    /// What a plugin answered.
    public struct Answer: Sendable {
        /// The plugin's result as it is.
        public var result: Data
        /// One line per item whose code is not ok: id, code and message.
        public var failedItems: [String]
    }

    /// The entry's name in the list.
    public var plugin: String
    public var capability: String
    public var verb: String

    public init(plugin: String, capability: String, verb: String) {
        self.plugin = plugin
        self.capability = capability
        self.verb = verb
    }

    private struct Item: Decodable {
        var id: String
        var code: ResultCode
        var message: String?
    }

    private struct Items: Decodable {
        var items: [Item]
    }

    /// Starts this one plugin of the list with its settings, calls it, and ends it.
    ///
    /// - Parameter timeout: until the call must have completed.
    /// - Throws: ``HostError`` for a name that is not there, with those that are; ``ProviderError`` if the call failed.
    public func run(
        configuration: HostConfiguration, request: Data, timeout: Duration, logger: Logger
    ) async throws -> Answer {
        guard let entry = configuration.plugins.first(where: { $0.name == plugin }) else {
            let names = configuration.plugins.map(\.name).joined(separator: ", ")
            throw HostError(
                .configuration,
                "plugin \"\(plugin)\" is not in the list; " + (names.isEmpty ? "it is empty" : "allowed are \(names)"))
        }
        var loader = PluginLoader(policy: configuration.trust, role: configuration.role, logger: logger)
        let instance = try await PluginInstance.open(
            entry, in: configuration.effectivePluginDirectory, with: &loader, logger: logger)
        let result: Result<Data, any Error>
        do {
            let untyped = try UntypedCapability(capability, of: instance)
            result = .success(try await untyped.call(try untyped.verb(verb), request, timeout: timeout))
        } catch {
            result = .failure(error)
        }
        instance.close()
        await instance.ended()
        return try answer(result.get())
    }

    private func answer(_ result: Data) throws -> Answer {
        do {
            let items = try JSONDecoder().decode(Items.self, from: result).items
            return Answer(
                result: result,
                failedItems: items.filter { $0.code != .ok }
                    .map { "item \"\($0.id)\": \($0.code.rawValue): \($0.message ?? "no reason given")" })
        } catch let error as DecodingError {
            throw ProviderError(.terminal, "plugin \(plugin): \(capability) \(verb) answered wrongly: \(error.oneLine)")
        }
    }
}
