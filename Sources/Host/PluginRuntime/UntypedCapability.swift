import FoundationEssentials
import ProviderKit

/// One capability of one instance as JSON in, JSON out: for people who call plugins by hand.
public struct UntypedCapability: Sendable {
    public let identifier: String
    private let plugin: PluginInstance
    private let verbs: Set<Verb>

    /// - Throws: ``HostError`` that names the capabilities of the plugin, if this is none of them.
    public init(_ identifier: String, of plugin: PluginInstance) throws {
        guard let verbs = plugin.offered[identifier] else {
            throw HostError(
                .plugin,
                "plugin \(plugin.name): does not offer the capability \"\(identifier)\"; allowed are "
                    + plugin.descriptor.capabilities.joined(separator: ", "))
        }
        self.identifier = identifier
        self.plugin = plugin
        self.verbs = verbs
    }

    /// In the order of ``Verb``.
    public var offeredVerbs: [Verb] { Verb.allCases.filter(verbs.contains) }

    /// The offered verb of that name.
    ///
    /// - Throws: ``HostError`` that names the offered verbs, if this is none of them.
    public func verb(_ name: String) throws -> Verb {
        guard let verb = Verb(rawValue: name), offeredVerbs.contains(verb) else {
            throw HostError(
                .plugin,
                "plugin \(plugin.name): \(identifier) does not offer the verb \"\(name)\"; allowed are "
                    + offeredVerbs.map(\.rawValue).joined(separator: ", "))
        }
        return verb
    }

    /// Calls a verb and waits for its end.
    ///
    /// - Parameters:
    ///   - request: handed to the plugin as it is, at most ``BatchLimits/maximumBytes``.
    ///   - timeout: until the call must have completed.
    /// - Returns: the plugin's result as it is.
    /// - Throws: ``ProviderError`` with the plugin's code and message if it completed with any other code than ok.
    public func call(_ verb: Verb, _ request: Data, timeout: Duration) async throws -> Data {
        guard request.count <= BatchLimits.maximumBytes else {
            throw ProviderError(
                .invalid, "request: \(request.count) bytes; at most \(BatchLimits.maximumBytes) are allowed")
        }
        return try await plugin.call(
            .verb(capability: identifier, verb), request, items: RequestedItems.ids(in: request), timeout: timeout)
    }
}
