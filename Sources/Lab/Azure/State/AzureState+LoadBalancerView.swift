import JSONModel

/// The load balancer as the service answers it: ids, etags and back references filled in.
extension AzureState {
    func render(loadBalancer state: LoadBalancerState) -> JSONValue {
        let id = id(.network, "loadBalancers", state.name)
        var value = state.body
        value["name"] = .string(state.name)
        value["id"] = .string(id)
        value["etag"] = .string(state.etag)
        value["type"] = "Microsoft.Network/loadBalancers"
        value["sku.name"] = "Standard"
        if value["sku.tier"] == nil { value["sku.tier"] = "Regional" }
        value["properties.provisioningState"] = .string(state.provisioningState)
        value["properties.resourceGuid"] = .string(state.guid)
        for collection in ["inboundNatRules", "outboundRules", "inboundNatPools"] {
            value["properties.\(collection)"] = []
        }
        let rules = state.children("loadBalancingRules")
        for collection in ["frontendIPConfigurations", "backendAddressPools", "loadBalancingRules", "probes"] {
            let children = state.children(collection).map { child -> JSONValue in
                let childID = "\(id)/\(collection)/\(child["name"]?.text ?? "")"
                var child = child
                child["id"] = .string(childID)
                child["etag"] = .string(state.etag)
                child["type"] = .string("Microsoft.Network/loadBalancers/\(collection)")
                child["properties.provisioningState"] = "Succeeded"
                addDefaults(&child, collection, state)
                addBackReferences(&child, childID, rules: rules, loadBalancerID: id)
                return child
            }
            value["properties.\(collection)"] = .array(children)
        }
        return value
    }

    private func addDefaults(_ child: inout JSONValue, _ collection: String, _ state: LoadBalancerState) {
        func fill(_ member: String, _ value: JSONValue) {
            if child["properties.\(member)"] == nil { child["properties.\(member)"] = value }
        }
        switch collection {
        case "frontendIPConfigurations":
            fill("privateIPAllocationMethod", "Dynamic")
            fill("privateIPAddressVersion", "IPv4")
            if let address = state.frontendAddresses[child["name"]?.text?.lowercased() ?? ""] {
                child["properties.privateIPAddress"] = .string(address.description)
            }
        case "loadBalancingRules":
            fill("idleTimeoutInMinutes", 4)
            fill("loadDistribution", "Default")
            fill("enableFloatingIP", false)
            fill("enableTcpReset", false)
            fill("disableOutboundSnat", false)
        case "probes":
            fill("intervalInSeconds", 15)
            fill("numberOfProbes", 1)
            fill("probeThreshold", 1)
            fill("noHealthyBackendsBehavior", "AllProbedDown")
        default: break
        }
    }

    /// Which rules use a frontend, pool or probe, and which ipConfigurations a pool has.
    private func addBackReferences(
        _ child: inout JSONValue, _ childID: String, rules: [JSONValue], loadBalancerID: String
    ) {
        let users = rules.filter { rule in
            ["frontendIPConfiguration", "backendAddressPool", "probe"]
                .contains { rule["properties.\($0).id"]?.text?.lowercased() == childID.lowercased() }
        }
        if !users.isEmpty {
            child["properties.loadBalancingRules"] = .array(
                users.map { ["id": .string("\(loadBalancerID)/loadBalancingRules/\($0["name"]?.text ?? "")")] })
        }
        let members = poolMembers(childID)
        if !members.isEmpty {
            child["properties.backendIPConfigurations"] = .array(
                members.map {
                    ["id": .string("\(interfaceID($0.0, $0.1, $0.2))/ipConfigurations/\($0.3.name)")]
                })
        }
    }

    /// The ipConfigurations that really are in a pool, with where they are.
    func poolMembers(
        _ poolID: String
    ) -> [(ScaleSetState, InstanceState, InterfaceState, IPConfigurationState)] {
        let wanted = poolID.lowercased()
        var result: [(ScaleSetState, InstanceState, InterfaceState, IPConfigurationState)] = []
        for scaleSet in scaleSets.values.sorted(by: { $0.name < $1.name }) {
            for instance in scaleSet.instances {
                for interface in instance.interfaces {
                    for child in interface.ipConfigurations
                    where child.backendPools.contains(where: { $0.lowercased() == wanted }) {
                        result.append((scaleSet, instance, interface, child))
                    }
                }
            }
        }
        return result
    }
}
