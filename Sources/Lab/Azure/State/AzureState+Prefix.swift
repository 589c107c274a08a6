import JSONModel

/// Public IP prefixes, and the virtual network (which is only read).
extension AzureState {
    func getPrefix(_ name: String) throws(ARMFault) -> ARMResponse {
        guard let state = prefixes[name.lowercased()] else {
            throw .resourceNotFound("Microsoft.Network/publicIPPrefixes", name, group: configuration.resourceGroup)
        }
        return ARMResponse(200, render(prefix: state), headers: [("ETag", state.etag)])
    }

    mutating func putPrefix(_ name: String, _ request: ARMRequest, now: Duration) throws(ARMFault) -> ARMResponse {
        let key = name.lowercased()
        let old = prefixes[key]
        let id = id(.network, "publicIPPrefixes", old?.name ?? name)
        var body = try accept(request, as: "PublicIPPrefix", .network)
        try checkLocation(body)
        try checkMatch(request, etag: old?.etag, id: id, provider: .network)
        try checkIdle(id, base: request.base)
        let length = try checkPrefix(body, old: old)
        if body["properties.publicIPAddressVersion"] == nil { body["properties.publicIPAddressVersion"] = "IPv4" }
        if body["properties.ipTags"] == nil { body["properties.ipTags"] = [] }
        if body["sku.tier"] == nil { body["sku.tier"] = "Regional" }
        var state: PrefixState
        if let old {
            state = old
            state.body = body
            state.etag = identifiers.networkETag()
        } else {
            guard let block = publicSpace.firstFreeBlock(length: length, taken: prefixes.values.map(\.block)) else {
                throw ARMFault(
                    400, "PublicIPCountLimitReached",
                    "No /\(length) is left in the public address space \(publicSpace) of this simulator.")
            }
            state = PrefixState(
                name: name, guid: identifiers.guid(), etag: identifiers.networkETag(), provisioningState: "Updating",
                body: body, block: block)
        }
        prefixes[key] = state
        let headers = start(
            .prefixWritten(key), on: id, provider: .network, taking: configuration.latencies.publicIPPrefix, request,
            now: now)
        return ARMResponse(old == nil ? 201 : 200, render(prefix: state), headers: headers)
    }

    /// - Returns: the prefix length asked for.
    private func checkPrefix(_ body: JSONValue, old: PrefixState?) throws(ARMFault) -> Int {
        func refuse(_ message: String, _ target: String) -> ARMFault {
            ARMFault(400, "InvalidParameter", message, target: target)
        }
        guard body["sku.name"]?.text == "Standard" else {
            throw refuse("A public IP prefix needs sku.name 'Standard'.", "sku.name")
        }
        guard body["properties.publicIPAddressVersion"]?.text != "IPv6" else {
            throw refuse("This simulator has IPv4 prefixes only.", "properties.publicIPAddressVersion")
        }
        guard let length = body["properties.prefixLength"]?.int else {
            throw refuse("prefixLength is required.", "properties.prefixLength")
        }
        guard (28...31).contains(length) else {
            throw refuse("prefixLength \(length) is not in 28..31.", "properties.prefixLength")
        }
        if let old, old.block.length != length {
            throw refuse(
                "prefixLength of an existing prefix cannot change from \(old.block.length) to \(length).",
                "properties.prefixLength")
        }
        return length
    }

    mutating func deletePrefix(_ name: String, _ request: ARMRequest, now: Duration) throws(ARMFault) -> ARMResponse {
        let key = name.lowercased()
        guard let old = prefixes[key] else { return ARMResponse(204) }
        let id = id(.network, "publicIPPrefixes", old.name)
        try checkMatch(request, etag: old.etag, id: id, provider: .network)
        try checkIdle(id, base: request.base)
        let users = publicAddressIDs(ofPrefix: key)
        guard users.isEmpty else {
            throw ARMFault(
                400, "InUsePublicIpPrefixCannotBeDeleted",
                "Public IP prefix \(id) cannot be deleted because it is in use by \(users.joined(separator: ", ")).")
        }
        prefixes[key]?.provisioningState = "Deleting"
        let headers = start(
            .prefixDeleted(key), on: id, provider: .network, taking: configuration.latencies.publicIPPrefix, request,
            now: now)
        return ARMResponse(202, headers: headers)
    }

    /// The ids of the addresses that instances have from a prefix.
    func publicAddressIDs(ofPrefix key: String) -> [String] {
        var ids: [String] = []
        for scaleSet in scaleSets.values.sorted(by: { $0.name < $1.name }) {
            for instance in scaleSet.instances {
                for interface in instance.interfaces {
                    for child in interface.ipConfigurations where child.publicAddress?.prefix == key {
                        ids.append(publicAddressID(scaleSet, instance, interface, child))
                    }
                }
            }
        }
        return ids
    }

    func publicAddressID(
        _ scaleSet: ScaleSetState, _ instance: InstanceState, _ interface: InterfaceState, _ child: IPConfigurationState
    ) -> String {
        interfaceID(scaleSet, instance, interface)
            + "/ipConfigurations/\(child.name)/publicIPAddresses/\(child.publicAddress?.name ?? "")"
    }

    func render(prefix state: PrefixState) -> JSONValue {
        let id = id(.network, "publicIPPrefixes", state.name)
        var value = state.body
        value["name"] = .string(state.name)
        value["id"] = .string(id)
        value["etag"] = .string(state.etag)
        value["type"] = "Microsoft.Network/publicIPPrefixes"
        value["properties.provisioningState"] = .string(state.provisioningState)
        value["properties.resourceGuid"] = .string(state.guid)
        if state.isAllocated { value["properties.ipPrefix"] = .string(state.block.description) }
        let users = publicAddressIDs(ofPrefix: state.name.lowercased())
        if !users.isEmpty { value["properties.publicIPAddresses"] = .array(users.map { ["id": .string($0)] }) }
        return value
    }

    func getNetwork(_ name: String) throws(ARMFault) -> ARMResponse {
        try checkNetwork(name)
        let network = configuration.virtualNetwork
        return ARMResponse(
            200,
            [
                "name": .string(network.name), "id": .string(id(.network, "virtualNetworks", network.name)),
                "type": "Microsoft.Network/virtualNetworks", "location": .string(configuration.location),
                "properties": [
                    "provisioningState": "Succeeded",
                    "addressSpace": ["addressPrefixes": [.string(network.addressPrefix)]],
                    "subnets": .array(subnets.map { render(subnet: $0.name, $0.block) }),
                ],
            ])
    }

    func getSubnet(_ network: String, _ name: String) throws(ARMFault) -> ARMResponse {
        try checkNetwork(network)
        guard let subnet = subnets.first(where: { $0.name.lowercased() == name.lowercased() }) else {
            throw .childNotFound(subnetID(name))
        }
        return ARMResponse(200, render(subnet: subnet.name, subnet.block))
    }

    func listSubnets(_ network: String) throws(ARMFault) -> ARMResponse {
        try checkNetwork(network)
        return list(subnets.map { render(subnet: $0.name, $0.block) })
    }

    private func checkNetwork(_ name: String) throws(ARMFault) {
        guard name.lowercased() == configuration.virtualNetwork.name.lowercased() else {
            throw .resourceNotFound("Microsoft.Network/virtualNetworks", name, group: configuration.resourceGroup)
        }
    }

    private func render(subnet name: String, _ block: AzureBlock) -> JSONValue {
        [
            "name": .string(name), "id": .string(subnetID(name)), "type": "Microsoft.Network/virtualNetworks/subnets",
            "properties": [
                "provisioningState": "Succeeded", "addressPrefix": .string(block.description), "delegations": [],
                "privateEndpointNetworkPolicies": "Disabled", "privateLinkServiceNetworkPolicies": "Enabled",
            ],
        ]
    }
}
