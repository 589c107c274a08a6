import JSONModel
import LinuxNet

/// Network interfaces that are resources of their own: PUT replaces, as everywhere in Microsoft.Network. One that
/// belongs to no machine is done when it is answered.
extension AzureState {
    func getInterface(_ name: String) throws(ARMFault) -> ARMResponse {
        guard let state = networkInterfaces[name.lowercased()] else {
            throw .resourceNotFound("Microsoft.Network/networkInterfaces", name, group: configuration.resourceGroup)
        }
        return ARMResponse(200, render(networkInterface: state), headers: [("ETag", state.state.etag)])
    }

    mutating func putInterface(_ name: String, _ request: ARMRequest, now: Duration) throws(ARMFault) -> ARMResponse {
        let key = name.lowercased()
        let old = networkInterfaces[key]
        let id = id(.network, "networkInterfaces", try resourceName(old?.name, name))
        let given = try accept(request, .network)
        try checkLocation(given)
        try checkMatch(request, etag: old?.state.etag, id: id, provider: .network)
        try checkIdle(id, base: request.base)
        let body = withDefaults(networkInterface: given)
        try check(networkInterface: body, id: id, old: old)
        addInterface(named: name, body: body)
        guard machine(ofInterface: id) != nil else {
            do {
                try realise(networkInterface: key)
            } catch {
                networkInterfaces[key] = old
                throw error
            }
            return ARMResponse(old == nil ? 201 : 200, networkInterfaces[key].map(render(networkInterface:)))
        }
        networkInterfaces[key]?.provisioningState = "Updating"
        networkInterfaces[key]?.state.etag = identifiers.networkETag()
        let headers = start(
            .interfaceWritten(key), on: id, provider: .network, taking: configuration.latencies.networkInterface,
            request: request, now: now)
        return ARMResponse(
            200, networkInterfaces[key].map(render(networkInterface:)), headers: headers)
    }

    mutating func deleteInterface(
        _ name: String, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        let key = name.lowercased()
        guard let old = networkInterfaces[key] else { return ARMResponse(204) }
        let id = id(.network, "networkInterfaces", old.name)
        try checkMatch(request, etag: old.state.etag, id: id, provider: .network)
        try checkIdle(id, base: request.base)
        if let machine = machine(ofInterface: id) {
            throw ARMFault(
                400, "NicInUse",
                "Network Interface \(id) is used by existing resource "
                    + "\(self.id(.compute, "virtualMachines", machine.name)). In order to delete the network interface, "
                    + "it must be dissociated from the resource.")
        }
        networkInterfaces[key]?.provisioningState = "Deleting"
        let headers = start(
            .interfaceDeleted(key), on: id, provider: .network, taking: .constant(.zero), request: request, now: now)
        // Recorded: 200 for one that never had a machine, 202 for one whose machine has gone.
        return ARMResponse(old.reservation == nil ? 200 : 202, headers: headers)
    }

    /// - Throws: ``ARMFault`` while another machine, which is gone, keeps the network interface.
    func checkReservation(
        _ interface: NetworkInterfaceState, for machine: String, now: Duration
    ) throws(ARMFault) {
        guard let reservation = interface.reservation, reservation.until > now,
            reservation.machine.lowercased() != machine.lowercased()
        else { return }
        throw ARMFault(
            400, "NicReservedForAnotherVm",
            "Nic(s) in request is reserved for another Virtual Machine for 180 seconds. Please provide another nic(s) "
                + "or retry after 180 seconds. Reserved VM: \(id(.compute, "virtualMachines", reservation.machine))")
    }

    /// Stores what was asked for; what the interface really has stays until ``realise(networkInterface:)``.
    mutating func addInterface(named name: String, body: JSONValue) {
        let key = name.lowercased()
        if networkInterfaces[key] == nil {
            networkInterfaces[key] = NetworkInterfaceState(
                name: name, guid: identifiers.guid(), body: body,
                state: InterfaceState(
                    name: name, isPrimary: true, macAddress: makeMACAddress(), etag: identifiers.networkETag(),
                    ipConfigurations: []))
        }
        networkInterfaces[key]?.body = body
    }

    private func withDefaults(networkInterface given: JSONValue) -> JSONValue {
        var body = given
        let defaults: [(String, JSONValue)] = [
            ("dnsSettings", ["dnsServers": []]), ("enableAcceleratedNetworking", false), ("enableIPForwarding", false),
            ("disableTcpStateTracking", false), ("nicType", "Standard"), ("auxiliaryMode", "None"),
            ("auxiliarySku", "None"),
        ]
        for (name, value) in defaults where body["properties.\(name)"] == nil { body["properties.\(name)"] = value }
        let children = body["properties.ipConfigurations"]?.elements ?? []
        body["properties.ipConfigurations"] = .array(
            children.map { child in
                var child = child
                for (name, value) in [("privateIPAllocationMethod", "Dynamic"), ("privateIPAddressVersion", "IPv4")]
                where child["properties.\(name)"] == nil {
                    child["properties.\(name)"] = .string(value)
                }
                if children.count == 1, child["properties.primary"] == nil { child["properties.primary"] = true }
                // A dynamic address is the service's to give, so one that was read and sent back is no wish.
                if child["properties.privateIPAllocationMethod"]?.text == "Dynamic" {
                    child["properties.privateIPAddress"] = nil
                }
                child["id"] = nil
                child["type"] = nil
                return child
            })
        return body
    }

    private func check(networkInterface body: JSONValue, id: String, old: NetworkInterfaceState?) throws(ARMFault) {
        let path = "properties.ipConfigurations"
        let children = body[path]?.elements ?? []
        try checkShape(children, of: "Network interface \(id)", path: path)
        var pools: [String] = []
        var publicAddressIDs = Set<String>()
        for child in children {
            let position = "\(path)[\(child["name"]?.text ?? "")].properties"
            let version = child["properties.privateIPAddressVersion"]?.text ?? "IPv4"
            try checkSubnet(child["properties.subnet"], version: version, path: "\(position).subnet")
            if let reference = child["properties.publicIPAddress"] {
                let address = try checkPublicAddress(
                    reference, version: version, user: id, path: "\(position).publicIPAddress")
                guard publicAddressIDs.insert(address).inserted else {
                    throw ARMFault(
                        400, "PublicIPReferencedByMultipleIPConfigs",
                        "Public IP address \(address) is referenced by multiple ipConfigurations.", target: position)
                }
            }
            pools += try checkPools(child, path: "\(position).loadBalancerBackendAddressPools")
        }
        guard Set(pools.compactMap { loadBalancer(ofPool: $0)?.name }).count <= 1 else {
            throw ARMFault(
                400, "AnotherInternalLoadBalancerExists",
                "Network interface \(id) references more than one internal load balancer.", target: path)
        }
        try checkRuleCount(ofPools: pools, path: path)
    }

    /// - Returns: the lower-case id of the public address, which exists, is ready and belongs to nobody else.
    private func checkPublicAddress(
        _ reference: JSONValue, version: String, user: String, path: String
    ) throws(ARMFault) -> String {
        let id = try referenceID(reference, path: path)
        guard let name = names(in: id, .network, "publicIPAddresses")?.first,
            let state = publicAddresses[name.lowercased()], state.provisioningState != "Deleting"
        else { throw .invalidReference(id, from: path) }
        guard state.isAllocated else { throw .notProvisioned(id) }
        guard state.version == version else {
            throw ARMFault(
                400, "InvalidParameter",
                "Public IP address \(id) is \(state.version), its ipConfiguration is \(version).", target: path)
        }
        if let other = publicAddressUser(state.name), other.lowercased() != user.lowercased() {
            throw ARMFault(
                400, "PublicIPAddressInUse",
                "Resource \(user) is referencing public IP address \(id) that is already allocated to resource "
                    + "\(other).", target: path)
        }
        return id.lowercased()
    }
}

// MARK: - What an operation brings about

extension AzureState {
    /// Brings a network interface to what its body says: addresses of unchanged ipConfigurations stay, the rest are
    /// given out or returned.
    mutating func realise(networkInterface key: String) throws(ARMFault) {
        guard let old = networkInterfaces[key] else { return }
        let wanted = Set(old.ipConfigurations.compactMap { $0["name"]?.text?.lowercased() })
        networkInterfaces[key]?.state.ipConfigurations.removeAll { !wanted.contains($0.name.lowercased()) }
        var children: [IPConfigurationState] = []
        do {
            for child in old.ipConfigurations {
                children.append(try realise(child, of: old.state, given: Set(children.map(\.address))))
            }
        } catch {
            networkInterfaces[key]?.state.ipConfigurations = old.state.ipConfigurations
            throw error
        }
        let changed = children != old.state.ipConfigurations
        networkInterfaces[key]?.state.ipConfigurations = children
        networkInterfaces[key]?.state.etag = identifiers.networkETag()
        let pools = Set((children + old.state.ipConfigurations).flatMap(\.backendPools))
        if changed { touchLoadBalancers(ofPools: pools) }
    }

    private mutating func realise(
        _ child: JSONValue, of interface: InterfaceState, given: Set<AzureAddress>
    ) throws(ARMFault) -> IPConfigurationState {
        let name = child["name"]?.text ?? ""
        let subnetID = child["properties.subnet.id"]?.text ?? ""
        let family = child["properties.privateIPAddressVersion"]?.text == "IPv6" ? IPAddress.Family.ipv6 : .ipv4
        let old = interface.ipConfigurations.first { $0.name.lowercased() == name.lowercased() }
        let kept = old?.subnetID.lowercased() == subnetID.lowercased() ? old?.address : nil
        let address: AzureAddress
        if child["properties.privateIPAllocationMethod"]?.text == "Static",
            let text = child["properties.privateIPAddress"]?.text
        {
            address = try staticAddress(
                text, in: subnetID, family: family, own: kept, alsoUsed: given, target: name)
        } else if let kept {
            address = kept
        } else {
            address = try freePrivateAddress(in: subnetID, family: family, alsoUsed: given)
        }
        return IPConfigurationState(
            name: name, isPrimary: child["properties.primary"]?.bool == true, subnetID: subnetID, address: address,
            publicAddress: try attachedAddress(child["properties.publicIPAddress.id"]?.text),
            backendPools: (child["properties.loadBalancerBackendAddressPools"]?.elements ?? [])
                .compactMap { $0["id"]?.text })
    }

    private mutating func attachedAddress(
        _ id: String?
    ) throws(ARMFault) -> IPConfigurationState.PublicAddress? {
        guard let id, let key = names(in: id, .network, "publicIPAddresses")?.first?.lowercased(),
            let state = publicAddresses[key]
        else { return nil }
        let address: AzureAddress
        if let own = state.address {
            address = own
        } else {
            address = try freePublicBlock(length: 32, family: .ipv4).first
            publicAddresses[key]?.address = address
        }
        let prefixID = state.body["properties.publicIPPrefix.id"]?.text
        return .init(name: state.name, address: address, prefix: prefixID.flatMap { prefix($0)?.key })
    }

    mutating func removeInterface(_ key: String) {
        guard let state = networkInterfaces.removeValue(forKey: key) else { return }
        touchLoadBalancers(ofPools: Set(state.state.ipConfigurations.flatMap(\.backendPools)))
    }

    /// The network interface as the service answers it: addresses as they are, the rest as asked for.
    func render(networkInterface state: NetworkInterfaceState) -> JSONValue {
        let id = id(.network, "networkInterfaces", state.name)
        var value = state.body
        value["name"] = .string(state.name)
        value["id"] = .string(id)
        value["etag"] = .string(state.state.etag)
        value["type"] = "Microsoft.Network/networkInterfaces"
        value["kind"] = "Regular"
        value["properties.provisioningState"] = .string(state.provisioningState)
        value["properties.resourceGuid"] = .string(state.guid)
        let constants: [(String, JSONValue)] = [
            ("vnetEncryptionSupported", false), ("hostedWorkloads", []), ("tapConfigurations", []),
            ("allowPort25Out", true), ("defaultOutboundConnectivityEnabled", false),
        ]
        for (name, constant) in constants { value["properties.\(name)"] = constant }
        value["properties.dnsSettings.appliedDnsServers"] = []
        value["properties.dnsSettings.internalDomainNameSuffix"] = "bx.internal.cloudapp.net"
        if let machine = machine(ofInterface: id) {
            value["properties.macAddress"] = .string(state.state.macAddress)
            value["properties.primary"] = .bool(machine.interfaceIDs.first?.lowercased() == id.lowercased())
            value["properties.virtualMachine"] = ["id": .string(self.id(.compute, "virtualMachines", machine.name))]
        }
        value["properties.ipConfigurations"] = .array(
            state.ipConfigurations.map { child in
                let name = child["name"]?.text ?? ""
                let real = state.state.ipConfigurations.first { $0.name.lowercased() == name.lowercased() }
                var child = child
                child["id"] = .string("\(id)/ipConfigurations/\(name)")
                child["etag"] = .string(state.state.etag)
                child["type"] = "Microsoft.Network/networkInterfaces/ipConfigurations"
                child["properties.provisioningState"] = .string(state.provisioningState)
                if child["properties.primary"] == nil { child["properties.primary"] = false }
                if let real { child["properties.privateIPAddress"] = .string(real.address.description) }
                return child
            })
        return value
    }
}
