import LinuxNet

/// The packet rules of a gateway node, as nftables commands. Pure text.
///
/// In the gateway namespace a packet finds its source address by two map look-ups: link -> mark -> address; the cost
/// does not grow with the number of gateways. Whatever has no entry does not pass: forwarding is closed by default,
/// and what leaves must carry exactly the address that belongs to its mark. The marks live in connection tracking, so
/// replacing the tables does not disturb connections.
enum GatewayRules {
    /// In the gateway namespace.
    static let gatewayTable = "egress-gateway"
    /// In the node's namespace.
    static let nodeTable = "egress-gateway-node"
    /// Ends of the veth pair between the two (upstream behaviour section 2.4).
    static let nodeLink = "host-gateway"
    static let gatewayLink = "host0"

    /// Commands that put the whole table of the gateway namespace in place, in one step.
    static func gatewayTable(_ sources: [UInt16: IPAddress]) -> String {
        replacing(
            gatewayTable,
            """
            map marks { type ifname : mark; }
            map sources { type mark : ipv4_addr; }
            set gateways { type mark; }
            set permitted { type mark . ipv4_addr; }
            chain classify {
                type filter hook prerouting priority mangle; policy accept;
                ct state new ct mark set iifname map @marks
            }
            chain forward {
                type filter hook forward priority filter; policy drop;
                oifname "\(gatewayLink)" ct mark @gateways accept
                iifname "\(gatewayLink)" ct state established,related accept
            }
            chain translate {
                type nat hook postrouting priority srcnat; policy accept;
                oifname "\(gatewayLink)" snat ip to ct mark map @sources
            }
            chain guard {
                type filter hook postrouting priority 300; policy accept;
                oifname != "\(gatewayLink)" accept
                ct mark . ip saddr @permitted accept
                drop
            }
            """) + changing(add: sources, remove: [:])
    }

    /// Commands that put the whole table of the node's namespace in place, in one step.
    ///
    /// The node's own masquerading must leave gateway traffic alone. A rule of ours cannot end the chains of others,
    /// but the first translation of a connection is its only one: translate to the same address, before srcnat (100).
    static func nodeTable(_ secondaries: Set<IPAddress>) -> String {
        replacing(
            nodeTable,
            """
            map kept { type ipv4_addr : ipv4_addr; }
            chain keep {
                type nat hook postrouting priority 90; policy accept;
                snat ip to ip saddr map @kept
            }
            """) + keeping(add: secondaries.sorted(), remove: [])
    }

    /// Commands for the gateway namespace's table that follow a change of gateways; empty if there is none. Removals
    /// come first, so that a changed entry is never there twice.
    static func changing(_ delta: GatewayNetworkDelta) -> String {
        func table(_ list: [GatewayNetworkDelta.Source]) -> [UInt16: IPAddress] {
            Dictionary(uniqueKeysWithValues: list.map { ($0.port, $0.address) })
        }
        return changing(add: table(delta.addedSources), remove: table(delta.removedSources))
    }

    /// Commands for the node namespace's table that follow a change of addresses; empty if there is none.
    static func keeping(add: [IPAddress], remove: [IPAddress]) -> String {
        elements("delete", nodeTable, "kept", remove.map { "\($0) : \($0)" })
            + elements("add", nodeTable, "kept", add.map { "\($0) : \($0)" })
    }

    private static func changing(add: [UInt16: IPAddress], remove: [UInt16: IPAddress]) -> String {
        func commands(_ verb: String, _ sources: [UInt16: IPAddress]) -> String {
            let sorted = sources.sorted { $0.key < $1.key }
            return elements(verb, gatewayTable, "marks", sorted.map { "\"wg-\($0.key)\" : \($0.key)" })
                + elements(verb, gatewayTable, "sources", sorted.map { "\($0.key) : \($0.value)" })
                + elements(verb, gatewayTable, "gateways", sorted.map { "\($0.key)" })
                + elements(verb, gatewayTable, "permitted", sorted.map { "\($0.key) . \($0.value)" })
        }
        return commands("delete", remove) + commands("add", add)
    }

    private static func elements(_ verb: String, _ table: String, _ set: String, _ elements: [String]) -> String {
        elements.isEmpty ? "" : "\(verb) element ip \(table) \(set) { \(elements.joined(separator: ", ")) }\n"
    }

    /// Deleting a table that is not there is an error, so it is added first; all of it is one transaction.
    private static func replacing(_ table: String, _ body: String) -> String {
        "table ip \(table) {}\ndelete table ip \(table)\ntable ip \(table) {\n\(body)\n}\n"
    }
}
