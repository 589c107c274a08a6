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
        let users = Self.users(state.children("loadBalancingRules"), loadBalancerID: id)
        for collection in ["frontendIPConfigurations", "backendAddressPools", "loadBalancingRules", "probes"] {
            let children = state.children(collection).map { child -> JSONValue in
                let childID = "\(id)/\(collection)/\(child["name"]?.text ?? "")"
                var child = child
                child["id"] = .string(childID)
                child["etag"] = .string(state.etag)
                child["type"] = .string("Microsoft.Network/loadBalancers/\(collection)")
                child["properties.provisioningState"] = "Succeeded"
                addDefaults(&child, collection, state)
                addBackReferences(&child, childID, collection, users)
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

    /// References to the rules that use a frontend, pool or probe, by its id in lower case.
    private static func users(_ rules: [JSONValue], loadBalancerID: String) -> [String: [JSONValue]] {
        var users: [String: [JSONValue]] = [:]
        for rule in rules {
            let reference: JSONValue = [
                "id": .string("\(loadBalancerID)/loadBalancingRules/\(rule["name"]?.text ?? "")")
            ]
            for target in ["frontendIPConfiguration", "backendAddressPool", "probe"] {
                guard let id = rule["properties.\(target).id"]?.text?.lowercased() else { continue }
                users[id, default: []].append(reference)
            }
        }
        return users
    }

    /// Which rules use a frontend, pool or probe, and which ipConfigurations a pool has.
    private func addBackReferences(
        _ child: inout JSONValue, _ childID: String, _ collection: String, _ users: [String: [JSONValue]]
    ) {
        if let users = users[childID.lowercased()] { child["properties.loadBalancingRules"] = .array(users) }
        guard collection == "backendAddressPools" else { return }
        let members = poolMembers(childID)
        if !members.isEmpty {
            child["properties.backendIPConfigurations"] = .array(
                members.map { ["id": .string("\($0.0.id)/ipConfigurations/\($0.1.name)")] })
        }
    }

    /// The ipConfigurations that really are in a pool, with where they are.
    func poolMembers(_ poolID: String) -> [(LocatedInterface, IPConfigurationState)] {
        let wanted = poolID.lowercased()
        return allInterfaces.flatMap { located in
            located.state.ipConfigurations
                .filter { $0.backendPools.contains { $0.lowercased() == wanted } }
                .map { (located, $0) }
        }
    }
}
