import AzureARM
import JSONModel
import ProviderKit

/// A secondary address that every node of a pool shall have.
struct WantedAddress: Sendable, Equatable {
    /// Where a public address comes from.
    enum PublicAddress: Sendable, Equatable {
        /// Drawn from a prefix by the ipConfiguration itself: instances of scale sets.
        case prefix(ResourceID)
        /// A resource of its own: standalone network interfaces.
        case resource(ResourceID)
    }

    /// Name of the ipConfiguration, and of its public address configuration.
    var name: String
    var family = NodePool.IPFamily.ipv4
    /// Nil: it has none.
    var publicAddress: PublicAddress?
}

/// Decides, without IO, what the network configuration of a scale set, an instance or a network interface must look
/// like. Shapes are those of the Go system (upstream behaviour sections 3.4 and 3.5); other people's NICs,
/// ipConfigurations and pools are not touched.
struct InterfaceEditor: Sendable {
    /// The load balancer's backend pool that the primary ipConfiguration joins while the NIC has a managed one.
    let backendPool: ResourceID

    static let children = "properties.ipConfigurations"
    static let pools = "properties.loadBalancerBackendAddressPools"

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
        var result = configurations
        result[index] = try edit(interface: configurations[index], wanted: wanted, unwanted: unwanted)
        return result
    }

    /// The same for one network interface, or one network interface configuration.
    func edit(interface: JSONValue, wanted: [WantedAddress], unwanted: Set<String>) throws -> JSONValue {
        var children = interface[Self.children]?.elements ?? []
        guard let primary = Self.primary(children), let subnet = children[primary]["properties.subnet.id"] else {
            throw ProviderError(
                .retry,
                "network interface \(interface["name"]?.text ?? ""): has no primary ipConfiguration with a subnet")
        }
        let dropped = Set(unwanted.map { $0.lowercased() })
        children.removeAll { dropped.contains($0["name"]?.text?.lowercased() ?? "") }
        let names = children.enumerated().map { ($1["name"]?.text?.lowercased() ?? "", $0) }
        var positions = Dictionary(names) { first, _ in first }
        for address in wanted {
            if let old = positions[address.name.lowercased()] {
                if !Self.differences(children[old], address, subnet, .stored).isEmpty {
                    children[old] = Self.expected(address, subnet: subnet)
                }
            } else {
                positions[address.name.lowercased()] = children.count
                children.append(Self.expected(address, subnet: subnet))
            }
        }
        if let primary = Self.primary(children) { setMembership(&children, primary) }
        guard children != interface[Self.children]?.elements ?? [] else { return interface }
        var interface = interface
        interface[Self.children] = .array(children)
        return interface
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
    static func primary(_ elements: [JSONValue]) -> Int? {
        elements.firstIndex { $0["properties.primary"]?.bool == true } ?? (elements.count == 1 ? 0 : nil)
    }

    /// The subnet of the primary ipConfiguration.
    static func subnet(_ children: [JSONValue]) -> ResourceID? {
        primary(children).flatMap { children[$0]["properties.subnet.id"]?.text }.flatMap(ResourceID.init)
    }

    private static func expected(_ address: WantedAddress, subnet: JSONValue) -> JSONValue {
        var value: JSONValue = [
            "name": .string(address.name),
            "properties": [
                "primary": false, "privateIPAddressVersion": .string(address.family.rawValue),
                "subnet": ["id": subnet],
            ],
        ]
        switch address.publicAddress {
        case .prefix(let prefix):
            var properties: JSONValue = ["publicIPPrefix": ["id": .string(prefix.description)]]
            // Of IPv4 the Go system does not say it, and Azure takes it for granted.
            if address.family == .ipv6 { properties["publicIPAddressVersion"] = "IPv6" }
            value["properties.publicIPAddressConfiguration"] = [
                "name": .string(address.name), "properties": properties,
            ]
        case .resource(let id):
            value["properties.publicIPAddress"] = ["id": .string(id.description)]
        case nil: break
        }
        return value
    }
}

// MARK: - Comparing

extension InterfaceEditor {
    /// What an ipConfiguration is read from.
    enum View {
        /// What was asked for: a model, or a network interface of its own.
        case stored
        /// The network interface of an instance: public addresses are named by id, and not by where they come from.
        case effective
    }

    /// How an ipConfiguration differs from what is wanted; what Azure filled in beside it does not count.
    private static func differences(
        _ found: JSONValue, _ wanted: WantedAddress, _ subnet: JSONValue, _ view: View
    ) -> [Difference] {
        var all: [Difference] = []
        func compare(_ property: String, _ found: String?, _ wanted: String?) {
            guard found != wanted, found?.lowercased() != wanted?.lowercased() else { return }
            all.append(Difference(property: "properties.\(property)", found: found, wanted: wanted))
        }
        func id(_ path: String) -> String? { found["properties.\(path)"]?.text }
        compare("primary", found["properties.primary"]?.bool == true ? "true" : "false", "false")
        compare("privateIPAddressVersion", id("privateIPAddressVersion") ?? "IPv4", wanted.family.rawValue)
        compare("subnet.id", id("subnet.id"), subnet.text)
        let drawn = "publicIPAddressConfiguration"
        switch (wanted.publicAddress, view) {
        case (.prefix(let prefix), .stored):
            compare("\(drawn).name", id("\(drawn).name"), wanted.name)
            let path = "\(drawn).properties.publicIPPrefix.id"
            compare(path, id(path), prefix.description)
        case (.prefix, .effective):
            let address = id("publicIPAddress.id")
            // To take an id apart takes longer than the rest, and nearly all end as they shall.
            if address?.hasSuffix("/publicIPAddresses/\(wanted.name)") == true { break }
            compare("publicIPAddress", address.flatMap(ResourceID.init)?.name, wanted.name)
        case (.resource(let resource), _):
            compare("publicIPAddress.id", id("publicIPAddress.id"), resource.description)
        case (nil, _):
            compare("publicIPAddress.id", id("publicIPAddress.id"), nil)
            compare("\(drawn).name", id("\(drawn).name"), nil)
        }
        return all
    }

    /// How the ipConfigurations of a network interface differ, as lines for people.
    func drift(_ reading: InterfaceReading, wanted: [WantedAddress], unwanted: [String]) -> [String] {
        guard let subnet = reading.subnet else {
            return ["\(reading.resource): has no primary ipConfiguration; wanted: one with a subnet"]
        }
        func path(_ name: String) -> String { "\(reading.resource)/ipConfigurations/\(name)" }
        var lines: [String] = []
        for address in wanted {
            guard let found = reading[address.name] else {
                lines.append(
                    "\(path(address.name)): is missing; wanted: \(address.family.rawValue)\(Self.origin(address))")
                continue
            }
            lines += Self.differences(found, address, subnet, reading.view).map { $0.line(path(address.name)) }
        }
        for name in unwanted where reading[name] != nil { lines.append("\(path(name)): is there; wanted: nothing") }
        if !wanted.isEmpty, !reading.isInBackendPool {
            lines.append(
                "\(path(reading.primaryName)): \(Self.pools) lacks the pool; wanted: "
                    + "\(backendPool.path.joined(separator: "/")) among them")
        }
        return lines
    }

    private static func origin(_ address: WantedAddress) -> String {
        switch address.publicAddress {
        case .prefix(let id): " with an address of \(id.path.joined(separator: "/"))"
        case .resource(let id): " with \(id.path.joined(separator: "/"))"
        case nil: ", private"
        }
    }
}

/// One property that is not as it shall be.
struct Difference: Sendable, Equatable {
    var property: String
    var found: String?
    var wanted: String?

    /// One line of at most 1024 bytes (schema node-pool-1, `drift`).
    func line(_ resource: String) -> String {
        func shown(_ text: String?) -> String {
            text.map { "\"\(String(decoding: $0.utf8.prefix(300), as: UTF8.self))\"" } ?? "absent"
        }
        return "\(resource): \(property) is \(shown(found)); wanted: \(shown(wanted))"
    }
}
