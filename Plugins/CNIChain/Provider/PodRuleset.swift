import LinuxNet

/// The nftables table of an attached pod, as text. It does two things:
///
/// - replies to connections that came in by the ordinary interface leave by it: such connections are marked, and the
///   mark of their replies selects the saved routes (where upstream has mangle rules of iptables). The kernel copies the
///   mark of delivered packets to TCP sockets and to its own replies (see `PodNetworkPlan`), so that those need no route
///   in the main table at all;
/// - everything else that must not leave by the ordinary interface is dropped there, whatever the routes say at that
///   moment: while they are being changed, when the tunnel link is gone, or when somebody adds a route later.
struct PodRuleset: Sendable, Equatable {
    enum Guard: Sendable, Equatable {
        /// Only these destinations may be reached by the ordinary interface.
        case only([IPPrefix])
        /// All but these destinations may.
        case allBut([IPPrefix])
    }

    let interface: String
    let guarding: Guard

    /// Nothing but replies to inbound connections may leave.
    static func closed(interface: String) -> PodRuleset {
        PodRuleset(interface: interface, guarding: .only([]))
    }

    /// Commands that put the table in the place of whatever was there, in one transaction.
    var commands: String {
        let table = "table inet \(PodNetworkNames.nftablesTable)"
        return """
            add \(table)
            delete \(table)
            \(table) {
            \(Self.set("listed4", "ipv4_addr", prefixes.filter { $0.family == .ipv4 }))
            \(Self.set("listed6", "ipv6_addr", prefixes.filter { $0.family == .ipv6 }))
                chain mark-inbound {
                    type filter hook prerouting priority mangle; policy accept
                    iifname "\(interface)" ct direction original ct mark != \(mark) ct mark set \(mark)
                    iifname != "\(interface)" ct direction reply ct mark \(mark) meta mark set \(mark)
                }
                chain mark-accepted {
                    type filter hook input priority mangle; policy accept
                    iifname "\(interface)" ct direction original meta mark set \(mark)
                }
                chain mark-replies {
                    type route hook output priority mangle; policy accept
                    ct direction reply ct mark \(mark) meta mark set \(mark)
                }
                chain guard {
                    type filter hook postrouting priority filter; policy accept
                    oifname != "\(interface)" accept
                    ct direction reply ct mark \(mark) accept
                    ip6 hoplimit 255 icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept
                    ip6 daddr ff02::/16 icmpv6 type { mld-listener-report, mld2-listener-report } accept
            \(verdicts)
                }
            }
            """
    }

    private var mark: String { String(PodNetworkNames.mark) }

    private var prefixes: [IPPrefix] {
        switch guarding {
        case .only(let prefixes), .allBut(let prefixes): prefixes
        }
    }

    private var verdicts: String {
        switch guarding {
        case .only: "ip daddr @listed4 accept\nip6 daddr @listed6 accept\ncounter drop"
        case .allBut: "ip daddr @listed4 counter drop\nip6 daddr @listed6 counter drop"
        }
    }

    private static func set(_ name: String, _ type: String, _ prefixes: [IPPrefix]) -> String {
        let elements = prefixes.isEmpty ? "" : "elements = { \(prefixes.map(\.description).joined(separator: ", ")) }"
        return "set \(name) {\ntype \(type)\nflags interval\nauto-merge\n\(elements)\n}"
    }
}
