import AzureARM
import JSONModel
import ProviderKit

/// What a prune makes of a load balancer.
struct LoadBalancerPrune: Sendable, Equatable {
    var action = LoadBalancerEdit.Action.keep
    /// Configurations whose rule and probe go, in the load balancer's order.
    var removed: [String] = []
    /// Configurations that belong to nobody as well, and are too many for this call.
    var left: [String] = []
}

extension LoadBalancerEditor {
    /// Decides what goes: rules and probes that are provably ours and of no configuration that shall exist. Frontend and
    /// pool go with their last rule, unless nodes are still in the pool.
    ///
    /// - Parameters:
    ///   - kept: ids in lower case.
    ///   - limit: configurations that may go, 0 or more.
    func prune(keeping kept: Set<String>, limit: Int, in current: JSONValue) -> LoadBalancerPrune {
        let strays = ownItems(in: LoadBalancerDraft(current, id: id)).filter { !kept.contains($0.lowercased()) }
        var prune = LoadBalancerPrune()
        prune.removed = Array(strays.prefix(limit))
        prune.left = Array(strays.dropFirst(limit))
        guard !prune.removed.isEmpty else { return prune }
        prune.action = remove(prune.removed, poolIDs: [:], from: current, sparingJoinedPools: true).action
        return prune
    }

    /// Configurations with a rule or a probe that nobody else can have made: its name is a UUID, as UIDs of Kubernetes
    /// are, and beside that the probe asks for the health of one configuration (`/gw/` and a UUID), or the rule has all
    /// of our rules' traits.
    func ownItems(in draft: LoadBalancerDraft) -> [String] {
        var seen = Set<String>()
        return (draft.rules.elements + draft.probes.elements).compactMap { $0["name"]?.text }.filter { name in
            guard Names.isUUID(name), seen.insert(name.lowercased()).inserted else { return false }
            return isOwn(probe: draft.probes[name]) || isOwn(rule: draft.rules[name])
        }
    }

    private func isOwn(probe: JSONValue?) -> Bool {
        guard let path = probe?["properties.requestPath"]?.text, path.hasPrefix("/gw/") else { return false }
        return Names.isUUID(String(path.dropFirst(4)))
    }

    private func isOwn(rule: JSONValue?) -> Bool {
        guard let rule, LoadBalancerDraft.port(of: rule) != nil,
            rule["properties.protocol"]?.text?.lowercased() == "udp",
            rule["properties.enableFloatingIP"]?.bool == true,
            let frontend = rule["properties.frontendIPConfiguration.id"]?.text.flatMap(ResourceID.init),
            let pool = rule["properties.backendAddressPool.id"]?.text.flatMap(ResourceID.init)
        else { return false }
        return frontend.name.lowercased() == pool.name.lowercased() && Names.isUUID(pool.name)
    }
}
