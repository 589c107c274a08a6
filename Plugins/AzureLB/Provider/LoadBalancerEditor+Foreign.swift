import AzureARM
import JSONModel
import ProviderKit

/// What is not ours: a load balancer of our name that cannot serve, and what others have on ours.
extension LoadBalancerEditor {
    /// Why a load balancer of our name cannot be used as it is. SKU, tier and region cannot be changed, so a write would
    /// only be refused, and in words that name no setting of ours.
    ///
    /// Members that are absent are taken for what we would write: Azure always answers with them.
    func refusal(of current: JSONValue?) -> ProviderError? {
        guard let current else { return nil }
        func refuse(_ found: String, _ wanted: String) -> ProviderError {
            ProviderError(
                .terminal,
                "load balancer \(id.name) in resource group \(id.resourceGroup) has \(found); gateways need \(wanted): "
                    + "delete it, or give ours another name with cloudConfig.gatewayLoadBalancerName",
                reason: .loadBalancerConflict)
        }
        if let sku = current["sku.name"]?.text, sku.lowercased() != "standard" {
            return refuse("SKU \(sku)", "SKU Standard")
        }
        if let tier = current["sku.tier"]?.text, tier.lowercased() != "regional" {
            return refuse("tier \(tier)", "tier Regional")
        }
        if let region = current["location"]?.text, !Region.isSame(region, location) {
            return refuse("region \(region)", "region \(location) (cloudConfig.location)")
        }
        return nil
    }

    /// Whether somebody else has anything on it. Rules, probes and pools of ours are named by UUIDs; of the other kinds
    /// of children we make none.
    func hasForeignParts(_ draft: LoadBalancerDraft, _ body: JSONValue) -> Bool {
        let named = draft.rules.elements + draft.probes.elements + draft.pools.elements
        if named.contains(where: { !Names.isUUID($0["name"]?.text ?? "") }) { return true }
        return ["inboundNatRules", "inboundNatPools", "outboundRules"].contains {
            body["properties.\($0)"]?.elements.isEmpty == false
        }
    }
}
