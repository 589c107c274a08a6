import ProviderKit

/// Something that a plugin tells people about an item's object (`egp_event`).
public struct PluginEvent: Sendable, Hashable, Codable {
    public enum Severity: String, Sendable, Hashable, Codable {
        case normal, warning
    }

    public var severity: Severity
    /// The id of an item of a request.
    public var item: String
    /// One CamelCase word.
    public var reason: String
    /// For a person, at most ``maximumMessageBytes``.
    public var message: String

    /// What is longer is cut.
    public static let maximumMessageBytes = 1024

    public init(severity: Severity, item: String, reason: String, message: String) {
        self.severity = severity
        self.item = item
        self.reason = reason
        self.message = message
    }

    /// Whether the reason is one CamelCase word of 1 to 128 bytes.
    var hasGoodReason: Bool {
        let bytes = reason.utf8
        guard let first = bytes.first, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first), bytes.count <= 128
        else { return false }
        return bytes.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
    }
}

/// Decides which events of one instance are told: not too many, and equal ones only counted for a while.
struct EventGate: Sendable {
    /// Events told at once at most, and one more per ``interval``.
    static let burst = 100
    static let interval = Duration.seconds(1)
    /// How long an equal event is only counted.
    static let quiet = Duration.seconds(60)
    /// Different events remembered.
    static let maximumKnown = 1024

    enum Decision: Sendable, Equatable {
        /// - Parameter count: how often it happened since it was told last, with this one.
        case tell(count: Int)
        case counted
        case dropped
    }

    private struct Known {
        var told: HostInstant
        var untold = 0
    }

    private var known: [PluginEvent: Known] = [:]
    private var tokens = Double(burst)
    private var refilled: HostInstant?

    mutating func decide(_ event: PluginEvent, now: HostInstant) -> Decision {
        if var known = known[event], known.told.duration(to: now) < Self.quiet {
            known.untold += 1
            self.known[event] = known
            return .counted
        }
        refill(now)
        guard tokens >= 1 else { return .dropped }
        tokens -= 1
        let count = (known[event]?.untold ?? 0) + 1
        if known.count >= Self.maximumKnown { known = known.filter { $0.value.told.duration(to: now) < Self.quiet } }
        if known.count < Self.maximumKnown || known[event] != nil { known[event] = Known(told: now) }
        return .tell(count: count)
    }

    private mutating func refill(_ now: HostInstant) {
        if let refilled { tokens = min(Double(Self.burst), tokens + refilled.duration(to: now) / Self.interval) }
        refilled = now
    }
}
