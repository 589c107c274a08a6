/// One capability as Swift types: what a batch asks for, how an item is named, and what is reported back.
///
/// The JSON forms are described in the capability's C header (`egress_load_balancer.h` and so on); these types are the
/// one Swift source of them, used by plugins and host alike.
public protocol CapabilityContract: Sendable {
    /// An item that shall exist.
    associatedtype Desired: Codable & Sendable & Identified
    /// An item named for `remove` and `status`.
    associatedtype Reference: Codable & Sendable & Identified
    /// What a provider found or made for an item.
    associatedtype Observed: Codable & Sendable & Equatable

    /// Identifier and revision, for example `load-balancer/1`.
    static var identifier: String { get }
}

/// Something a batch can report on by id.
public protocol Identified {
    /// Unique within one batch; chosen by the host, opaque to the provider.
    var id: String { get }
}

/// What the caller does next; the same closed set as `egp_code`.
public enum ResultCode: String, Codable, Sendable, CaseIterable {
    case ok, retry, throttled, conflict, invalid, terminal, unsupported, cancelled
}

/// The body of a verb's request.
public struct BatchRequest<Item: Codable & Sendable>: Codable, Sendable {
    /// The items, at most ``BatchLimits/maximumItems``.
    public var items: [Item]
    /// With `prune`: the network namespaces (or other scopes) that are to be searched.
    public var namespaces: [String]?

    public init(items: [Item], namespaces: [String]? = nil) {
        self.items = items
        self.namespaces = namespaces
    }
}

/// Bounds that both sides enforce.
public enum BatchLimits {
    /// Items in one request.
    public static let maximumItems = 10_000
    /// Bytes of one request or result.
    public static let maximumBytes = 16 * 1024 * 1024
}

/// What became of one item.
public struct ItemResult<Observed: Codable & Sendable & Equatable>: Codable, Sendable, Equatable, Identified {
    public var id: String
    public var code: ResultCode
    /// One line for a person, naming field, value and what is allowed; absent with ``ResultCode/ok``.
    public var message: String?
    /// With ``ResultCode/throttled``: the least wait.
    public var retryAfterMilliseconds: Int?
    /// One CamelCase word for what a person can mend; see ``ProviderError/reason``.
    public var reason: String?
    public var observed: Observed?
    /// Only in answers to `check`: how the world differs from what is desired, one line per difference, without secrets.
    public var drift: [String]?

    public init(
        id: String, code: ResultCode, message: String? = nil, retryAfterMilliseconds: Int? = nil,
        reason: String? = nil, observed: Observed? = nil, drift: [String]? = nil
    ) {
        self.id = id
        self.code = code
        self.message = message
        self.retryAfterMilliseconds = retryAfterMilliseconds
        self.reason = reason
        self.observed = observed
        self.drift = drift
    }

    /// The item is as desired.
    public static func ok(_ id: String, _ observed: Observed? = nil) -> Self {
        Self(id: id, code: .ok, observed: observed)
    }

    /// The answer to `check` for an item that differs from what is desired, and that `ensure` would put right.
    ///
    /// - Parameter drift: at least one difference.
    public static func drifted(_ id: String, _ drift: [String], _ observed: Observed? = nil) -> Self {
        Self(id: id, code: .conflict, message: drift.joined(separator: "; "), observed: observed, drift: drift)
    }

    /// The item failed the way `error` says.
    public static func failed(_ id: String, _ error: ProviderError) -> Self {
        Self(
            id: id, code: error.code, message: error.message,
            retryAfterMilliseconds: error.retryAfterMilliseconds, reason: error.reason)
    }
}

/// The body of a verb's result.
public struct BatchResult<Observed: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
    public var items: [ItemResult<Observed>]

    public init(items: [ItemResult<Observed>]) {
        self.items = items
    }
}

/// `observed` of verbs that have nothing to tell.
public struct Nothing: Codable, Sendable, Equatable {
    public init() {}
}

/// How a gateway pool is named: by AKS node pool, or by scale set. Exactly one is set.
public struct PoolSelector: Codable, Sendable, Equatable, Hashable {
    /// A virtual machine scale set.
    public struct ScaleSet: Codable, Sendable, Equatable, Hashable {
        public var resourceGroup: String
        public var name: String

        public init(resourceGroup: String, name: String) {
            self.resourceGroup = resourceGroup
            self.name = name
        }
    }

    public var nodepoolName: String?
    public var scaleSet: ScaleSet?

    public init(nodepoolName: String) {
        self.nodepoolName = nodepoolName
    }

    public init(scaleSet: ScaleSet) {
        self.scaleSet = scaleSet
    }
}

/// An item named together with the pool it lives in.
public struct PoolReference: Codable, Sendable, Equatable, Identified {
    public var id: String
    public var pool: PoolSelector

    public init(id: String, pool: PoolSelector) {
        self.id = id
        self.pool = pool
    }
}
