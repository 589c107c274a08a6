/// Which public prefixes the operator lets the users of a namespace bring (`spec.publicIpPrefixId`).
///
/// The daemon's identity may use every prefix that it can join, whoever owns it; without this list, whoever may create
/// a StaticGatewayConfiguration may, too.
public struct PrefixAllowList: Sendable, Equatable {
    /// What one entry opens.
    public enum Scope: Sendable, Equatable {
        /// Every prefix of a resource group.
        case resourceGroup(String)
        /// One prefix, by its resource id.
        case prefix(String)
    }

    /// One line of the list.
    public struct Entry: Sendable, Equatable {
        /// Exactly this namespace, or ``everyNamespace``.
        public var namespace: String
        public var scope: Scope

        public init(namespace: String, scope: Scope) {
            self.namespace = namespace
            self.scope = scope
        }
    }

    /// Stands for all namespaces.
    public static let everyNamespace = "*"
    /// The reason of the condition of what the list refuses.
    static let reason = "PrefixNotAllowed"

    /// The gateways' own resource group, whose prefixes are open to every namespace, managed ones apart; empty: there is
    /// no such group.
    public var ownResourceGroup: String
    /// What is open besides; all other prefixes are closed.
    public var entries: [Entry]

    public init(ownResourceGroup: String = "", entries: [Entry] = []) {
        self.ownResourceGroup = ownResourceGroup
        self.entries = entries
    }

    /// Why a namespace must not use a prefix; nil if it may.
    ///
    /// - Parameter prefixID: resource id; compared without case, as Azure does.
    func refusal(of prefixID: String, in namespace: String) -> String? {
        guard let prefix = PrefixName(prefixID) else {
            return "is \"\(prefixID)\"; it must have the form \(PrefixName.form)"
        }
        if prefix.group == ownResourceGroup.lowercased(), !prefix.isManaged { return nil }
        let isOpen = entries.contains { entry in
            guard entry.namespace == namespace || entry.namespace == Self.everyNamespace else { return false }
            switch entry.scope {
            case .resourceGroup(let group): return group.lowercased() == prefix.group && !prefix.isManaged
            case .prefix(let id): return id.lowercased() == prefixID.lowercased()
            }
        }
        guard !isOpen else { return nil }
        return "is \"\(prefixID)\", which the operator has not opened to namespace \(namespace) "
            + "(manager.broughtPrefixes of the manager's configuration)"
    }
}

/// The parts of a prefix's resource id that the list looks at, in lower case.
struct PrefixName {
    static let form =
        "/subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.Network/publicIPPrefixes/NAME"

    let group: String
    let name: String

    /// A prefix that was made for one configuration and carries its addresses: another one needs its very id in the list
    /// (upstream behaviour section 2.2).
    var isManaged: Bool { name.hasPrefix("egressgateway-") }

    /// Nil unless `id` has the form of a prefix's resource id.
    init?(_ id: String) {
        let parts = id.lowercased().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let fixed = [
            (0, ""), (1, "subscriptions"), (3, "resourcegroups"), (5, "providers"), (6, "microsoft.network"),
            (7, "publicipprefixes"),
        ]
        // Azure's names have no others; an escape or a step upwards would name something else than it seems to.
        let isPlain = id.unicodeScalars.allSatisfy { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
                || "/-._()".unicodeScalars.contains(scalar)
        }
        guard parts.count == 9, isPlain, !parts.dropFirst().contains(""), !parts.contains("."), !parts.contains(".."),
            fixed.allSatisfy({ parts[$0] == $1 })
        else { return nil }
        group = parts[4]
        name = parts[8]
    }
}
