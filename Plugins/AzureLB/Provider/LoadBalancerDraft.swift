import AzureARM
import JSONModel

/// A list of named children with an index, so that a batch costs one pass and not one per item. Names compare without
/// case; order is kept.
struct NamedChildren: Sendable {
    private var slots: [JSONValue?]
    private var positions: [String: Int] = [:]

    init(_ elements: [JSONValue]) {
        slots = elements
        for (position, element) in elements.enumerated() {
            positions[element["name"]?.text?.lowercased() ?? ""] = position
        }
    }

    var elements: [JSONValue] { slots.compactMap { $0 } }

    subscript(name: String) -> JSONValue? {
        positions[name.lowercased()].flatMap { slots[$0] }
    }

    mutating func append(_ child: JSONValue) {
        positions[child["name"]?.text?.lowercased() ?? ""] = slots.count
        slots.append(child)
    }

    /// Replaces the child of the same name, or appends.
    mutating func set(_ child: JSONValue) {
        if let position = positions[child["name"]?.text?.lowercased() ?? ""] {
            slots[position] = child
        } else {
            append(child)
        }
    }

    mutating func remove(_ name: String) {
        if let position = positions.removeValue(forKey: name.lowercased()) { slots[position] = nil }
    }
}

/// A load balancer being edited.
struct LoadBalancerDraft: Sendable {
    /// The ports of one backend pool.
    struct PortUsage: Sendable {
        /// Rule name by port.
        var owners: [Int: String] = [:]
        /// Rules whose ports are unequal, missing or out of range.
        var oddRules: [String] = []
    }

    var frontends: NamedChildren
    var pools: NamedChildren
    private(set) var rules: NamedChildren
    var probes: NamedChildren
    private let start: JSONValue
    private let id: ResourceID
    /// By lower-case id of the pool.
    private var usages: [String: PortUsage] = [:]

    init(_ body: JSONValue, id: ResourceID) {
        func children(_ collection: String) -> NamedChildren {
            NamedChildren(body["properties.\(collection)"]?.elements ?? [])
        }
        start = body
        self.id = id
        frontends = children("frontendIPConfigurations")
        pools = children("backendAddressPools")
        rules = children("loadBalancingRules")
        probes = children("probes")
        for rule in rules.elements { count(rule) }
    }

    /// The load balancer with the edits; a collection that was absent and stays empty is not added.
    var body: JSONValue {
        var body = start
        for (collection, children) in [
            ("frontendIPConfigurations", frontends), ("backendAddressPools", pools), ("loadBalancingRules", rules),
            ("probes", probes),
        ] {
            let elements = children.elements
            if !elements.isEmpty || body["properties.\(collection)"] != nil {
                body["properties.\(collection)"] = .array(elements)
            }
        }
        return body
    }

    func usage(ofPool name: String) -> PortUsage {
        usages[id.child("backendAddressPools", name).description.lowercased()] ?? PortUsage()
    }

    /// Writes a rule and books its port.
    mutating func setRule(_ rule: JSONValue, port: Int, poolID: String) {
        let name = rule["name"]?.text ?? ""
        for key in usages.keys { usages[key]?.oddRules.removeAll { $0.lowercased() == name.lowercased() } }
        if let old = rules[name], let oldPort = Self.port(of: old), let pool = Self.pool(of: old) {
            usages[pool]?.owners[oldPort] = nil
        }
        rules.set(rule)
        count(rule)
    }

    mutating func removeRule(_ name: String) {
        rules.remove(name)
    }

    private mutating func count(_ rule: JSONValue) {
        guard let pool = Self.pool(of: rule) else { return }
        let name = rule["name"]?.text ?? ""
        if let port = Self.port(of: rule) {
            usages[pool, default: PortUsage()].owners[port] = name
        } else {
            usages[pool, default: PortUsage()].oddRules.append(name)
        }
    }

    private static func pool(of rule: JSONValue) -> String? {
        rule["properties.backendAddressPool.id"]?.text?.lowercased()
    }

    /// The port of a rule, if it is the same on both sides and one of ours.
    static func port(of rule: JSONValue) -> Int? {
        guard let port = rule["properties.frontendPort"]?.int, port == rule["properties.backendPort"]?.int,
            LoadBalancerEditor.ports.contains(port)
        else { return nil }
        return port
    }
}
