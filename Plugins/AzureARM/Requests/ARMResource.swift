import JSONModel

/// The API version that each resource is read and written at.
public enum APIVersion {
    public static let network = "2025-05-01"
    public static let compute = "2025-04-01"
    /// Network interfaces seen through a scale set.
    public static let scaleSetNetwork = "2018-10-01"
}

/// A resource as it was read: its body, and the etag to write it back with.
public struct ARMResource: Sendable, Equatable {
    public var body: JSONValue
    public var etag: String?

    public init(body: JSONValue, etag: String? = nil) {
        self.body = body
        self.etag = etag ?? body["etag"]?.text
    }

    /// Whether no operation works on the resource, as far as it tells: `provisioningState` is absent or terminal
    /// (asynchronous operations of the resource manager contract).
    public var isSettled: Bool {
        switch body["properties.provisioningState"]?.text?.lowercased() {
        case nil, "succeeded", "failed", "canceled": true
        default: false
        }
    }

    /// Whether the last write failed or was cancelled: what it said is stored, but not in effect. The same write once
    /// more heals it.
    public var hasFailed: Bool { Self.hasFailed(body) }

    /// The same of a resource's body.
    public static func hasFailed(_ body: JSONValue) -> Bool {
        ["failed", "canceled"].contains(body["properties.provisioningState"]?.text?.lowercased())
    }
}
