import JSONModel
import LinuxNet

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
        let id = id(.network, "publicIPPrefixes", try resourceName(old?.name, name))
        var body = try accept(request, .network)
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
            if !state.isAllocated { state.provisioningState = "Updating" }
        } else {
            let most = configuration.limits.publicIPPrefixes
            guard prefixes.count < most else {
                throw ARMFault(
                    400, "PublicIPPrefixCountLimitReached",
                    "Cannot create more than \(most) public IP prefixes for this subscription in this region.")
            }
            let isIPv6 = body["properties.publicIPAddressVersion"]?.text == "IPv6"
            let block = try freePublicBlock(length: length, family: isIPv6 ? .ipv6 : .ipv4)
            state = PrefixState(
                name: name, guid: identifiers.guid(), etag: identifiers.networkETag(), provisioningState: "Updating",
                body: body, block: block)
        }
        prefixes[key] = state
        let headers = start(
            .prefixWritten(key), on: id, provider: .network, taking: configuration.latencies.publicIPPrefix,
            request: request, now: now)
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
        guard body["properties.customIPPrefix"] == nil else {
            throw ARMFault(
                400, "OperationNotSupported", "This simulator has no custom IP prefixes to take from.",
                target: "properties.customIPPrefix")
        }
        guard let length = body["properties.prefixLength"]?.int else {
            throw refuse("prefixLength is required.", "properties.prefixLength")
        }
        let version = body["properties.publicIPAddressVersion"]?.text ?? "IPv4"
        let allowed = version == "IPv6" ? 124...127 : 28...31
        guard allowed.contains(length) else {
            throw refuse(
                "prefixLength \(length) is not in \(allowed.lowerBound)..\(allowed.upperBound).",
                "properties.prefixLength")
        }
        if let old, old.block.first.version != version {
            throw refuse("The IP version of a prefix cannot change.", "properties.publicIPAddressVersion")
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
            .prefixDeleted(key), on: id, provider: .network, taking: configuration.latencies.publicIPPrefix,
            request: request, now: now)
        return ARMResponse(202, headers: headers)
    }

    /// The ids of the addresses in use of a prefix: those of instances, and public address resources.
    func publicAddressIDs(ofPrefix key: String) -> [String] {
        var ids: [String] = []
        for located in allInterfaces where !located.scaleSet.isEmpty {
            for child in located.state.ipConfigurations {
                guard let address = child.publicAddress, address.prefix == key else { continue }
                ids.append(publicAddressID(address, of: child, located))
            }
        }
        let resources = publicAddresses.values.filter { $0.body["properties.publicIPPrefix.id"].map(prefixKey) == key }
        return ids + resources.map { id(.network, "publicIPAddresses", $0.name) }.sorted()
    }

    private func prefixKey(_ reference: JSONValue) -> String {
        reference.text.flatMap { prefix($0) }?.key ?? ""
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
        return ARMResponse(200, renderNetwork(), headers: [("ETag", Self.constantETag)])
    }

    /// The network never changes, and so its etag does not.
    private static let constantETag = "W/\"00000000-0000-4000-8000-000000000001\""

    func renderNetwork() -> JSONValue {
        let network = configuration.virtualNetwork
        var prefixes = [JSONValue.string(network.addressPrefix)]
        prefixes += subnets.compactMap { $0.block(.ipv6) }.map { .string($0.description) }
        return [
            "name": .string(network.name), "id": .string(id(.network, "virtualNetworks", network.name)),
            "type": "Microsoft.Network/virtualNetworks", "location": .string(configuration.location),
            "etag": .string(Self.constantETag),
            "properties": [
                "provisioningState": "Succeeded", "addressSpace": ["addressPrefixes": .array(prefixes)],
                "subnets": .array(subnets.map(render(subnet:))), "virtualNetworkPeerings": [],
                "enableDdosProtection": false,
            ],
        ]
    }

    func getSubnet(_ network: String, _ name: String) throws(ARMFault) -> ARMResponse {
        try checkNetwork(network)
        guard let subnet = subnets.first(where: { $0.name.lowercased() == name.lowercased() }) else {
            throw .childNotFound(subnetID(name))
        }
        return ARMResponse(200, render(subnet: subnet), headers: [("ETag", Self.constantETag)])
    }

    func listSubnets(_ network: String, _ request: ARMRequest) throws(ARMFault) -> ARMResponse {
        try checkNetwork(network)
        return try list(subnets.map(render(subnet:)), request)
    }

    private func checkNetwork(_ name: String) throws(ARMFault) {
        guard name.lowercased() == configuration.virtualNetwork.name.lowercased() else {
            throw .resourceNotFound("Microsoft.Network/virtualNetworks", name, group: configuration.resourceGroup)
        }
    }

    private func render(subnet: Subnet) -> JSONValue {
        var value: JSONValue = [
            "name": .string(subnet.name), "id": .string(subnetID(subnet.name)),
            "type": "Microsoft.Network/virtualNetworks/subnets", "etag": .string(Self.constantETag),
            "properties": [
                "provisioningState": "Succeeded", "delegations": [],
                "privateEndpointNetworkPolicies": "Disabled", "privateLinkServiceNetworkPolicies": "Enabled",
            ],
        ]
        if subnet.blocks.count == 1 {
            value["properties.addressPrefix"] = .string(subnet.blocks[0].description)
        } else {
            value["properties.addressPrefixes"] = .array(subnet.blocks.map { .string($0.description) })
        }
        return value
    }
}
