import JSONModel
import LinuxNet

/// Public addresses that are resources of their own: out of a prefix or alone.
extension AzureState {
    func getPublicAddress(_ name: String) throws(ARMFault) -> ARMResponse {
        guard let state = publicAddresses[name.lowercased()] else {
            throw .resourceNotFound("Microsoft.Network/publicIPAddresses", name, group: configuration.resourceGroup)
        }
        return ARMResponse(200, render(publicAddress: state), headers: [("ETag", state.etag)])
    }

    mutating func putPublicAddress(
        _ name: String, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        let key = name.lowercased()
        let old = publicAddresses[key]
        let id = id(.network, "publicIPAddresses", try resourceName(old?.name, name))
        var body = try accept(request, .network)
        try checkLocation(body)
        try checkMatch(request, etag: old?.etag, id: id, provider: .network)
        try checkIdle(id, base: request.base)
        let wanted = body["properties.ipAddress"]?.text
        body["properties.ipAddress"] = nil
        fillDefaults(&body)
        try check(body, old: old)
        var state =
            old
            ?? PublicAddressState(
                name: name, guid: identifiers.guid(), etag: "", body: body, address: nil)
        state.body = body
        state.etag = identifiers.networkETag()
        if !state.isAllocated { state.provisioningState = "Updating" }
        state.address = try address(for: state, wanted: wanted)
        publicAddresses[key] = state
        let headers = start(
            .publicAddressWritten(key), on: id, provider: .network, taking: configuration.latencies.publicIPAddress,
            request: request, now: now)
        return ARMResponse(old == nil ? 201 : 200, render(publicAddress: state), headers: headers)
    }

    private func fillDefaults(_ body: inout JSONValue) {
        if body["sku.name"] == nil { body["sku.name"] = "Basic" }
        if body["sku.tier"] == nil { body["sku.tier"] = "Regional" }
        let method: JSONValue = body["sku.name"]?.text == "Basic" ? "Dynamic" : "Static"
        let defaults: [(String, JSONValue)] = [
            ("publicIPAddressVersion", "IPv4"), ("publicIPAllocationMethod", method), ("idleTimeoutInMinutes", 4),
            ("ipTags", []),
        ]
        for (name, value) in defaults where body["properties.\(name)"] == nil { body["properties.\(name)"] = value }
    }

    private func check(_ body: JSONValue, old: PublicAddressState?) throws(ARMFault) {
        func refuse(_ message: String, _ target: String) -> ARMFault {
            ARMFault(400, "InvalidParameter", message, target: target)
        }
        let sku = body["sku.name"]?.text ?? ""
        guard ["Basic", "Standard"].contains(sku) else {
            throw refuse("This simulator has public addresses of SKU Basic and Standard only.", "sku.name")
        }
        let isStatic = body["properties.publicIPAllocationMethod"]?.text == "Static"
        guard isStatic || sku == "Basic" else {
            throw refuse(
                "A public address of SKU Standard must have publicIPAllocationMethod Static.",
                "properties.publicIPAllocationMethod")
        }
        if let idle = body["properties.idleTimeoutInMinutes"]?.int, !(4...30).contains(idle) {
            throw refuse("idleTimeoutInMinutes \(idle) is not in 4..30.", "properties.idleTimeoutInMinutes")
        }
        let version = body["properties.publicIPAddressVersion"]?.text
        if let reference = body["properties.publicIPPrefix"] {
            let path = "properties.publicIPPrefix"
            let id = try referenceID(reference, path: path)
            guard let prefix = prefix(id), prefix.provisioningState != "Deleting" else {
                throw .invalidReference(id, from: path)
            }
            guard prefix.isAllocated else { throw .notProvisioned(id) }
            guard sku == "Standard", isStatic, prefix.block.first.version == version else {
                throw refuse(
                    "An address of prefix \(id) must be Standard, Static and \(prefix.block.first.version).", path)
            }
        }
        guard let old else { return }
        for member in ["sku.name", "properties.publicIPAddressVersion", "properties.publicIPPrefix.id"]
        where body[member]?.text?.lowercased() != old.body[member]?.text?.lowercased() {
            throw ARMFault(
                400, "PropertyChangeNotAllowed", "Changing property '\(member)' is not allowed.", target: member)
        }
    }

    /// The address of a resource: what it has, what it asks for by number, or the next free one.
    private func address(for state: PublicAddressState, wanted: String?) throws(ARMFault) -> AzureAddress? {
        let path = "properties.ipAddress"
        if let own = state.address {
            guard wanted == nil || wanted.flatMap({ AzureAddress($0) }) == own else {
                throw ARMFault(
                    400, "PropertyChangeNotAllowed", "Changing property 'ipAddress' is not allowed.", target: path)
            }
            return own
        }
        let prefix = state.body["properties.publicIPPrefix.id"]?.text.flatMap { self.prefix($0) }
        if let wanted {
            guard let prefix, let address = AzureAddress(wanted), prefix.block.contains(address) else {
                throw ARMFault(
                    400, "InvalidParameter", "Address \(wanted) is not of the public IP prefix that is named.",
                    target: path)
            }
            guard !usedPublicAddresses.contains(address) else {
                throw ARMFault(
                    400, "PublicIPAddressInUse", "Address \(wanted) of prefix \(prefix.name) is in use.", target: path)
            }
            return address
        }
        if let prefix { return try freePublicAddress(in: prefix, alsoUsed: []) }
        guard state.body["properties.publicIPAllocationMethod"]?.text == "Static" else { return nil }
        let family: IPAddress.Family = state.version == "IPv6" ? .ipv6 : .ipv4
        return try freePublicBlock(length: family.bitCount, family: family).first
    }

    mutating func deletePublicAddress(
        _ name: String, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        let key = name.lowercased()
        guard let old = publicAddresses[key] else { return ARMResponse(204) }
        let id = id(.network, "publicIPAddresses", old.name)
        try checkMatch(request, etag: old.etag, id: id, provider: .network)
        try checkIdle(id, base: request.base)
        if let user = publicAddressUser(old.name) {
            throw ARMFault(
                400, "PublicIPAddressCannotBeDeleted",
                "Public IP address \(id) can not be deleted since it is still allocated to resource \(user).")
        }
        publicAddresses[key]?.provisioningState = "Deleting"
        let headers = start(
            .publicAddressDeleted(key), on: id, provider: .network, taking: configuration.latencies.publicIPAddress,
            request: request, now: now)
        return ARMResponse(202, headers: headers)
    }

    /// The id of the network interface whose body names a public address, or that still has it.
    func publicAddressUser(_ name: String) -> String? {
        let wanted = id(.network, "publicIPAddresses", name).lowercased()
        let user = networkInterfaces.values.first { interface in
            interface.ipConfigurations.contains {
                $0["properties.publicIPAddress.id"]?.text?.lowercased() == wanted
            }
                || interface.state.ipConfigurations.contains {
                    $0.publicAddress?.name.lowercased() == name.lowercased()
                }
        }
        return user.map { id(.network, "networkInterfaces", $0.name) }
    }

    mutating func allocatePublicAddress(_ key: String) {
        publicAddresses[key]?.isAllocated = true
    }

    func render(publicAddress state: PublicAddressState) -> JSONValue {
        var value = state.body
        value["name"] = .string(state.name)
        value["id"] = .string(id(.network, "publicIPAddresses", state.name))
        value["etag"] = .string(state.etag)
        value["type"] = "Microsoft.Network/publicIPAddresses"
        value["properties.provisioningState"] = .string(state.provisioningState)
        value["properties.resourceGuid"] = .string(state.guid)
        if state.isAllocated, let address = state.address {
            value["properties.ipAddress"] = .string(address.description)
        }
        for located in allInterfaces where located.scaleSet.isEmpty {
            for child in located.state.ipConfigurations
            where child.publicAddress?.name.lowercased() == state.name.lowercased() {
                value["properties.ipConfiguration"] = [
                    "id": .string("\(located.id)/ipConfigurations/\(child.name)")
                ]
            }
        }
        return value
    }
}
