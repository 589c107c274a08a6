import CMnl
import Glibc

/// Links on which the kernel says nothing by itself.
public enum QuietLink {
    /// Keeps the kernel from sending packets of its own into a tunnel: multicast listener reports, router
    /// solicitations and an invented link-local address. To be called before the link is set up, on a thread in the
    /// link's namespace.
    ///
    /// The kernel's WireGuard links are so from the start; TUN links are not. It matters, because WireGuard's first
    /// packet starts a handshake, and one that comes before the other end knows this one is lost and costs 5 s
    /// (REKEY_TIMEOUT).
    ///
    /// Also lets the link have IPv6 addresses where a container runtime turned IPv6 off, and keep them while it is down
    /// (upstream behaviour section 5.2, step 7).
    ///
    /// - Parameters:
    ///   - routes: Opened in the link's namespace.
    ///   - hasIPv6: False leaves the settings of IPv6 alone, for a kernel without it.
    ///   - resolvesNeighbours: False also turns ARP and neighbour discovery off, for an Ethernet link whose neighbours
    ///     are all known.
    public static func prepare(
        _ link: Link, _ routes: RouteSocket, hasIPv6: Bool, resolvesNeighbours: Bool = true
    ) throws {
        let silent = resolvesNeighbours ? 0 : UInt32(IFF_NOARP)
        var header = ifinfomsg()
        header.ifi_index = Int32(bitPattern: link.index)
        header.ifi_flags = silent
        header.ifi_change = UInt32(IFF_MULTICAST) | silent
        var message = NetlinkMessage(type: RTM_NEWLINK)
        message.append(header: header)
        try routes.socket.request(message, "turn multicast off on link \(link.name)")
        guard hasIPv6 else { return }
        for (setting, value) in ipv6Settings {
            try Sysctl.set("net/ipv6/conf/\(link.name)/\(setting)", value)
        }
    }

    private static let ipv6Settings = [
        // IN6_ADDR_GEN_MODE_NONE of linux/if_link.h.
        ("addr_gen_mode", "1"), ("accept_ra", "0"), ("router_solicitations", "0"), ("keep_addr_on_down", "1"),
        ("disable_ipv6", "0"),
    ]
}
