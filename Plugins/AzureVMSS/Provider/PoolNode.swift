import AzureARM
import JSONModel
import ProviderKit

/// A node of a pool as its network has it.
struct PoolNode: Sendable, Equatable {
    /// Computer name of an instance; of a standalone machine, the name of its network interface (upstream behaviour
    /// section 1.3).
    var name: String
    /// How people find it: types and names of the Azure resource.
    var resource: String
    /// The ipConfigurations of its primary network interface, as they are in effect.
    var configurations: [JSONValue]

    private let primary: String?
    /// By lower-case name of the ipConfiguration.
    private let secondary: [String: String]

    init(name: String, resource: String, configurations: [JSONValue]) {
        self.name = name
        self.resource = resource
        self.configurations = configurations
        var primary: String?
        var secondary: [String: String] = [:]
        for child in configurations {
            guard let address = child["properties.privateIPAddress"]?.text, !address.isEmpty else { continue }
            if child["properties.primary"]?.bool == true {
                primary = address
            } else if let name = child["name"]?.text {
                secondary[name.lowercased()] = address
            }
        }
        self.primary = primary
        self.secondary = secondary
    }

    /// - Parameter interfaces: all network interfaces of an instance, as Azure answers them.
    init(name: String, resource: String, interfaces: [JSONValue]) {
        let primary =
            interfaces.first { $0["properties.primary"]?.bool == true } ?? (interfaces.count == 1 ? interfaces[0] : nil)
        self.init(
            name: name, resource: resource,
            configurations: primary?["properties.ipConfigurations"]?.elements ?? [])
    }

    /// Whether the node has an address of its own and one for each of these ipConfigurations.
    func hasAddresses(_ names: [String]) -> Bool {
        primary != nil && names.allSatisfy { secondary[$0.lowercased()] != nil }
    }

    /// UIDs of the configurations that have an ipConfiguration here.
    var managedUIDs: Set<String> { Set(configurations.compactMap { $0["name"]?.text }.compactMap(Names.uid)) }

    /// The node as one configuration sees it; nil without an address for it.
    func node(for uid: String) -> NodePool.Node? {
        guard let primary, let address = secondary[Names.managed(uid).lowercased()] else { return nil }
        return NodePool.Node(
            nodeName: name, primaryIP: primary, secondaryIP: address,
            secondaryIPv6: secondary[Names.managedIPv6(uid).lowercased()])
    }
}

/// What became of a pool: nodes as they are, and what could not be written.
struct PoolOutcome: Sendable {
    var nodes: [PoolNode] = []
    /// Nodes that could not be written, in order.
    var failures: [NodeFailure] = []
    /// Items that a node could not take, while it took the others.
    var refusals: [String: ProviderError] = [:]

    /// Why an item is not everywhere as it shall be; nil if it is. ipConfigurations that were in place before a write
    /// failed are not to blame for it, and still work.
    func failure(of item: ReadyItem) -> ProviderError? {
        refusals[item.id] ?? failures.first { !$0.unaffected.isSuperset(of: item.names) }?.error
    }
}

/// A node that could not be written.
struct NodeFailure: Error, Sendable {
    var error: ProviderError
    /// Wanted ipConfigurations that the node had already, with their addresses.
    var unaffected: Set<String> = []
}

/// An item whose prefixes are there.
struct ReadyItem: Sendable, Identified {
    var item: NodePool.Desired
    /// Nil in private mode.
    var prefix: EgressPrefix?
    /// Nil in private mode, or without IPv6.
    var prefixV6: EgressPrefix?

    var id: String { item.id }

    /// Names of its ipConfigurations.
    var names: [String] {
        item.wantsIPv6 ? [Names.managed(id), Names.managedIPv6(id)] : [Names.managed(id)]
    }

    /// Names of ipConfigurations that the item may have had, and shall not have.
    var unwantedNames: [String] { item.wantsIPv6 ? [] : [Names.managedIPv6(id)] }

    /// Its ipConfigurations and where their public addresses come from.
    var parts: [(name: String, family: NodePool.IPFamily, prefix: EgressPrefix?)] {
        var parts = [(name: Names.managed(id), family: NodePool.IPFamily.ipv4, prefix: prefix)]
        if item.wantsIPv6 { parts.append((name: Names.managedIPv6(id), family: .ipv6, prefix: prefixV6)) }
        return parts
    }

    /// What the instances of a scale set shall have: their public addresses are drawn from the prefix itself.
    var wantedOfInstances: [WantedAddress] {
        parts.map { WantedAddress(name: $0.name, family: $0.family, publicAddress: $0.prefix.map { .prefix($0.id) }) }
    }

    /// The item as it is, if every node has its addresses.
    func observed(_ nodes: [PoolNode]) -> Result<NodePool.Observed, ProviderError> {
        var found: [NodePool.Node] = []
        for node in nodes {
            guard node.hasAddresses(names), let addresses = node.node(for: id) else {
                return .failure(
                    ProviderError(
                        .retry, "node \(node.name): has no address for ipConfiguration \(Names.managed(id)) yet"))
            }
            found.append(addresses)
        }
        return .success(
            NodePool.Observed(
                egressPrefix: prefix?.block ?? found.map(\.secondaryIP).joined(separator: ","),
                egressPrefixV6: item.wantsIPv6
                    ? prefixV6?.block ?? found.compactMap(\.secondaryIPv6).joined(separator: ",") : nil,
                nodes: found))
    }
}
