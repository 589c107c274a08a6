import LinuxNet
import ProviderKit

/// What the alias of a link of ours says: the name it was made under, and what the kernel does not tell of it.
struct LinkMark: Sendable, Hashable {
    let creationName: String
    let family: IPAddress.Family
    /// The configuration's public key.
    let gatewayKey: WireGuardKey

    init(creationName: String, family: IPAddress.Family, gatewayKey: WireGuardKey) {
        self.creationName = creationName
        self.family = family
        self.gatewayKey = gatewayKey
    }

    /// Nil unless an alias of ours.
    init?(alias: String) {
        let words = alias.split(separator: " ").map(String.init)
        guard words.count == 3, TunnelNaming.isCreationName(words[0]),
            let family = IPAddress.Family.allCases.first(where: { "\($0)" == words[1] }),
            let key = try? WireGuardKey(parsing: words[2])
        else { return nil }
        self.init(creationName: words[0], family: family, gatewayKey: key)
    }

    /// 67 bytes of the 255 that an alias may have.
    var alias: String { "\(creationName) \(family) \(gatewayKey)" }
}

/// A tunnel link of ours, as found in its namespace.
struct TunnelLink: Sendable {
    let link: Link
    let vxlan: VXLANParameters
    let hardwareAddress: MACAddress
    let mark: LinkMark

    /// Nil unless the link is one that this provider made.
    init?(_ link: Link) {
        guard let vxlan = link.vxlan, let hardwareAddress = link.hardwareAddress,
            let mark = link.alias.flatMap(LinkMark.init)
        else { return nil }
        self.link = link
        self.vxlan = vxlan
        self.hardwareAddress = hardwareAddress
        self.mark = mark
    }

    /// What the contract calls this end's public key: a pod end's description of itself, or the configuration's key.
    /// Only pods' ends have a fixed source address.
    var publicKey: String {
        vxlan.source.map { PodKey(host: $0, port: vxlan.port, hardwareAddress: hardwareAddress).text }
            ?? mark.gatewayKey.description
    }

    /// The tunnel of that name; nil if there is no link.
    ///
    /// - Parameter routes: Opened in the link's namespace.
    /// - Throws: `terminal` if the name belongs to a link of somebody else.
    static func find(_ name: String, in namespace: NetworkNamespace, _ routes: RouteSocket) throws -> TunnelLink? {
        guard let link = try routes.link(named: name) else { return nil }
        guard let tunnel = TunnelLink(link) else {
            throw ProviderError(
                .terminal,
                "link \(name) in \(namespace) is of kind \(link.kind ?? "none") and not made by this provider; "
                    + "remove or rename it")
        }
        return tunnel
    }

    /// Whether a link is one that another tunnel provider of this project made, or its predecessor: any kernel WireGuard
    /// link of the name that ours must have is upstream's (upstream behaviour section 2.4).
    static func isOtherTunnel(_ link: Link) -> Bool {
        link.kind == "wireguard"
            || link.alias.flatMap(TunnelNaming.creationName(inAlias:)) != nil
                && TunnelLink(link) == nil
    }
}
