import AzureARM
import JSONModel
import ProviderKit

/// How a load balancer compares with what is desired.
struct LoadBalancerComparison: Sendable, Equatable {
    /// By item, one line per difference; an item that is as desired is not in it.
    var drift: [String: [String]] = [:]
    /// Items that `ensure` could not place.
    var failures: [String: ProviderError] = [:]
}

extension LoadBalancerEditor {
    /// Compares by the rules of ``ensure(_:in:)``: an item has no drift exactly if `ensure` would write nothing for it.
    ///
    /// - Parameter current: the load balancer as it was read; nil if there is none.
    func compare(_ items: [LoadBalancerItem], with current: JSONValue?) -> LoadBalancerComparison {
        let edit = ensure(items, in: current)
        let before = LoadBalancerDraft(current ?? [:], id: id)
        var after = before
        if case .write(let body) = edit.action { after = LoadBalancerDraft(body, id: id) }
        var comparison = LoadBalancerComparison(failures: edit.failures)
        for item in items {
            var lines = current == nil ? ["\(path([])): is missing; wanted: SKU Standard in \(location)"] : []
            if let current, ARMResource.hasFailed(current) {
                let state = current["properties.provisioningState"]?.text ?? ""
                lines.append("\(path([])): provisioningState is \(state); wanted: Succeeded")
            }
            lines += containerDifferences(item, before)
            lines += ruleDifferences(item, before.rules[item.id], wanted: after.rules[item.id])
            lines += probeDifferences(item, before.probes[item.id])
            if !lines.isEmpty { comparison.drift[item.id] = lines }
        }
        return comparison
    }

    func isExpected(rule: JSONValue, for item: LoadBalancerItem) -> Bool {
        ruleDifferences(item, rule, wanted: nil).isEmpty
    }

    func isExpected(probe: JSONValue?, for item: LoadBalancerItem) -> Bool {
        probeDifferences(item, probe).isEmpty
    }

    private func containerDifferences(_ item: LoadBalancerItem, _ draft: LoadBalancerDraft) -> [String] {
        var lines: [String] = []
        if draft.frontends[item.poolID] == nil {
            let name = path(["frontendIPConfigurations", item.poolID])
            lines.append("\(name): is missing; wanted: a private IPv4 address of subnet \(subnetID.name)")
        }
        if draft.pools[item.poolID] == nil {
            lines.append("\(path(["backendAddressPools", item.poolID])): is missing; wanted: a pool of that name")
        }
        return lines
    }

    /// - Parameter wanted: the rule that `ensure` would write; nil if it is not known.
    private func ruleDifferences(_ item: LoadBalancerItem, _ rule: JSONValue?, wanted: JSONValue?) -> [String] {
        let name = path(["loadBalancingRules", item.id])
        let port = wanted.flatMap(LoadBalancerDraft.port).map(String.init) ?? "one of 6000..6999"
        guard let rule else { return ["\(name): is missing; wanted: UDP port \(port) with floating IP"] }
        var lines = Lines(resource: name)
        lines.compare("protocol", rule["properties.protocol"], is: "Udp")
        lines.compare("enableFloatingIP", rule["properties.enableFloatingIP"], is: true)
        // Absent is Azure's default, and what this system and the Go system write.
        if let distribution = rule["properties.loadDistribution"], distribution != .null {
            lines.compare("loadDistribution", distribution, is: "Default")
        }
        if LoadBalancerDraft.port(of: rule) == nil {
            lines.add("frontendPort", rule["properties.frontendPort"], wanted: port)
            lines.add("backendPort", rule["properties.backendPort"], wanted: port)
        }
        for (property, collection, child) in [
            ("frontendIPConfiguration", "frontendIPConfigurations", item.poolID),
            ("backendAddressPool", "backendAddressPools", item.poolID), ("probe", "probes", item.id),
        ] {
            let target = id.child(collection, child).description
            lines.compare("\(property).id", rule["properties.\(property).id"], is: .string(target))
        }
        return lines.all
    }

    private func probeDifferences(_ item: LoadBalancerItem, _ probe: JSONValue?) -> [String] {
        let name = path(["probes", item.id])
        guard let probe else {
            return ["\(name): is missing; wanted: HTTP port \(item.probe.port), path \(item.probe.path)"]
        }
        var lines = Lines(resource: name)
        lines.compare("protocol", probe["properties.protocol"], is: "Http")
        lines.compare("port", probe["properties.port"], is: .integer(Int64(item.probe.port)))
        // The path is compared with its case: gateways do.
        if probe["properties.requestPath"]?.text != item.probe.path {
            lines.add("requestPath", probe["properties.requestPath"], wanted: "\"\(item.probe.path)\"")
        }
        lines.compare("intervalInSeconds", probe["properties.intervalInSeconds"], is: 5)
        lines.compare("probeThreshold", probe["properties.probeThreshold"], is: 1)
        return lines.all
    }

    private func path(_ child: [String]) -> String { (id.path + child).joined(separator: "/") }

    /// Differences of one resource, as lines of at most 1024 bytes (schema load-balancer-1, `drift`).
    private struct Lines {
        let resource: String
        private(set) var all: [String] = []

        init(resource: String) {
            self.resource = resource
        }

        /// Texts compare without case: Azure answers names of protocols and ids in a casing of its own.
        mutating func compare(_ property: String, _ found: JSONValue?, is wanted: JSONValue) {
            if let text = wanted.text {
                guard found?.text?.lowercased() != text.lowercased() else { return }
            } else {
                guard found != wanted else { return }
            }
            add(property, found, wanted: Self.shown(wanted))
        }

        mutating func add(_ property: String, _ found: JSONValue?, wanted: String) {
            all.append("\(resource): properties.\(property) is \(Self.shown(found)); wanted: \(wanted)")
        }

        private static func shown(_ value: JSONValue?) -> String {
            guard let value, value != .null else { return "absent" }
            if let number = value.int { return String(number) }
            if let flag = value.bool { return String(flag) }
            return "\"\(String(decoding: (value.text ?? "...").utf8.prefix(250), as: UTF8.self))\""
        }
    }
}
