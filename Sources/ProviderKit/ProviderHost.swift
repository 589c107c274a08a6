#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// A point on the host's monotonic clock.
public struct HostInstant: Sendable, Comparable, Hashable {
    /// Nanoseconds since an arbitrary moment before the host started.
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The instant `duration` later; the last or first one there is if that is out of range. The clock stands at the
    /// last one after the host ended the plugin's instance, and work under way then still computes with it.
    public func advanced(by duration: Duration) -> Self {
        let sum = Duration.nanoseconds(nanoseconds) + duration
        let (seconds, attoseconds) = sum.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (total, carry) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        guard !overflow, !carry else { return Self(nanoseconds: sum < .zero ? .min : .max) }
        return Self(nanoseconds: total)
    }

    /// Time until `other`; negative if it has passed.
    public func duration(to other: Self) -> Duration { .nanoseconds(other.nanoseconds) - .nanoseconds(nanoseconds) }
}

/// Log levels, as in `egp_log_level`.
public enum LogLevel: Int32, Sendable, CaseIterable {
    case trace, debug, info, notice, warning, error
}

/// One HTTP header field.
public struct HTTPField: Sendable, Equatable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// An HTTP request that the host sends for a plugin.
public struct HTTPRequest: Sendable {
    public var method: String
    /// Absolute, `http` or `https`.
    public var url: String
    public var headers: [HTTPField]
    public var body: Data
    public var deadline: HostInstant

    public init(method: String, url: String, headers: [HTTPField] = [], body: Data = Data(), deadline: HostInstant) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.deadline = deadline
    }
}

/// The answer to an ``HTTPRequest``, whatever its status.
public struct HTTPResponse: Sendable {
    public var status: Int
    /// Names in lower case.
    public var headers: [HTTPField]
    public var body: Data

    public init(status: Int, headers: [HTTPField], body: Data) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first value of a header.
    public func header(_ name: String) -> String? {
        let name = name.lowercased()
        return headers.first { $0.name == name }?.value
    }
}

/// What a host offers. Implemented by the border; tests of providers bring their own.
public protocol HostServices: Sendable {
    func log(_ level: LogLevel, _ message: String, _ metadata: [String: String])
    func now() -> HostInstant
    /// - Throws: ``ProviderError`` if no response came.
    func send(_ request: HTTPRequest) async throws -> HTTPResponse
    /// Waits on the clock of ``now()``.
    ///
    /// - Throws: `CancellationError` if the task is cancelled meanwhile, or the instance ends.
    func sleep(for duration: Duration) async throws
    func isLogEnabled(_ level: LogLevel) -> Bool
    /// - Throws: ``ProviderError``.
    func secret(_ name: String) throws -> Data
    /// - Throws: ``ProviderError``.
    func record(_ kind: MetricKind, _ name: String, _ labels: [String: String], _ value: Double) throws
    /// - Throws: ``ProviderError``.
    func tell(_ severity: EventSeverity, item: String, reason: String, message: String) throws
}

/// A host that offers no more than it must (`egress_host.h`).
extension HostServices {
    public func isLogEnabled(_ level: LogLevel) -> Bool { true }

    /// The host's clock runs like the process's own.
    public func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration) }

    public func secret(_ name: String) throws -> Data {
        throw ProviderError(.unsupported, "secret \(name): this host offers no secrets")
    }

    public func record(_ kind: MetricKind, _ name: String, _ labels: [String: String], _ value: Double) throws {
        throw ProviderError(.unsupported, "metric \(name): this host takes no metrics")
    }

    public func tell(_ severity: EventSeverity, item: String, reason: String, message: String) throws {
        throw ProviderError(.unsupported, "event \(reason): this host takes no events")
    }
}

/// Kinds of metrics, as in `EGP_METRIC_...`.
public enum MetricKind: Int32, Sendable, CaseIterable {
    /// The value, 0 or more, is added.
    case counter
    /// The value replaces the last one.
    case gauge
    /// The value is one observation; seconds where it is a time.
    case histogram
}

/// Severities of events, as in `EGP_EVENT_...`.
public enum EventSeverity: Int32, Sendable, CaseIterable {
    case normal, warning
}

/// A plugin's view of its host.
public struct ProviderHost: Sendable {
    private let services: any HostServices

    public init(_ services: any HostServices) {
        self.services = services
    }

    /// One log line: a constant message, the data in the metadata. Never put a secret in either.
    public func log(_ level: LogLevel, _ message: String, _ metadata: [String: String] = [:]) {
        services.log(level, message, metadata)
    }

    /// The host's monotonic clock.
    public var now: HostInstant { services.now() }

    /// Sends an HTTP request through the host's connection pool.
    ///
    /// - Throws: ``ProviderError`` if no response came; a response of any status does not throw.
    public func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        try await services.send(request)
    }

    /// Waits on the host's clock, by a timer of the host's.
    ///
    /// - Throws: `CancellationError` if the task was cancelled or the host ended the instance first;
    ///   ``ProviderError`` with ``ResultCode/throttled`` if too many timers are pending.
    public func sleep(for duration: Duration) async throws { try await services.sleep(for: duration) }

    /// As ``sleep(for:)``, until a time on the host's clock.
    public func sleep(until time: HostInstant) async throws {
        try await services.sleep(for: max(.zero, now.duration(to: time)))
    }

    /// Whether a line of this level would be kept: to skip costly metadata.
    public func isLogEnabled(_ level: LogLevel) -> Bool { services.isLogEnabled(level) }

    /// The present bytes of the secret that the entry in `host.yaml` calls `name`. Reads a small local file; ask when it
    /// is needed and do not keep it, because it may be rotated.
    ///
    /// - Throws: ``ProviderError``: invalid for a name that the entry does not have, retry if it cannot be read now,
    ///   terminal if it is too large, unsupported if the host has no secrets.
    public func secret(_ name: String) throws -> Data { try services.secret(name) }

    /// Counts, sets or observes a metric. The host puts `egress_plugin_` before the name and adds the label `plugin`.
    ///
    /// - Parameters:
    ///   - name: `[a-z][a-z0-9_]*`, at most 64 bytes.
    ///   - labels: at most 8, from a small fixed set of values: 1,000 series are kept.
    /// - Returns: false if the host did not take it.
    @discardableResult
    public func record(_ kind: MetricKind, _ name: String, _ value: Double, labels: [String: String] = [:]) -> Bool {
        (try? services.record(kind, name, labels, value)) != nil
    }

    /// Tells people of something at an item's object.
    ///
    /// - Parameters:
    ///   - item: the id of an item of a request.
    ///   - reason: one CamelCase word.
    ///   - message: at most 1,024 bytes.
    /// - Returns: false if the host did not take it.
    @discardableResult
    public func tell(_ severity: EventSeverity, item: String, reason: String, message: String) -> Bool {
        (try? services.tell(severity, item: item, reason: reason, message: message)) != nil
    }
}
