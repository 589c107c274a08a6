import JSONModel

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// What a plugin is for. A third party's capabilities go with the kind they are closest to.
public enum ProviderKind: String, Codable, Sendable, CaseIterable {
    case loadBalancer = "load-balancer"
    case nodePool = "node-pool"
    case tunnel
    case podNetwork = "pod-network"
}

/// What a plugin is, told without side effects. The manifest beside its file says the same.
public struct ProviderDescriptor: Codable, Sendable, Equatable {
    /// The plugin's own name, for example `AzureLB`.
    public var name: String
    /// The plugin's version, for people.
    public var version: String
    public var kind: ProviderKind
    /// Capability identifiers with revision, for example `load-balancer/1`.
    public var capabilities: [String]
    /// JSON Schema (draft 2020-12) of the entry's `config` in `host.yaml`; nil: only the plugin itself can judge one.
    public var configurationSchema: JSONValue?
    /// Members of `config` that may change while the plugin runs; all others need a restart.
    public var liveSettings: [String]?
    /// Compiler and target, for people.
    public var build: String?

    public init(
        name: String, version: String, kind: ProviderKind, capabilities: [String],
        configurationSchema: JSONValue? = nil, liveSettings: [String]? = nil, build: String? = nil
    ) {
        self.name = name
        self.version = version
        self.kind = kind
        self.capabilities = capabilities
        self.configurationSchema = configurationSchema
        self.liveSettings = liveSettings
        self.build = build
    }
}

/// A plugin, as its author writes it.
///
/// The kit makes one instance per entry in the host's plugin list, keeps it until the host destroys it, and calls its
/// capabilities concurrently.
///
/// A trap (an index out of range, an overflow, a forced nil, `fatalError`) cannot be caught: it ends the process, and with
/// it the host and all its plugins, unless the entry says `isolation: process`. Throw instead.
public protocol Provider: Sendable {
    static var descriptor: ProviderDescriptor { get }

    /// Makes an instance. Must not block, and must use `host` only for logging and time until it returned.
    ///
    /// - Parameter configuration: the JSON object of the plugin's entry in `host.yaml`; `{}` if it has none.
    /// - Throws: ``ProviderError`` with ``ResultCode/invalid`` that names the field, the value and what is allowed.
    init(host: ProviderHost, configuration: Data) throws

    /// The capabilities of this instance, at most ``CapabilityBinding/maximumPerProvider``.
    var capabilities: [CapabilityBinding] { get }

    /// Reads a configuration as `init` does, without effects: what it throws, `init` would throw as
    /// ``ResultCode/invalid``. It has passed the descriptor's schema, if there is one. The default accepts it.
    static func checkSettings(_ configuration: Data) throws
}

extension Provider {
    public static func checkSettings(_ configuration: Data) throws {}

    /// What is wrong with a configuration: by the descriptor's schema, then by ``checkSettings(_:)``.
    static func mistakes(in configuration: Data) -> [ConfigurationMistake] {
        if let document = descriptor.configurationSchema {
            do {
                let found = try JSONSchema(compiling: document).mistakes(in: try JSONValue(json: configuration))
                if !found.isEmpty { return found }
            } catch {
                return [ConfigurationMistake(path: "", message: "\(error)")]
            }
        }
        do {
            try checkSettings(configuration)
            return []
        } catch {
            return [ConfigurationMistake(path: "", message: ProviderError(error).message)]
        }
    }
}

/// A mistake in a configuration: the JSON pointer of the member, and the value with what is allowed.
public typealias ConfigurationMistake = JSONSchema.Mistake

/// A provider that takes other settings while it lives.
public protocol ReconfigurableProvider: Provider {
    /// Takes the settings wholly, or throws and keeps the old ones. Must not block.
    ///
    /// - Throws: ``ProviderError`` with ``ResultCode/unsupported`` that names the setting that needs a new instance, or
    ///   as `init`.
    func reconfigure(_ configuration: Data) throws
}

/// A provider that tells whether it could work now.
public protocol ProbingProvider: Provider {
    /// May do IO and changes nothing. Not ready is a result, not an error.
    func probe(_ context: CallContext) async throws -> ProbeResult
}

/// The verbs of a capability.
public enum Verb: String, Codable, Sendable, CaseIterable {
    case ensure, remove, check, prune, status
}

/// The circumstances of one call.
public struct CallContext: Sendable {
    /// Absolute time on the host's clock after which nobody waits for the result.
    public var deadline: HostInstant
    public var host: ProviderHost
    /// W3C traceparent of the call, for log lines and outgoing requests; may be empty.
    public var trace: String

    public init(deadline: HostInstant, host: ProviderHost, trace: String = "") {
        self.deadline = deadline
        self.host = host
        self.trace = trace
    }
}

/// The implementation of one capability.
///
/// Verbs are level-triggered and idempotent. Throwing fails the whole batch; an item of its own fails through its
/// ``ItemResult``. The default implementations answer ``ResultCode/unsupported``; a verb is offered only if it is listed
/// in ``offeredVerbs``.
public protocol CapabilityProvider<Contract>: Sendable {
    associatedtype Contract: CapabilityContract

    var offeredVerbs: Set<Verb> { get }
    func ensure(_ items: [Contract.Desired], _ context: CallContext) async throws -> [ItemResult<Contract.Observed>]
    func remove(_ items: [Contract.Reference], _ context: CallContext) async throws -> [ItemResult<Nothing>]
    /// Compares, and changes nothing. An item that is as desired is ``ResultCode/ok``, without `drift`. One that
    /// differs is ``ResultCode/conflict`` if ``ensure(_:_:)`` would put it right (``ItemResult/drifted(_:_:_:)``), with
    /// each difference in `drift`. Any other code is the one that `ensure` would meet, or says why nothing could be
    /// compared.
    func check(_ items: [Contract.Desired], _ context: CallContext) async throws -> [ItemResult<Contract.Observed>]
    func prune(
        keeping items: [Contract.Reference], namespaces: [String], _ context: CallContext
    ) async throws -> [ItemResult<Nothing>]
    func status(_ items: [Contract.Reference], _ context: CallContext) async throws -> [ItemResult<Contract.Observed>]
}

extension CapabilityProvider {
    public var offeredVerbs: Set<Verb> { [.ensure, .remove, .status] }

    public func check(
        _ items: [Contract.Desired], _ context: CallContext
    ) async throws -> [ItemResult<Contract.Observed>] {
        throw ProviderError(.unsupported, "\(Contract.identifier) of this provider does not offer the verb check")
    }

    public func prune(
        keeping items: [Contract.Reference], namespaces: [String], _ context: CallContext
    ) async throws -> [ItemResult<Nothing>] {
        throw ProviderError(.unsupported, "\(Contract.identifier) of this provider does not offer the verb prune")
    }
}

/// One capability with its types erased: JSON in, JSON out.
public struct CapabilityBinding: Sendable {
    /// The C vtables of one instance are a fixed table; see `Border/VerbTable.swift`.
    public static let maximumPerProvider = 4

    public let identifier: String
    public let offeredVerbs: Set<Verb>
    let perform: @Sendable (Verb, Data, CallContext) async throws -> Data

    public init<P: CapabilityProvider>(_ provider: P) {
        identifier = P.Contract.identifier
        offeredVerbs = provider.offeredVerbs
        perform = { verb, body, context in
            switch verb {
            case .ensure:
                let request = try decodeRequest(P.Contract.self, verb, P.Contract.Desired.self, body)
                return try encodeResult(await provider.ensure(request.items, context))
            case .remove:
                let request = try decodeRequest(P.Contract.self, verb, P.Contract.Reference.self, body)
                return try encodeResult(await provider.remove(request.items, context))
            case .check:
                let request = try decodeRequest(P.Contract.self, verb, P.Contract.Desired.self, body)
                return try encodeResult(await provider.check(request.items, context))
            case .prune:
                let request = try decodeRequest(P.Contract.self, verb, P.Contract.Reference.self, body)
                return try encodeResult(
                    await provider.prune(keeping: request.items, namespaces: request.namespaces ?? [], context))
            case .status:
                let request = try decodeRequest(P.Contract.self, verb, P.Contract.Reference.self, body)
                return try encodeResult(await provider.status(request.items, context))
            }
        }
    }
}

/// Decodes and bounds a request; ids must be unique, because results are told apart by them.
private func decodeRequest<Item: Codable & Sendable & Identified>(
    _ contract: any CapabilityContract.Type, _ verb: Verb, _ type: Item.Type, _ body: Data
) throws -> BatchRequest<Item> {
    let request: BatchRequest<Item>
    do {
        request = try BatchRequest<Item>(json: body)
    } catch let error as DecodingError {
        throw ProviderError(.invalid, "request: \(mistakes(contract, verb, body) ?? error.oneLine)")
    }
    guard request.items.count <= BatchLimits.maximumItems else {
        throw ProviderError(
            .invalid, "request.items: \(request.items.count) items; at most \(BatchLimits.maximumItems) are allowed")
    }
    var seen = Set<String>()
    for item in request.items where !seen.insert(item.id).inserted {
        // Quoted and cut: an id is the caller's text, and a message is one line.
        let id = String(item.id.prefix(64)).debugDescription
        throw ProviderError(.invalid, "request.items: id \(id) occurs twice; ids must be unique in a batch")
    }
    return request
}

/// What is wrong with a request that could not be decoded, by its schema, in one line; nil if the schema finds nothing
/// or the capability has none. Only looked for after decoding failed, so that a good request costs nothing.
private func mistakes(_ contract: any CapabilityContract.Type, _ verb: Verb, _ body: Data) -> String? {
    guard let schema = CapabilitySchemas.request(contract.identifier, verb), let value = try? JSONValue(json: body)
    else {
        return nil
    }
    let most = 3
    let found = schema.mistakes(in: value, limit: most + 1).map(\.description)
    guard !found.isEmpty else { return nil }
    return found.prefix(most).joined(separator: "; ") + (found.count > most ? "; and more" : "")
}

private func encodeResult<Observed: Codable & Sendable & Equatable>(_ items: [ItemResult<Observed>]) throws -> Data {
    try JSONEncoder().encode(BatchResult(items: items))
}

extension DecodingError {
    /// The path and the reason, for an error message of one line.
    public var oneLine: String {
        func path(_ context: Context, _ last: (any CodingKey)? = nil) -> String {
            let keys = context.codingPath + (last.map { [$0] } ?? [])
            return keys.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
        }
        switch self {
        case .keyNotFound(let key, let context): return "field \(path(context, key)) is missing"
        case .typeMismatch(let type, let context): return "field \(path(context)) must be of type \(type)"
        case .valueNotFound(let type, let context): return "field \(path(context)) must be of type \(type), not null"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty
                ? "is not JSON: \(context.debugDescription)" : "field \(path(context)): \(context.debugDescription)"
        @unknown default: return "cannot be decoded"
        }
    }
}
