import FoundationEssentials
import ProviderKit

/// What is called in a plugin: a verb of a capability, or the provider's own probe.
enum PluginOperation: Sendable, Equatable, CustomStringConvertible {
    /// A verb of the capability with this identifier, for example `load-balancer/1`.
    case verb(capability: String, Verb)
    case probe

    var description: String {
        switch self {
        case .verb(let capability, let verb): "\(capability) \(verb.rawValue)"
        case .probe: "probe"
        }
    }
}

/// One call on its way to a plugin (`egp_call` and its request).
struct OutgoingCall: Sendable {
    var operation: PluginOperation
    /// Never 0, never used twice in one instance.
    var ticket: UInt64
    /// On the host's clock; the plugin is told, the host itself keeps it.
    var deadline: HostInstant
    /// W3C traceparent.
    var trace: String
    /// JSON; empty for ``PluginOperation/probe``.
    var request: Data
}

/// The end of one call as the plugin told it (`egp_completion`).
struct PluginCompletion: Sendable, Equatable {
    var code: ResultCode
    /// JSON; empty unless ``code`` is ok.
    var result = Data()
    var message = ""
    /// With ``ResultCode/throttled``: the least wait.
    var retryAfterMilliseconds: Int?
    var reason: String?
}

/// How a plugin instance is reached: through its C table in this process (``InProcessTransport``) or over a socket in a
/// process of its own.
///
/// A transport is made together with its instance, from the plugin's file, the instance's configuration and its
/// ``InstanceServices``. It only carries: tickets, deadlines, waiting callers and counts are kept by
/// ``PluginInstance`` and ``InstanceServices``, and are the same for each way. What the plugin wants of its host a
/// transport hands to the functions of ``InstanceServices``.
///
/// No function blocks the caller's thread on the plugin.
protocol PluginTransport: Sendable {
    var descriptor: ProviderDescriptor { get }

    /// The verbs of each capability of the descriptor that the instance has; does not change while it lives. A
    /// capability that the descriptor names and the instance does not have is absent.
    var offered: [String: Set<Verb>] { get }

    /// Whether ``PluginOperation/probe`` is offered.
    var offersProbe: Bool { get }

    /// Hands a call over and returns at once. What becomes of it is told once: by ``InstanceServices/refuse(_:_:_:)``
    /// if the plugin did not accept it, else by ``InstanceServices/complete(_:_:)``, each from any thread, possibly
    /// before this function returns.
    func start(_ call: OutgoingCall)

    /// Tells the plugin that nobody waits for the call any more; a hint, in order after its ``start(_:)``.
    func cancel(_ ticket: UInt64)

    /// The mistakes that the plugin finds in a configuration, none if it would take it.
    ///
    /// - Throws: ``ProviderError``, with ``ResultCode/unsupported`` if the plugin has no `validate`.
    func validate(_ configuration: Data) async throws -> [ConfigurationMistake]

    /// Gives the live instance other settings, wholly or not at all.
    ///
    /// - Throws: ``ProviderError`` with the plugin's code and message; ``ResultCode/unsupported`` if it needs a new
    ///   instance for them.
    func reconfigure(_ configuration: Data) async throws

    /// Ends the instance: waits for the functions that run in it, then for the ends of its timers and exchanges
    /// (``InstanceHost/endCallbacks(within:)``), destroys it and revokes its services, each with a bounded wait. Called
    /// once, after the last ``start(_:)``.
    ///
    /// - Returns: false if it hung and was left as it is.
    func close() async -> Bool
}
