import AzureARM
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

    private static let frontends = "properties.frontendIPConfigurations"
    private static let pools = "properties.backendAddressPools"
    private static let rules = "properties.loadBalancingRules"
    private static let probes = "properties.probes"

    // MARK: - Ensure

    /// - Parameter current: the load balancer as it was read; nil if there is none.
    func ensure(_ items: [LoadBalancerItem], in current: JSONValue?) -> LoadBalancerEdit {
        var body =
            current ?? [
                "location": .string(location), "sku": ["name": "Standard", "tier": "Regional"],
                "properties": [:],
            ]
        var edit = LoadBalancerEdit(action: .keep)
        for item in items {
            do {
                // Each item works on a copy, so that one that fails leaves nothing behind.
                var attempt = body
                let added = try ensureFrontend(item.poolID, in: &attempt)
                ensurePool(item.poolID, in: &attempt)
                try ensureRule(item, in: &attempt)
                ensureProbe(item, in: &attempt)
                body = attempt
                edit.addsFrontend = edit.addsFrontend || added
            } catch {
                edit.failures[item.id] = ProviderError(error)
            }
        }
        if body != current, edit.failures.count < items.count { edit.action = .write(body) }
        return edit
    }

    private func ensureFrontend(_ name: String, in body: inout JSONValue) throws -> Bool {
        if let frontend = child(Self.frontends, name, of: body) {
            let version = frontend["properties.privateIPAddressVersion"]?.text ?? "IPv4"
            guard version == "IPv4", frontend["properties.privateIPAddress"]?.text?.isEmpty == false else {
                // One that this very edit added has no address yet.
                if frontend["id"] == nil { return false }
                throw ProviderError(
                    .retry, "load balancer \(id.name): frontend \(name) must have a private IPv4 address, and has none")
            }
            return false
        }
        append(
            [
                "name": .string(name),
                "properties": [
                    "privateIPAddressVersion": "IPv4", "privateIPAllocationMethod": "Dynamic",
                    "subnet": ["id": .string(subnetID.description)],
                ],
            ], to: Self.frontends, of: &body)
        return true
    }

    private func ensurePool(_ name: String, in body: inout JSONValue) {
        guard child(Self.pools, name, of: body) == nil else { return }
        append(["name": .string(name), "properties": [:]], to: Self.pools, of: &body)
    }

    private func ensureRule(_ item: LoadBalancerItem, in body: inout JSONValue) throws {
        let old = child(Self.rules, item.id, of: body)
        if let old, isExpected(old, for: item) { return }
        let others = elements(Self.rules, of: body).filter { $0["name"]?.text?.lowercased() != item.id.lowercased() }
        let port = try port(for: item, keeping: old, others: others)
        var changed = others
        changed.append([
            "name": .string(item.id),
            "properties": [
                "protocol": "Udp", "enableFloatingIP": true, "frontendPort": .integer(Int64(port)),
                "backendPort": .integer(Int64(port)),
                "frontendIPConfiguration": reference("frontendIPConfigurations", item.poolID),
                "backendAddressPool": reference("backendAddressPools", item.poolID),
                "probe": reference("probes", item.id),
            ],
        ])
        body[Self.rules] = .array(changed)
    }

    /// A rule that differs keeps its port if nobody else has it: tunnels of running pods end there. A new rule gets the
    /// lowest one that no rule of the pool uses.
    private func port(for item: LoadBalancerItem, keeping old: JSONValue?, others: [JSONValue]) throws -> Int {
        let poolID = id.child("backendAddressPools", item.poolID)
        var used = Set<Int>()
        for rule in others where isReference(rule["properties.backendAddressPool"], to: poolID) {
            guard let port = validPort(rule) else {
                throw ProviderError(
                    .terminal,
                    "load balancer \(id.name): rule \(rule["name"]?.text ?? "") of pool \(item.poolID) has "
                        + "ports that are unequal or outside 6000..6999; correct or remove it")
            }
            used.insert(port)
        }
        if let old, let port = validPort(old), !used.contains(port) { return port }
        guard let free = Self.ports.first(where: { !used.contains($0) }) else {
            throw ProviderError(
                .terminal, "load balancer \(id.name): pool \(item.poolID) has no free port left in 6000..6999")
        }
        return free
    }

    private func validPort(_ rule: JSONValue) -> Int? {
        guard let port = rule["properties.frontendPort"]?.int, port == rule["properties.backendPort"]?.int,
            Self.ports.contains(port)
        else { return nil }
        return port
    }

    private func isExpected(_ rule: JSONValue, for item: LoadBalancerItem) -> Bool {
        validPort(rule) != nil && rule["properties.protocol"]?.text?.lowercased() == "udp"
            && rule["properties.enableFloatingIP"]?.bool == true
            && ["default", nil].contains(rule["properties.loadDistribution"]?.text?.lowercased())
            && isReference(
                rule["properties.frontendIPConfiguration"], to: id.child("frontendIPConfigurations", item.poolID))
            && isReference(rule["properties.backendAddressPool"], to: id.child("backendAddressPools", item.poolID))
            && isReference(rule["properties.probe"], to: id.child("probes", item.id))
    }

    private func ensureProbe(_ item: LoadBalancerItem, in body: inout JSONValue) {
        if let probe = child(Self.probes, item.id, of: body),
            probe["properties.protocol"]?.text?.lowercased() == "http",
            probe["properties.port"]?.int == item.probe.port,
            probe["properties.requestPath"]?.text == item.probe.path,
            probe["properties.intervalInSeconds"]?.int == 5, probe["properties.probeThreshold"]?.int == 1
        {
            return
        }
        drop(item.id, from: Self.probes, of: &body)
        append(
            [
                "name": .string(item.id),
                "properties": [
                    "protocol": "Http", "port": .integer(Int64(item.probe.port)),
                    "requestPath": .string(item.probe.path), "intervalInSeconds": 5, "probeThreshold": 1,
                ],
            ], to: Self.probes, of: &body)
    }

    // MARK: - Remove

    /// Takes configurations out; frontend and pool go with their last rule, the load balancer with its last frontend.
    ///
    /// - Parameter poolIDs: the pool's unique id by item id, for items whose rule is gone already.
    func remove(_ ids: [String], poolIDs: [String: String], from current: JSONValue) -> LoadBalancerEdit {
        var body = current
        for item in ids {
            let rule = child(Self.rules, item, of: body)
            let ruleFrontend = rule?["properties.frontendIPConfiguration.id"]?.text.flatMap(ResourceID.init)?.name
            drop(item, from: Self.rules, of: &body)
            drop(item, from: Self.probes, of: &body)
            guard let poolID = ruleFrontend ?? poolIDs[item] else { continue }
            let frontendID = id.child("frontendIPConfigurations", poolID)
            let backendID = id.child("backendAddressPools", poolID)
            let isUsed = elements(Self.rules, of: body).contains {
                isReference($0["properties.frontendIPConfiguration"], to: frontendID)
                    || isReference($0["properties.backendAddressPool"], to: backendID)
            }
            if !isUsed {
                drop(poolID, from: Self.frontends, of: &body)
                drop(poolID, from: Self.pools, of: &body)
            }
        }
        if elements(Self.frontends, of: body).isEmpty { return LoadBalancerEdit(action: .delete) }
        return LoadBalancerEdit(action: body == current ? .keep : .write(body))
    }

    // MARK: - Observe

    /// What a configuration has on the load balancer; nil if it has no rule, or its frontend no address yet.
    func observe(_ item: String, in body: JSONValue) -> LoadBalancer.Observed? {
        guard let rule = child(Self.rules, item, of: body), let port = validPort(rule),
            let frontend = rule["properties.frontendIPConfiguration.id"]?.text.flatMap(ResourceID.init)?.name,
            let address = child(Self.frontends, frontend, of: body)?["properties.privateIPAddress"]?.text
        else { return nil }
        return LoadBalancer.Observed(frontendIP: address, port: port)
    }

    /// Every configuration of ours: rules whose probe asks a gateway for its health.
    func allItems(in body: JSONValue) -> [String] {
        elements(Self.rules, of: body).compactMap { rule in
            guard let name = rule["name"]?.text,
                child(Self.probes, name, of: body)?["properties.requestPath"]?.text?.hasPrefix("/gw/") == true
            else { return nil }
            return name
        }
    }

    // MARK: - Parts

    private func elements(_ collection: String, of body: JSONValue) -> [JSONValue] {
        body[collection]?.elements ?? []
    }

    private func child(_ collection: String, _ name: String, of body: JSONValue) -> JSONValue? {
        elements(collection, of: body).first { $0["name"]?.text?.lowercased() == name.lowercased() }
    }

    private func append(_ child: JSONValue, to collection: String, of body: inout JSONValue) {
        body[collection] = .array(elements(collection, of: body) + [child])
    }

    private func drop(_ name: String, from collection: String, of body: inout JSONValue) {
        let kept = elements(collection, of: body).filter { $0["name"]?.text?.lowercased() != name.lowercased() }
        if kept.count != elements(collection, of: body).count { body[collection] = .array(kept) }
    }

    private func reference(_ collection: String, _ name: String) -> JSONValue {
        ["id": .string(id.child(collection, name).description)]
    }

    private func isReference(_ value: JSONValue?, to target: ResourceID) -> Bool {
        value?["id"]?.text.flatMap(ResourceID.init) == target
    }
}
