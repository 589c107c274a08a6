import AzureARM
import JSONModel
import ProviderKit

/// A public prefix as a pool uses it.
struct EgressPrefix: Sendable, Equatable {
    var id: ResourceID
    /// CIDR.
    var block: String
    var length: Int
    var family: NodePool.IPFamily

    /// How many nodes it has addresses for.
    var addressCount: Int {
        let bits = (family == .ipv6 ? 128 : 32) - length
        return (0...30).contains(bits) ? 1 << bits : 0
    }

    /// Nil while it has no addresses, or goes.
    init?(_ body: JSONValue, _ id: ResourceID) {
        guard let block = body["properties.ipPrefix"]?.text, let length = body["properties.prefixLength"]?.int,
            body["properties.provisioningState"]?.text != "Deleting"
        else { return nil }
        self.id = id
        self.block = block
        self.length = length
        family = body["properties.publicIPAddressVersion"]?.text == "IPv6" ? .ipv6 : .ipv4
    }

    /// - Throws: ``ProviderError`` if the pool has more nodes than the prefix has addresses.
    func checkRoom(for nodes: Int) throws {
        guard nodes > addressCount else { return }
        throw ProviderError(
            .terminal,
            "prefixLength: a prefix of length \(length) has \(addressCount) addresses; the pool has \(nodes) nodes, and "
                + "each needs one", reason: .prefixExhausted)
    }
}

/// What an item asks of its prefixes, checked without the cloud.
struct PrefixRequest: Sendable, Equatable {
    /// Lengths that Azure makes of IPv4; of IPv6 the same numbers of addresses.
    static let lengths = 28...31
    static let lengthDifferenceV6 = 96

    /// Nil in private mode.
    var length: Int?
    /// A prefix that the user brings.
    var brought: ResourceID?
    var lengthV6: Int?

    /// - Throws: ``ProviderError`` `invalid` that names the field, its value and what is allowed.
    init(_ item: NodePool.Desired, poolLength: Int?, cloud: CloudConfiguration) throws {
        if let families = item.ipFamilies, !families.contains(.ipv4) {
            throw ProviderError(
                .invalid,
                "ipFamilies: is [\(families.map(\.rawValue).joined(separator: ", "))]; the primary address of an Azure "
                    + "network interface is IPv4, so IPv4 must be among them", reason: .ipFamilyUnsupported)
        }
        guard item.publicIPs else { return }
        guard let length = item.prefixLength ?? poolLength else {
            throw ProviderError(
                .invalid,
                "prefixLength: is not set, and the pool has no tag \(Tags.prefixLength); one of them must "
                    + "be in 28..31", reason: .poolTagMissing)
        }
        guard Self.lengths.contains(length) else {
            throw ProviderError(.invalid, "prefixLength: \(length) is not in 28..31", reason: .prefixLengthInvalid)
        }
        self.length = length
        if item.wantsIPv6 { lengthV6 = length + Self.lengthDifferenceV6 }
        guard let text = item.prefixID, !text.isEmpty else { return }
        guard let id = ResourceID(text), id.type == "publicipprefixes", id.provider.lowercased() == "microsoft.network"
        else {
            throw ProviderError(
                .invalid,
                "prefixID: \"\(text)\" must have the form /subscriptions/SUBSCRIPTION/resourceGroups/GROUP"
                    + "/providers/Microsoft.Network/publicIPPrefixes/NAME", reason: .prefixIDInvalid)
        }
        guard id.subscription.lowercased() == cloud.subscriptionID.lowercased() else {
            throw ProviderError(
                .invalid, "prefixID: subscription \(id.subscription) is not the gateway's own, \(cloud.subscriptionID)",
                reason: .foreignSubscription)
        }
        brought = id
    }

    /// The prefix that the user brings, if it can serve.
    ///
    /// - Throws: ``ProviderError`` that names what is wrong with it: length, IP version, SKU or region.
    func accept(_ body: JSONValue, _ id: ResourceID, location: String) throws -> EgressPrefix {
        func refuse(_ problem: String) -> ProviderError {
            ProviderError(.invalid, "prefixID: public IP prefix \(id.name) \(problem)", reason: .prefixMismatch)
        }
        guard let prefix = EgressPrefix(body, id) else {
            throw ProviderError(.retry, "prefixID: public IP prefix \(id.name) has no addresses yet")
        }
        guard prefix.family == .ipv4 else { throw refuse("is of IP version IPv6; IPv4 is needed") }
        let sku = body["sku.name"]?.text ?? ""
        guard sku == "Standard" else { throw refuse("is of SKU \(sku); Standard is needed") }
        let tier = body["sku.tier"]?.text ?? "Regional"
        guard tier == "Regional" else { throw refuse("is of SKU tier \(tier); Regional is needed") }
        let region = body["location"]?.text ?? ""
        guard Region.isSame(region, location) else {
            throw refuse("is in region \(region); the gateways are in \(location)")
        }
        guard prefix.length == length else {
            throw ProviderError(
                .invalid,
                "prefixID: public IP prefix \(id.name) has length \(prefix.length); the pool needs \(length ?? 0)",
                reason: .prefixLengthInvalid)
        }
        return prefix
    }
}
