import JSONModel

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
        let id = id(.network, "loadBalancers", old?.name ?? name)
        var body = try accept(request, as: "LoadBalancer", .network)
        try checkLocation(body)
        try checkMatch(request, etag: old?.etag, id: id, provider: .network)
        try checkIdle(id, base: request.base)
        try LoadBalancerRules(state: self, loadBalancerID: id).check(body)
        for collection in ["frontendIPConfigurations", "backendAddressPools", "loadBalancingRules", "probes"]
        where body["properties.\(collection)"] == nil {
            body["properties.\(collection)"] = []
        }
        if let old { try checkPoolsStay(old, body) }
        let addresses = try frontendAddresses(of: body, old: old)
        let state = LoadBalancerState(
            name: old?.name ?? name, guid: old?.guid ?? identifiers.guid(), etag: identifiers.networkETag(),
            body: body, frontendAddresses: addresses, applied: old?.applied)
        loadBalancers[key] = state
        let headers = start(
            .loadBalancerWritten(key), on: id, provider: .network, taking: configuration.latencies.loadBalancer,
            request, now: now)
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
            request, now: now)
        return ARMResponse(202, headers: headers)
    }

    /// A pool cannot go while the model or an instance of a scale set names it.
    private func checkPoolsStay(_ old: LoadBalancerState, _ body: JSONValue) throws(ARMFault) {
        let kept = Set(
            (body["properties.backendAddressPools"]?.elements ?? []).compactMap { $0["name"]?.text?.lowercased() })
        for pool in old.children("backendAddressPools") {
            guard let name = pool["name"]?.text, !kept.contains(name.lowercased()) else { continue }
            let poolID = id(.network, "loadBalancers", old.name, "backendAddressPools", name)
            guard let user = poolUser(poolID) else { continue }
            throw ARMFault(
                400, "LoadBalancerInUseByVirtualMachineScaleSet",
                "Cannot remove backend address pool \(poolID) from load balancer since it is in use by virtual machine "
                    + "scale set \(user).", target: poolID)
        }
    }

    /// The id of a scale set or instance whose model names a backend pool.
    private func poolUser(_ poolID: String) -> String? {
        func names(_ configurations: [JSONValue]) -> Bool {
            configurations.flatMap { $0["properties.ipConfigurations"]?.elements ?? [] }
                .flatMap { $0["properties.loadBalancerBackendAddressPools"]?.elements ?? [] }
                .contains { $0["id"]?.text?.lowercased() == poolID.lowercased() }
        }
        for scaleSet in scaleSets.values {
            let scaleSetID = id(.compute, "virtualMachineScaleSets", scaleSet.name)
            if names(scaleSet.networkConfigurations) { return scaleSetID }
            for instance in scaleSet.instances where names(instance.networkConfigurations) {
                return "\(scaleSetID)/virtualMachines/\(instance.instanceID)"
            }
        }
        return nil
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
            guard let address = AzureAddress(text), subnet(subnetID)?.block.contains(address) == true else {
                throw ARMFault(
                    400, "PrivateIPAddressNotInSubnet",
                    "Private static IP address \(text) does not belong to the subnet "
                        + "\(subnetID).", target: name)
            }
            guard address == kept || !usedPrivateAddresses.union(result.values).contains(address) else {
                throw ARMFault(
                    400, "PrivateIPAddressIsAllocated",
                    "IP configuration \(name) is using the private IP address \(text) which is already allocated.",
                    target: name)
            }
            result[name] = address
        }
        return result
    }

    func accept(_ request: ARMRequest, as model: String, _ provider: ARMProvider) throws(ARMFault) -> JSONValue {
        try ARMValidator(provider: provider).accept(request.json(), as: model)
    }
}
