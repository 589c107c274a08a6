import AzureARM
import JSONModel
import ProviderKit

/// A secondary address that every instance of a pool shall have.
struct WantedAddress: Sendable, Equatable {
    /// Name of the ipConfiguration and of its public address configuration.
    var name: String
    /// Where its public address comes from; nil: it has none.
    var prefix: ResourceID?
}

/// Decides, without IO, what the network configuration of a scale set or of an instance must look like. Shapes are
/// those of the Go system (upstream behaviour section 3.4); other people's NICs, ipConfigurations and pools are not
/// touched.
struct InterfaceEditor: Sendable {
    /// The load balancer's backend pool that the primary ipConfiguration joins while the NIC has a managed one.
    let backendPool: ResourceID

    private static let children = "properties.ipConfigurations"
    private static let pools = "properties.loadBalancerBackendAddressPools"

    /// - Parameters:
    ///   - configurations: `networkInterfaceConfigurations` as they were read.
    ///   - unwanted: names of ipConfigurations that must not be there.
    /// - Returns: the configurations as they must be; equal to the old ones if nothing differs.
    /// - Throws: ``ProviderError`` if there is no primary NIC or ipConfiguration.
    func edit(
        _ configurations: [JSONValue], wanted: [WantedAddress], unwanted: Set<String>
    ) throws -> [JSONValue] {
        guard let index = Self.primary(configurations) else {
            throw ProviderError(.retry, "network profile: no network interface configuration is primary")
        }
        var interface = configurations[index]
        var children = interface[Self.children]?.elements ?? []
        guard let primary = Self.primary(children), let subnet = children[primary]["properties.subnet.id"] else {
            throw ProviderError(
                .retry,
                "network interface configuration \(interface["name"]?.text ?? ""): has no primary "
                    + "ipConfiguration with a subnet")
        }
        let dropped = Set(unwanted.map { $0.lowercased() })
        children.removeAll { dropped.contains($0["name"]?.text?.lowercased() ?? "") }
        for address in wanted {
            let expected = Self.expected(address, subnet: subnet)
            let old = children.firstIndex { $0["name"]?.text?.lowercased() == address.name.lowercased() }
            if let old {
                if !Self.isSame(children[old], expected) { children[old] = expected }
            } else {
                children.append(expected)
            }
        }
        if let primary = Self.primary(children) { setMembership(&children, primary) }
        if children != interface[Self.children]?.elements ?? [] { interface[Self.children] = .array(children) }
        var result = configurations
        result[index] = interface
        return result
    }

    /// The pool is on the primary ipConfiguration exactly while the NIC has an ipConfiguration of ours: floating IP
    /// does not work on secondary ones.
    private func setMembership(_ children: inout [JSONValue], _ primary: Int) {
        let isNeeded = children.contains { Names.isManaged($0["name"]?.text ?? "") }
        let old = children[primary][Self.pools]?.elements ?? []
        let others = old.filter { $0["id"]?.text.flatMap(ResourceID.init) != backendPool }
        if isNeeded, others.count == old.count {
            children[primary][Self.pools] = .array(old + [["id": .string(backendPool.description)]])
        } else if !isNeeded, others.count != old.count {
            children[primary][Self.pools] = others.isEmpty ? nil : .array(others)
        }
    }

    /// The primary element; the only one counts as primary, as Azure has it.
    private static func primary(_ elements: [JSONValue]) -> Int? {
        elements.firstIndex { $0["properties.primary"]?.bool == true } ?? (elements.count == 1 ? 0 : nil)
    }

    private static func expected(_ address: WantedAddress, subnet: JSONValue) -> JSONValue {
        var value: JSONValue = [
            "name": .string(address.name),
            "properties": ["primary": false, "privateIPAddressVersion": "IPv4", "subnet": ["id": subnet]],
        ]
        if let prefix = address.prefix {
            value["properties.publicIPAddressConfiguration"] = [
                "name": .string(address.name),
                "properties": ["publicIPPrefix": ["id": .string(prefix.description)]],
            ]
        }
        return value
    }

    /// Compares what we set; what Azure filled in beside it does not count.
    private static func isSame(_ found: JSONValue, _ expected: JSONValue) -> Bool {
        func id(_ value: JSONValue, _ path: String) -> ResourceID? { value[path]?.text.flatMap(ResourceID.init) }
        let publicAddress = "properties.publicIPAddressConfiguration"
        let foundAddress = found[publicAddress].flatMap { $0 == .null ? nil : $0 }
        return found["properties.primary"]?.bool != true
            && (found["properties.privateIPAddressVersion"]?.text ?? "IPv4") == "IPv4"
            && id(found, "properties.subnet.id") == id(expected, "properties.subnet.id")
            && (foundAddress == nil) == (expected[publicAddress] == nil)
            && foundAddress?["name"]?.text?.lowercased() == expected["\(publicAddress).name"]?.text?.lowercased()
            && id(found, "\(publicAddress).properties.publicIPPrefix.id")
                == id(expected, "\(publicAddress).properties.publicIPPrefix.id")
    }
}

/// The private addresses of one instance, read from its NICs.
struct InstanceAddresses: Sendable, Equatable {
    var primary: String?
    /// By lower-case name of the ipConfiguration.
    var secondary: [String: String] = [:]

    /// - Parameter interfaces: the NICs of this instance as Azure answers them.
    init(interfaces: [JSONValue]) {
        let primaryInterface =
            interfaces.first { $0["properties.primary"]?.bool == true } ?? (interfaces.count == 1 ? interfaces[0] : nil)
        for child in primaryInterface?["properties.ipConfigurations"]?.elements ?? [] {
            guard let address = child["properties.privateIPAddress"]?.text, !address.isEmpty else { continue }
            if child["properties.primary"]?.bool == true {
                primary = address
            } else if let name = child["name"]?.text {
                secondary[name.lowercased()] = address
            }
        }
    }

    func node(named nodeName: String, _ name: String) -> NodePool.Node? {
        guard let primary, let secondary = secondary[name.lowercased()] else { return nil }
        return NodePool.Node(nodeName: nodeName, primaryIP: primary, secondaryIP: secondary)
    }
}
