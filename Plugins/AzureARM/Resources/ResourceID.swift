/// The id of an ARM resource: `/subscriptions/S/resourceGroups/G/providers/P/TYPE/NAME[/TYPE/NAME]...`.
///
/// ARM compares ids without case and answers them in its own casing, so equality here is without case, too.
public struct ResourceID: Sendable, Hashable, CustomStringConvertible {
    public let subscription: String
    public let resourceGroup: String
    public let provider: String
    /// Types and names in turn, outermost first: `["loadBalancers", "lb", "probes", "p"]`.
    public let path: [String]

    public init(subscription: String, resourceGroup: String, provider: String, path: [String]) {
        self.subscription = subscription
        self.resourceGroup = resourceGroup
        self.provider = provider
        self.path = path
    }

    /// Nil unless `text` has the shape of a resource id. Part of a request's path, it must not hold what means something
    /// else there: an escape, a query, a step upwards. No name in Azure does.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 9, parts.count % 2 == 1, parts[0].isEmpty, !parts.dropFirst().contains(""),
            parts[1].lowercased() == "subscriptions", parts[3].lowercased() == "resourcegroups",
            parts[5].lowercased() == "providers", !text.utf8.contains(where: Self.isSpecial),
            !parts.contains("."), !parts.contains("..")
        else { return nil }
        self.init(subscription: parts[2], resourceGroup: parts[4], provider: parts[6], path: Array(parts[7...]))
    }

    /// Whether a text can be one part of a path: a name that users type must not lead a request elsewhere.
    public static func isName(_ text: String) -> Bool {
        !text.isEmpty && text != "." && text != ".." && !text.utf8.contains { isSpecial($0) || $0 == UInt8(ascii: "/") }
    }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        byte <= 0x20 || byte == 0x7F || "%?#\\".utf8.contains(byte)
    }

    /// The innermost name.
    public var name: String { path.last ?? "" }

    /// The types without the names, joined by a slash and in lower case: `loadbalancers/probes`.
    public var type: String {
        stride(from: 0, to: path.count, by: 2).map { path[$0].lowercased() }.joined(separator: "/")
    }

    /// A child of this resource.
    public func child(_ type: String, _ name: String) -> ResourceID {
        ResourceID(
            subscription: subscription, resourceGroup: resourceGroup, provider: provider, path: path + [type, name])
    }

    public var description: String {
        "/subscriptions/\(subscription)/resourceGroups/\(resourceGroup)/providers/\(provider)/"
            + path.joined(separator: "/")
    }

    public static func == (left: Self, right: Self) -> Bool {
        left.description.lowercased() == right.description.lowercased()
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(description.lowercased())
    }
}
