/// What a person can mend, as one CamelCase word: the host shows it as the reason of the object's condition.
///
/// The closed list of `load-balancer/1` and `node-pool/1` (their C headers carry the same list). A failure that passes
/// by itself has none. Which words a provider uses is its own affair; a host takes any word of the right form
/// (``ProviderError/reason``).
public enum FailureReason: String, Codable, Sendable, CaseIterable {
    /// Nothing in the cloud answers to the item's pool selector.
    case poolNotFound = "PoolNotFound"
    /// The pool exists, but is of a kind that the provider does not serve.
    case poolUnsupported = "PoolUnsupported"
    /// The pool does not say how long its prefixes are, and neither does the item.
    case poolTagMissing = "PoolTagMissing"
    /// `prefixID` is not the id of a public prefix.
    case prefixIDInvalid = "PrefixIDInvalid"
    /// No prefix has the id `prefixID`.
    case prefixNotFound = "PrefixNotFound"
    /// The prefix's length is out of the cloud's range, or not the one that was asked for.
    case prefixLengthInvalid = "PrefixLengthInvalid"
    /// The prefix has fewer addresses than the pool has nodes.
    case prefixExhausted = "PrefixExhausted"
    /// The prefix lies in another region, is of another kind, or of another zone than the nodes.
    case prefixMismatch = "PrefixMismatch"
    /// An IP version was asked for that pool, subnet or provider does not have.
    case ipFamilyUnsupported = "IPFamilyUnsupported"
    /// An id names another subscription than the provider's.
    case foreignSubscription = "ForeignSubscription"
    /// The subscription of the configuration does not exist or is not open to this identity.
    case subscriptionNotFound = "SubscriptionNotFound"
    /// A resource group of the configuration does not exist.
    case resourceGroupNotFound = "ResourceGroupNotFound"
    /// The virtual network or subnet of the configuration does not exist.
    case subnetNotFound = "SubnetNotFound"
    /// The subnet has no free address.
    case subnetFull = "SubnetFull"
    /// The identity lacks a role or an action.
    case missingRole = "MissingRole"
    /// The identity itself is refused: wrong or expired secret or certificate, no federated credential, no identity.
    case credentialRefused = "CredentialRefused"
    /// A quota of the subscription is used up.
    case quotaExceeded = "QuotaExceeded"
    /// A policy or a lock of the subscription forbids the change.
    case policyDenied = "PolicyDenied"
    /// A service of the cloud is not enabled in the subscription.
    case serviceNotRegistered = "ServiceNotRegistered"
    /// The load balancer has no port or rule left for one more configuration.
    case loadBalancerFull = "LoadBalancerFull"
    /// Another load balancer or rule claims what this one needs.
    case loadBalancerConflict = "LoadBalancerConflict"
}

extension ProviderError {
    /// Whether a word may be the reason of a condition (`metav1.Condition`: a letter, then letters, digits, `_`, `,` and
    /// `:`, not one of the last two at the end; here at most 64 bytes).
    public static func isReason(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, bytes.count <= 64, isLetter(first) else { return false }
        let inner = bytes.allSatisfy { isWord($0) || $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: ":") }
        return inner && isWord(last)
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        isLetter(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
    }
}
