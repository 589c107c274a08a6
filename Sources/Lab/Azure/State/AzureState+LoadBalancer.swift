import JSONModel
import LinuxNet

/// Load balancers: PUT replaces, as everywhere in Microsoft.Network.
extension AzureState {
    func getLoadBalancer(_ name: String) throws(ARMFault) -> ARMResponse {
        guard let state = loadBalancers[name.lowercased()] else {
            throw .resourceNotFound("Microsoft.Network/loadBalancers", name, group: configuration.resourceGroup)
        }
        return ARMResponse(200, render(loadBalancer: state), headers: [("ETag", state.etag)])
    }

    mutating func putLoadBalancer(
        _ name: String, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        let key = name.lowercased()
        let old = loadBalancers[key]
        let id = id(.network, "loadBalancers", try resourceName(old?.name, name))
        var body = try accept(request, .network)
        try checkLocation(body)
        try checkMatch(request, etag: old?.etag, id: id, provider: .network)
        try checkIdle(id, base: request.base)
        try LoadBalancerRules(state: self, loadBalancerID: id).check(body)
        for collection in ["frontendIPConfigurations", "backendAddressPools", "loadBalancingRules", "probes"]
        where body["properties.\(collection)"] == nil {
            body["properties.\(collection)"] = []
        }
        if let old { try checkPoolsStay(old, body) }
        try checkMembers(of: id, body)
        let addresses = try frontendAddresses(of: body, old: old)
        let state = LoadBalancerState(
            name: old?.name ?? name, guid: old?.guid ?? identifiers.guid(), etag: identifiers.networkETag(),
            body: body, frontendAddresses: addresses, applied: old?.applied)
        loadBalancers[key] = state
        let headers = start(
            .loadBalancerWritten(key), on: id, provider: .network, taking: configuration.latencies.loadBalancer,
            request: request, now: now)
        return ARMResponse(old == nil ? 201 : 200, render(loadBalancer: state), headers: headers)
    }

    mutating func deleteLoadBalancer(
        _ name: String, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        let key = name.lowercased()
        guard let old = loadBalancers[key] else { return ARMResponse(204) }
        let id = id(.network, "loadBalancers", old.name)
        try checkMatch(request, etag: old.etag, id: id, provider: .network)
        try checkIdle(id, base: request.base)
        try checkPoolsStay(old, [:])
        loadBalancers[key]?.provisioningState = "Deleting"
        loadBalancers[key]?.applied = nil
        let headers = start(
            .loadBalancerDeleted(key), on: id, provider: .network, taking: configuration.latencies.loadBalancer,
            request: request, now: now)
        return ARMResponse(202, headers: headers)
    }

    /// A pool cannot go while the model or an instance of a scale set names it.
    private func checkPoolsStay(_ old: LoadBalancerState, _ body: JSONValue) throws(ARMFault) {
        let kept = Set(
            (body["properties.backendAddressPools"]?.elements ?? []).compactMap { $0["name"]?.text?.lowercased() })
        for pool in old.children("backendAddressPools") {
            guard let name = pool["name"]?.text, !kept.contains(name.lowercased()) else { continue }
            let poolID = id(.network, "loadBalancers", old.name, "backendAddressPools", name)
            if let interface = networkInterfaces.values.first(where: { names($0.ipConfigurations, pool: poolID) }) {
                throw ARMFault(
                    400, "InUseBackendAddressPoolCannotBeDeleted",
                    "Backend address pool \(poolID) is in use by network interface "
                        + "\(id(.network, "networkInterfaces", interface.name)).", target: poolID)
            }
            guard let user = poolUser(poolID) else { continue }
            throw ARMFault(
                400, "LoadBalancerInUseByVirtualMachineScaleSet",
                "Cannot remove backend address pool \(poolID) from load balancer since it is in use by virtual machine "
                    + "scale set \(user).", target: poolID)
        }
    }

    /// Refuses rules of which more reach one member than its network interface may have.
    private func checkMembers(of loadBalancerID: String, _ body: JSONValue) throws(ARMFault) {
        var rulesByPool: [String: Int] = [:]
        for rule in body["properties.loadBalancingRules"]?.elements ?? [] {
            rulesByPool[rule["properties.backendAddressPool.id"]?.text?.lowercased() ?? "", default: 0] += 1
        }
        let most = configuration.limits.rulesPerInterface
        let mine = loadBalancerID.lowercased() + "/"
        for located in allInterfaces {
            let pools = Set(located.state.ipConfigurations.flatMap(\.backendPools).map { $0.lowercased() })
            guard pools.contains(where: { $0.hasPrefix(mine) }) else { continue }
            let count = pools.reduce(0) { $0 + (rulesByPool[$1] ?? 0) }
            guard count <= most else {
                throw ARMFault(
                    400, "LoadBalancerRuleCountLimitReachedForNic",
                    "\(count) load balancing rules reach network interface \(located.id); the limit is \(most).",
                    target: located.id)
            }
        }
    }

    /// The id of a scale set or instance whose model names a backend pool.
    private func poolUser(_ poolID: String) -> String? {
        func uses(_ configurations: [JSONValue]) -> Bool {
            names(configurations.flatMap { $0["properties.ipConfigurations"]?.elements ?? [] }, pool: poolID)
        }
        for scaleSet in scaleSets.values {
            let scaleSetID = id(.compute, "virtualMachineScaleSets", scaleSet.name)
            if uses(scaleSet.networkConfigurations) { return scaleSetID }
            for instance in scaleSet.instances where uses(instance.networkConfigurations) {
                return "\(scaleSetID)/virtualMachines/\(instance.instanceID)"
            }
        }
        return nil
    }

    /// Whether one of these ipConfigurations is in a pool.
    private func names(_ children: [JSONValue], pool poolID: String) -> Bool {
        children.flatMap { $0["properties.loadBalancerBackendAddressPools"]?.elements ?? [] }
            .contains { $0["id"]?.text?.lowercased() == poolID.lowercased() }
    }

    /// The address of every frontend: kept while its subnet stays, else the first free one or the static one asked for.
    private func frontendAddresses(
        of body: JSONValue, old: LoadBalancerState?
    ) throws(ARMFault) -> [String: AzureAddress] {
        var result: [String: AzureAddress] = [:]
        for frontend in body["properties.frontendIPConfigurations"]?.elements ?? [] {
            guard let name = frontend["name"]?.text?.lowercased(), let subnetID = frontend["properties.subnet.id"]?.text
            else { continue }
            let before = old?.children("frontendIPConfigurations").first { $0["name"]?.text?.lowercased() == name }
            let kept =
                before?["properties.subnet.id"]?.text?.lowercased() == subnetID.lowercased()
                ? old?.frontendAddresses[name] : nil
            guard frontend["properties.privateIPAllocationMethod"]?.text == "Static",
                let text = frontend["properties.privateIPAddress"]?.text
            else {
                if let kept { result[name] = kept; continue }
                result[name] = try freePrivateAddress(in: subnetID, alsoUsed: Set(result.values))
                continue
            }
            let address = try staticAddress(
                text, in: subnetID, own: kept, alsoUsed: Set(result.values), target: name)
            result[name] = address
        }
        return result
    }

    /// The body of a request, checked against the model that its operation takes.
    func accept(_ request: ARMRequest, _ provider: ARMProvider) throws(ARMFault) -> JSONValue {
        try ARMValidator(provider: provider).accept(request.json(), as: request.operation?.body ?? "")
    }
}
