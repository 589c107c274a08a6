import JSONModel

/// What Azure refuses in the body of a load balancer, beyond the types of its members.
struct LoadBalancerRules {
    let state: AzureState
    let loadBalancerID: String

    /// Ports that an HTTP probe may not use (load balancer health probe documentation).
    private static let refusedProbePorts: Set<Int> = [19, 21, 25, 70, 110, 119, 143, 220, 993]

    func check(_ body: JSONValue) throws(ARMFault) {
        if let sku = body["sku.name"]?.text, sku != "Standard" {
            throw refusal("This simulator has load balancers of SKU Standard only, not '\(sku)'.", "sku.name")
        }
        for collection in ["inboundNatRules", "inboundNatPools", "outboundRules"]
        where body["properties.\(collection)"]?.elements.isEmpty == false {
            throw ARMFault(
                400, "OperationNotSupported", "This simulator does not realise \(collection).",
                target: "properties.\(collection)")
        }
        let frontends = try names(body, "frontendIPConfigurations")
        let pools = try names(body, "backendAddressPools")
        let probes = try names(body, "probes")
        _ = try names(body, "loadBalancingRules")
        for frontend in body["properties.frontendIPConfigurations"]?.elements ?? [] { try check(frontend: frontend) }
        for probe in body["properties.probes"]?.elements ?? [] { try check(probe: probe) }
        let rules = body["properties.loadBalancingRules"]?.elements ?? []
        if frontends.isEmpty, !(rules.isEmpty && pools.isEmpty && probes.isEmpty) {
            throw ARMFault(
                400, "LoadBalancerWithoutFrontendIPCantHaveChildResources",
                "Load balancer \(loadBalancerID) does not have Frontend IP Configuration, but it has other child "
                    + "resources.")
        }
        try checkCount(
            frontends.count, "frontendIPConfigurations", most: state.configuration.limits.frontendsPerLoadBalancer,
            code: "LoadBalancerFrontendIPConfigurationCountLimitReached")
        try checkCount(
            rules.count, "loadBalancingRules", most: state.configuration.limits.rulesPerLoadBalancer,
            code: "LoadBalancingRuleCountLimitReached")
        for rule in rules { try check(rule: rule, frontends: frontends, pools: pools, probes: probes) }
        try checkPorts(rules)
        try checkHighAvailability(rules)
    }

    private func checkCount(_ count: Int, _ collection: String, most: Int, code: String) throws(ARMFault) {
        guard count <= most else {
            throw ARMFault(
                400, code, "Load balancer \(loadBalancerID) has \(count) \(collection); the limit is \(most).",
                target: "properties.\(collection)")
        }
    }

    /// Rules for all ports: one per frontend, and on a pool either such rules or others (high availability ports page).
    private func checkHighAvailability(_ rules: [JSONValue]) throws(ARMFault) {
        var kinds: [String: Bool] = [:]
        for rule in rules {
            guard let pool = rule["properties.backendAddressPool.id"]?.text?.lowercased() else { continue }
            let isAll = rule["properties.protocol"]?.text == "All"
            guard kinds[pool, default: isAll] == isAll else {
                throw refusal(
                    "Rules for all ports and others do not mix on backend address pool \(pool).",
                    "properties.loadBalancingRules[\(rule["name"]?.text ?? "")]")
            }
            kinds[pool] = isAll
        }
    }

    /// The lower-case names of a collection's children; each has one, no two the same.
    private func names(_ body: JSONValue, _ collection: String) throws(ARMFault) -> Set<String> {
        var seen = Set<String>()
        for child in body["properties.\(collection)"]?.elements ?? [] {
            guard let name = child["name"]?.text, !name.isEmpty else {
                throw ARMFault(
                    400, "InvalidRequestFormat", "Cannot parse the request.", target: "properties.\(collection)",
                    details: [
                        ARMFault.Detail(code: "MissingJsonReferenceId", message: "Value for name is missing.")
                    ])
            }
            guard seen.insert(name.lowercased()).inserted else {
                throw refusal("The name '\(name)' is used twice.", "properties.\(collection)")
            }
        }
        return seen
    }

    private func check(frontend: JSONValue) throws(ARMFault) {
        let path = "properties.frontendIPConfigurations[\(frontend["name"]?.text ?? "")].properties"
        if frontend["properties.publicIPAddress"] != nil || frontend["properties.publicIPPrefix"] != nil {
            throw ARMFault(
                400, "OperationNotSupported", "This simulator has internal load balancers only.", target: path)
        }
        if frontend["properties.privateIPAddressVersion"]?.text == "IPv6" {
            throw refusal("This simulator has IPv4 frontends only.", "\(path).privateIPAddressVersion")
        }
        let id = try state.referenceID(frontend["properties.subnet"], path: "\(path).subnet")
        guard state.subnet(id) != nil else { throw .invalidReference(id, from: "\(path).subnet") }
    }

    private func check(probe: JSONValue) throws(ARMFault) {
        let path = "properties.probes[\(probe["name"]?.text ?? "")].properties"
        guard let kind = probe["properties.protocol"]?.text, let port = probe["properties.port"]?.int else {
            throw refusal("A probe needs protocol and port.", path)
        }
        guard (1...65535).contains(port) else { throw refusal("Port \(port) is not in 1..65535.", "\(path).port") }
        if let interval = probe["properties.intervalInSeconds"]?.int, interval < 5 {
            throw refusal("Interval \(interval) is below the minimum of 5 seconds.", "\(path).intervalInSeconds")
        }
        for member in ["probeThreshold", "numberOfProbes"] {
            if let count = probe["properties.\(member)"]?.int, count < 1 {
                throw refusal("\(member) \(count) is below the minimum of 1.", "\(path).\(member)")
            }
        }
        let hasPath = probe["properties.requestPath"]?.text?.isEmpty == false
        if kind == "Tcp", hasPath { throw refusal("requestPath is not allowed for Tcp.", "\(path).requestPath") }
        if kind != "Tcp", !hasPath { throw refusal("requestPath is required for \(kind).", "\(path).requestPath") }
        if kind == "Http", Self.refusedProbePorts.contains(port) {
            throw refusal("Port \(port) is not allowed for an Http probe.", "\(path).port")
        }
    }

    private func check(
        rule: JSONValue, frontends: Set<String>, pools: Set<String>, probes: Set<String>
    ) throws(ARMFault) {
        let path = "properties.loadBalancingRules[\(rule["name"]?.text ?? "")].properties"
        guard rule["properties"] != nil else { throw refusal("A rule needs properties.", path) }
        try checkReference(rule, "frontendIPConfiguration", "frontendIPConfigurations", frontends, path, required: true)
        try checkReference(rule, "backendAddressPool", "backendAddressPools", pools, path)
        try checkReference(rule, "probe", "probes", probes, path)
        guard let frontendPort = rule["properties.frontendPort"]?.int, (0...65534).contains(frontendPort) else {
            throw refusal("frontendPort must be in 0..65534.", "\(path).frontendPort")
        }
        guard let backendPort = rule["properties.backendPort"]?.int, (0...65535).contains(backendPort) else {
            throw refusal("backendPort must be given, in 0..65535.", "\(path).backendPort")
        }
        let isHighAvailability = rule["properties.protocol"]?.text == "All"
        guard isHighAvailability == (frontendPort == 0), isHighAvailability == (backendPort == 0) else {
            throw refusal("Ports 0 and protocol All go together (HA ports).", path)
        }
        if let idle = rule["properties.idleTimeoutInMinutes"]?.int, !(4...30).contains(idle) {
            throw refusal("idleTimeoutInMinutes \(idle) is not in 4..30.", "\(path).idleTimeoutInMinutes")
        }
    }

    private func checkReference(
        _ rule: JSONValue, _ member: String, _ collection: String, _ known: Set<String>, _ path: String,
        required: Bool = false
    ) throws(ARMFault) {
        let value = rule["properties.\(member)"]
        if value == nil, !required { return }
        let id = try state.referenceID(value, path: "\(path).\(member)")
        let prefix = "\(loadBalancerID)/\(collection)/".lowercased()
        guard id.lowercased().hasPrefix(prefix), known.contains(String(id.lowercased().dropFirst(prefix.count))) else {
            throw .invalidReference(id, from: "\(path).\(member)")
        }
    }

    /// A frontend's port belongs to one rule per protocol; a pool's port does, too, unless the rules use floating IP.
    private func checkPorts(_ rules: [JSONValue]) throws(ARMFault) {
        var frontendPorts: [String: String] = [:]
        var backendPorts: [String: String] = [:]
        for rule in rules {
            let name = rule["name"]?.text ?? ""
            let kind = rule["properties.protocol"]?.text ?? ""
            let frontend = rule["properties.frontendIPConfiguration.id"]?.text?.lowercased() ?? ""
            let frontendKey = "\(frontend) \(kind) \(rule["properties.frontendPort"]?.int ?? -1)"
            if let other = frontendPorts.updateValue(name, forKey: frontendKey) {
                throw ARMFault(
                    400, "RulesUseSameFrontendPortProtocolAndIPConfig",
                    "Load balancing rules \(other) and \(name) use the same frontend port, protocol and frontend IP "
                        + "configuration.", target: "properties.loadBalancingRules[\(name)]")
            }
            guard rule["properties.enableFloatingIP"]?.bool != true,
                let pool = rule["properties.backendAddressPool.id"]?.text?.lowercased()
            else { continue }
            let backendKey = "\(pool) \(kind) \(rule["properties.backendPort"]?.int ?? -1)"
            if let other = backendPorts.updateValue(name, forKey: backendKey) {
                throw ARMFault(
                    400, "RulesOfSameLoadBalancerTypeUseSameBackendPortProtocolAndIPConfig",
                    "Load balancing rules \(other) and \(name) use the same backend port and protocol in one pool "
                        + "without floating IP.", target: "properties.loadBalancingRules[\(name)]")
            }
        }
    }

    private func refusal(_ message: String, _ target: String) -> ARMFault {
        ARMFault(400, "InvalidParameter", message, target: target)
    }
}
