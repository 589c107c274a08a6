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
    /// - Throws: `CancellationError` if the task is cancelled meanwhile.
    func sleep(for duration: Duration) async throws
}

extension HostServices {
    /// The host's clock runs like the process's own.
    public func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration) }
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

    /// Waits on the host's clock.
    ///
    /// - Throws: `CancellationError` if the task is cancelled meanwhile.
    public func sleep(for duration: Duration) async throws {
        try await services.sleep(for: duration)
    }
}
