import LinuxNet

extension FabricPlan {
    /// The router's whole packet filter as one nftables transaction: the table is replaced, so no packet ever meets
    /// half of it. Look-ups are maps and sets; their cost does not grow with the number of gateways.
    func ruleset(_ configuration: FabricConfiguration) -> String {
        let table = "table ip \(FabricConfiguration.table)"
        let sources = allowedSources.sorted { $0.key < $1.key }
            .flatMap { link, addresses in addresses.sorted().map { "\"\(link)\" . \($0)" } }
        let addresses = publicAddresses.sorted { $0.key < $1.key }.map { "\($0.key) : \($0.value)" }
        return """
            \(table) {}
            delete \(table)
            \(table) {
                set node_sources {
                    type ifname . ipv4_addr
                    \(Self.elements(sources))
                }
                map public_addresses {
                    type ipv4_addr : ipv4_addr
                    \(Self.elements(addresses))
                }
                # A node sends from the addresses of its network interface only.
                chain guard {
                    type filter hook prerouting priority raw; policy drop;
                    iifname { "lo", "\(FabricConfiguration.edgeLink)" } accept
                    iifname . ip saddr @node_sources accept
                }
            \(services.enumerated().map { serviceChain($0.offset, $0.element) }.joined(separator: "\n"))
                chain balance {
                    type filter hook prerouting priority mangle; policy accept;
                    \(dispatch)
                }
                # A public address lets nothing in that was not asked for from inside.
                chain forward {
                    type filter hook forward priority filter; policy accept;
                    iifname "\(FabricConfiguration.edgeLink)" ct state != { established, related } drop
                }
                chain edge {
                    type nat hook postrouting priority srcnat; policy accept;
                    oifname "\(FabricConfiguration.edgeLink)" snat to ip saddr map @public_addresses
                    oifname "\(FabricConfiguration.edgeLink)" ip saddr \(configuration.insideAddresses) \
            snat to \(configuration.ordinaryEgress)
                }
            }
            """
    }

    private static func elements(_ list: [String]) -> String {
        list.isEmpty ? "" : "elements = { \(list.joined(separator: ", ")) }"
    }

    /// Frontends answer on the ports of their rules and on nothing else.
    private var dispatch: String {
        var lines: [String] = []
        if !services.isEmpty {
            let targets = services.enumerated().map {
                "\($0.element.frontend) . \($0.element.transport) . \($0.element.port) : goto service_\($0.offset)"
            }
            lines.append("ip daddr . meta l4proto . th dport vmap { \(targets.joined(separator: ", ")) }")
        }
        if !frontends.isEmpty {
            lines.append("ip daddr { \(frontends.map(\.description).joined(separator: ", ")) } drop")
        }
        return lines.joined(separator: "\n        ")
    }

    /// A flow keeps its backend while that is healthy: the connection remembers the backend's mark. A new flow, and one
    /// whose backend is no longer healthy, is hashed over those that are.
    private func serviceChain(_ number: Int, _ service: Service) -> String {
        guard !service.backends.isEmpty else {
            return "    chain service_\(number) {\n        drop\n    }"
        }
        let marks = service.backends.map { Self.hexadecimal($0.mark) }
        let choice = marks.enumerated().map { "\($0.offset) : \($0.element)" }.joined(separator: ", ")
        // Azure drops what would come back to its sender: a machine does not reach itself through its load balancer.
        let own = service.backends.map { "\"fab-\($0.node)\" . \(Self.hexadecimal($0.mark))" }
        return """
                chain service_\(number) {
                    ct mark != { \(marks.joined(separator: ", ")) } ct mark set jhash \(service.hashedFields) \
            mod \(marks.count) seed 0x6b656777 map { \(choice) }
                    meta mark set ct mark
                    iifname . meta mark { \(own.joined(separator: ", ")) } drop
                }
            """
    }

    private static func hexadecimal(_ number: UInt32) -> String { "0x" + String(number, radix: 16) }
}
