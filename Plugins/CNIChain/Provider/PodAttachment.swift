import LinuxNet
import ProviderKit

/// A pod's namespace and links, checked.
struct PodReference: Sendable, Equatable {
    let namespace: String
    /// The pod's ordinary link, eth0.
    let interface: String
    /// The link into the tunnel, wg0.
    let tunnelLink: String

    init(_ item: PodNetwork.Reference) throws {
        try self.init(namespace: item.namespace, interface: item.interface, tunnelLink: item.tunnelLink)
    }

    init(namespace: String, interface: String, tunnelLink: String) throws {
        guard namespace.hasPrefix("/") else {
            throw ProviderError(.invalid, "namespace: \"\(namespace)\" is not allowed; allowed: an absolute path")
        }
        for (field, name) in [("interface", interface), ("tunnelLink", tunnelLink)] {
            // Stricter than the kernel: the name goes into a ruleset's text and a sysctl's path.
            let isPlain = name.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                    || [45, 46, 64, 95].contains(byte)
            }
            guard isPlain, (1...15).contains(name.utf8.count), name != ".", name != ".." else {
                throw ProviderError(
                    .invalid,
                    "\(field): \"\(name)\" is not allowed; "
                        + "allowed: 1 to 15 letters, digits, \".\", \"-\", \"_\", \"@\"")
            }
        }
        guard interface != tunnelLink else {
            throw ProviderError(.invalid, "tunnelLink: \"\(tunnelLink)\" is the interface; allowed: another link")
        }
        self.namespace = namespace
        self.interface = interface
        self.tunnelLink = tunnelLink
    }
}

/// What a pod's traffic shall do, checked and with the inversion of `excludedCIDRs` resolved (upstream behaviour
/// section 5.5): they name what takes the *other* path than `defaultRoute`.
struct PodAttachment: Sendable, Equatable {
    enum Path: Sendable, Equatable {
        /// Everything through the tunnel, except these destinations.
        case tunnel(direct: [IPPrefix])
        /// Everything by the ordinary interface, except these destinations.
        case ordinary(tunnelled: [IPPrefix])
    }

    let pod: PodReference
    let path: Path

    init(_ item: PodNetwork.Desired) throws {
        pod = try PodReference(
            namespace: item.namespace, interface: item.interface, tunnelLink: item.tunnelLink)
        let excluded = try Self.prefixes("excludedCIDRs", item.excludedCIDRs)
        let exceptions = try Self.prefixes("exceptionCIDRs", item.exceptionCIDRs)
        switch item.defaultRoute {
        case .staticEgressGateway:
            path = .tunnel(direct: Self.unique(excluded + exceptions))
        case .azureNetworking:
            path = .ordinary(tunnelled: Self.unique(excluded))
        }
    }

    private static func prefixes(_ field: String, _ values: [String]) throws -> [IPPrefix] {
        try values.enumerated().map { index, text in
            let prefix: IPPrefix
            do {
                prefix = try IPPrefix(parsing: text, field: "\(field)[\(index)]", hostBits: .clear)
            } catch {
                throw ProviderError(.invalid, "\(error)")
            }
            guard !prefix.isAll else {
                throw ProviderError(
                    .invalid,
                    "\(field)[\(index)]: \"\(text)\" covers everything; "
                        + "allowed: a part; set defaultRoute to choose the path of everything")
            }
            return prefix
        }
    }

    private static func unique(_ prefixes: [IPPrefix]) -> [IPPrefix] {
        var seen: Set<IPPrefix> = []
        return prefixes.filter { seen.insert($0).inserted }
    }
}
