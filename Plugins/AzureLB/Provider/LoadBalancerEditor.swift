import AzureARM
import JSONModel
import ProviderKit

/// A gateway configuration as the load balancer carries it.
struct LoadBalancerItem: Sendable, Equatable, Identified {
    /// UID of the GatewayLBConfiguration: the name of rule and probe.
    var id: String
    /// The pool's unique id: the name of frontend and backend pool.
    var poolID: String
    var probe: LoadBalancer.Probe
}

/// What an edit made of a load balancer.
struct LoadBalancerEdit: Sendable, Equatable {
    enum Action: Sendable, Equatable {
        case keep
        case write(JSONValue)
        case delete
    }

    var action: Action
    /// Items that could not be placed; the rest are in the new body.
    var failures: [String: ProviderError] = [:]
    /// A frontend was added, so the subnet is about to be joined.
    var addsFrontend = false
}

/// Decides, without IO, what a load balancer must look like. Names, values and order of decisions are those of the Go
/// system (upstream behaviour section 3.2); rules, probes, pools and frontends of others are not touched.
struct LoadBalancerEditor: Sendable {
    let id: ResourceID
    let location: String
    let subnetID: ResourceID

    /// Ports of tunnels; the same on both sides of a rule.
    static let ports = 6000..<7000

    // MARK: - Ensure

    /// - Parameter current: the load balancer as it was read; nil if there is none.
    func ensure(_ items: [LoadBalancerItem], in current: JSONValue?) -> LoadBalancerEdit {
        if let refusal = refusal(of: current) {
            return LoadBalancerEdit(
                action: .keep, failures: Dictionary(items.map { ($0.id, refusal) }) { first, _ in first })
        }
        let start =
            current ?? [
                "location": .string(location), "sku": ["name": "Standard", "tier": "Regional"], "properties": [:],
            ]
        var draft = LoadBalancerDraft(start, id: id)
        var edit = LoadBalancerEdit(action: .keep)
        for item in items {
            do {
                // All that can fail comes first, so that an item that fails leaves nothing behind.
                let needsFrontend = try needsFrontend(item.poolID, draft)
                let port = try port(for: item, draft)
                if needsFrontend { draft.frontends.append(frontend(item.poolID)) }
                if draft.pools[item.poolID] == nil {
                    draft.pools.append(["name": .string(item.poolID), "properties": [:]])
                }
                if let port { draft.setRule(rule(item, port: port), port: port, poolID: item.poolID) }
                if !isExpected(probe: draft.probes[item.id], for: item) { draft.probes.set(probe(item)) }
                edit.addsFrontend = edit.addsFrontend || needsFrontend
            } catch {
                edit.failures[item.id] = ProviderError(error)
            }
        }
        let body = draft.body
        let mustWrite = body != current || ARMResource.hasFailed(body)
        if mustWrite, edit.failures.count < items.count { edit.action = .write(body) }
        return edit
    }

    private func needsFrontend(_ name: String, _ draft: LoadBalancerDraft) throws -> Bool {
        guard let frontend = draft.frontends[name] else { return true }
        // One that this very edit added has no id and no address yet.
        guard frontend["id"] != nil else { return false }
        let version = frontend["properties.privateIPAddressVersion"]?.text ?? "IPv4"
        guard version == "IPv4", frontend["properties.privateIPAddress"]?.text?.isEmpty == false else {
            throw ProviderError(
                .retry, "load balancer \(id.name): frontend \(name) must have a private IPv4 address, and has none")
        }
        return false
    }

    /// The port of a rule that must be written; nil if the rule is as it shall be.
    ///
    /// A rule that differs keeps its port if nobody else has it: tunnels of running pods end there. A new rule gets the
    /// lowest one that no rule of the pool uses.
    private func port(for item: LoadBalancerItem, _ draft: LoadBalancerDraft) throws -> Int? {
        let old = draft.rules[item.id]
        if let old, isExpected(rule: old, for: item) { return nil }
        let usage = draft.usage(ofPool: item.poolID)
        if let odd = usage.oddRules.first(where: { $0.lowercased() != item.id.lowercased() }) {
            throw ProviderError(
                .terminal,
                "load balancer \(id.name): rule \(odd) of pool \(item.poolID) has ports that are unequal or outside "
                    + "6000..6999; correct or remove it", reason: .loadBalancerConflict)
        }
        func isFree(_ port: Int) -> Bool {
            usage.owners[port].map { $0.lowercased() == item.id.lowercased() } ?? true
        }
        if let old, let port = LoadBalancerDraft.port(of: old), isFree(port) { return port }
        guard let free = Self.ports.first(where: isFree) else {
            throw ProviderError(
                .terminal, "load balancer \(id.name): pool \(item.poolID) has no free port left in 6000..6999",
                reason: .loadBalancerFull)
        }
        return free
    }

    // MARK: - Shapes

    private func frontend(_ name: String) -> JSONValue {
        [
            "name": .string(name),
            "properties": [
                "privateIPAddressVersion": "IPv4", "privateIPAllocationMethod": "Dynamic",
                "subnet": ["id": .string(subnetID.description)],
            ],
        ]
    }

    private func rule(_ item: LoadBalancerItem, port: Int) -> JSONValue {
        [
            "name": .string(item.id),
            "properties": [
                "protocol": "Udp", "enableFloatingIP": true, "frontendPort": .integer(Int64(port)),
                "backendPort": .integer(Int64(port)),
                "frontendIPConfiguration": reference("frontendIPConfigurations", item.poolID),
                "backendAddressPool": reference("backendAddressPools", item.poolID),
                "probe": reference("probes", item.id),
            ],
        ]
    }

    private func probe(_ item: LoadBalancerItem) -> JSONValue {
        [
            "name": .string(item.id),
            "properties": [
                "protocol": "Http", "port": .integer(Int64(item.probe.port)), "requestPath": .string(item.probe.path),
                "intervalInSeconds": 5, "probeThreshold": 1,
            ],
        ]
    }

    // MARK: - Remove

    /// Takes configurations out; frontend and pool go with their last rule, the load balancer with its last frontend
    /// unless somebody else has something on it.
    ///
    /// - Parameters:
    ///   - poolIDs: the pool's unique id by item id, for items whose rule is gone already.
    ///   - sparingJoinedPools: keep a pool that nodes are in, with its frontend: Azure would refuse the whole write.
    func remove(
        _ ids: [String], poolIDs: [String: String], from current: JSONValue, sparingJoinedPools: Bool = false
    ) -> LoadBalancerEdit {
        var draft = LoadBalancerDraft(current, id: id)
        var candidates: [String: String] = [:]
        for item in ids {
            let frontend = draft.rules[item]?["properties.frontendIPConfiguration.id"]?.text
            if let poolID = frontend.flatMap(ResourceID.init)?.name ?? poolIDs[item] {
                candidates[poolID.lowercased()] = poolID
            }
            draft.removeRule(item)
            draft.probes.remove(item)
        }
        let used = Set(
            draft.rules.elements.flatMap { rule in
                ["frontendIPConfiguration", "backendAddressPool"]
                    .compactMap { rule["properties.\($0).id"]?.text.flatMap(ResourceID.init) }
            })
        for poolID in candidates.values
        where !used.contains(id.child("frontendIPConfigurations", poolID))
            && !used.contains(id.child("backendAddressPools", poolID))
        {
            let members = draft.pools[poolID]?["properties.backendIPConfigurations"]?.elements ?? []
            if sparingJoinedPools, !members.isEmpty { continue }
            draft.frontends.remove(poolID)
            draft.pools.remove(poolID)
        }
        let body = draft.body
        // One that had nothing of ours is somebody's preparation.
        if body != current, draft.frontends.elements.isEmpty, !hasForeignParts(draft, body) {
            return LoadBalancerEdit(action: .delete)
        }
        let mustWrite = body != current || ARMResource.hasFailed(body)
        return LoadBalancerEdit(action: mustWrite ? .write(body) : .keep)
    }

    // MARK: - Observe

    /// What each configuration has on the load balancer; none if it has no rule, or its frontend no address yet.
    func observe(_ items: [String], in body: JSONValue) -> [String: LoadBalancer.Observed] {
        let draft = LoadBalancerDraft(body, id: id)
        var result: [String: LoadBalancer.Observed] = [:]
        for item in items {
            guard let rule = draft.rules[item], let port = LoadBalancerDraft.port(of: rule),
                let frontend = rule["properties.frontendIPConfiguration.id"]?.text.flatMap(ResourceID.init)?.name,
                let address = draft.frontends[frontend]?["properties.privateIPAddress"]?.text
            else { continue }
            result[item] = LoadBalancer.Observed(frontendIP: address, port: port)
        }
        return result
    }

    /// Every configuration that is provably ours: exactly those that ``prune(keeping:limit:in:)`` would take if nobody
    /// wanted them.
    func allItems(in body: JSONValue) -> [String] { ownItems(in: LoadBalancerDraft(body, id: id)) }

    // MARK: - References

    private func reference(_ collection: String, _ name: String) -> JSONValue {
        ["id": .string(id.child(collection, name).description)]
    }
}
