import JSONModel
import LinuxNet

/// The network side of scale sets: what a NIC configuration may say, and what an instance gets from it.
extension AzureState {
    /// Fills in what the service does: the only NIC and its only ipConfiguration are primary, the IP version is IPv4.
    func withDefaults(networkConfigurations: [JSONValue]) -> [JSONValue] {
        networkConfigurations.map { configuration in
            var configuration = configuration
            let defaults: [(String, JSONValue)] = [
                ("enableAcceleratedNetworking", false), ("disableTcpStateTracking", false),
                ("dnsSettings", ["dnsServers": []]), ("enableIPForwarding", false),
            ]
            for (name, value) in defaults where configuration["properties.\(name)"] == nil {
                configuration["properties.\(name)"] = value
            }
            if networkConfigurations.count == 1, configuration["properties.primary"] == nil {
                configuration["properties.primary"] = true
            }
            let addresses = configuration["properties.ipConfigurations"]?.elements ?? []
            configuration["properties.ipConfigurations"] = .array(
                addresses.map { address in
                    var address = address
                    if address["properties.privateIPAddressVersion"] == nil {
                        address["properties.privateIPAddressVersion"] = "IPv4"
                    }
                    if addresses.count == 1, address["properties.primary"] == nil {
                        address["properties.primary"] = true
                    }
                    return address
                })
            return configuration
        }
    }

    /// Refuses NIC configurations that Azure would refuse.
    ///
    /// - Parameter instances: how many instances draw addresses from the prefixes named.
    func check(networkConfigurations: [JSONValue], instances: Int, path: String) throws(ARMFault) {
        try checkNames(networkConfigurations, path: path)
        guard networkConfigurations.filter({ $0["properties.primary"]?.bool == true }).count == 1 else {
            throw ARMFault(
                400, "InvalidParameter", "Exactly one network interface configuration must be primary.", target: path)
        }
        var pools: [String] = []
        for configuration in networkConfigurations {
            let name = configuration["name"]?.text ?? ""
            let children = configuration["properties.ipConfigurations"]?.elements ?? []
            let position = "\(path)[\(name)].properties.ipConfigurations"
            try checkShape(children, of: "Network interface configuration '\(name)'", path: position)
            var interfacePools: [String] = []
            for child in children {
                let childPath = "\(position)[\(child["name"]?.text ?? "")].properties"
                interfacePools += try checkIPConfiguration(child, instances: instances, path: childPath)
            }
            try checkRuleCount(ofPools: interfacePools, path: position)
            pools += interfacePools
        }
        let names = Set(pools.compactMap { loadBalancer(ofPool: $0)?.name })
        guard names.count <= 1 else {
            throw ARMFault(
                400, "VMScaleSetCannotUseMultipleLoadBalancersOfSameType",
                "Virtual machine scale set references more than one internal load balancer: "
                    + names.sorted().joined(separator: ", "), target: path)
        }
    }

    /// Names, number, and which one is primary: the same for every network interface.
    func checkShape(_ children: [JSONValue], of owner: String, path: String) throws(ARMFault) {
        try checkNames(children, path: path)
        let most = configuration.limits.ipConfigurationsPerInterface
        guard children.count <= most else {
            throw ARMFault(
                400, "NetworkInterfaceIpConfigurationCountLimitReached",
                "\(owner) has \(children.count) ipConfigurations; the limit is \(most).", target: path)
        }
        let primaries = children.filter { $0["properties.primary"]?.bool == true }
        guard primaries.count == 1 else {
            throw ARMFault(
                400, "InvalidParameter", "\(owner) must have exactly one primary ipConfiguration.", target: path)
        }
        let sixes = children.filter { $0["properties.privateIPAddressVersion"]?.text == "IPv6" }
        guard sixes.count <= 1, primaries[0]["properties.privateIPAddressVersion"]?.text != "IPv6" else {
            throw ARMFault(
                400, "InvalidParameter", "\(owner) may have one IPv6 ipConfiguration, and never as the primary one.",
                target: path)
        }
    }

    /// How many rules reach a network interface that is in these pools.
    func checkRuleCount(ofPools pools: [String], path: String) throws(ARMFault) {
        let wanted = Set(pools.map { $0.lowercased() })
        let rules = loadBalancers.values.flatMap { $0.children("loadBalancingRules") }
            .filter { wanted.contains($0["properties.backendAddressPool.id"]?.text?.lowercased() ?? "") }
        let most = configuration.limits.rulesPerInterface
        guard rules.count <= most else {
            throw ARMFault(
                400, "LoadBalancerRuleCountLimitReachedForNic",
                "\(rules.count) load balancing rules reach one network interface; the limit is \(most).",
                target: path)
        }
    }

    /// - Returns: ids of the backend pools that the ipConfiguration is in.
    private func checkIPConfiguration(_ child: JSONValue, instances: Int, path: String) throws(ARMFault) -> [String] {
        let version = child["properties.privateIPAddressVersion"]?.text ?? "IPv4"
        try checkSubnet(child["properties.subnet"], version: version, path: "\(path).subnet")
        if let publicAddress = child["properties.publicIPAddressConfiguration"] {
            try checkPublicAddress(
                publicAddress, instances: instances, version: version,
                path: "\(path).publicIPAddressConfiguration.properties")
        }
        return try checkPools(child, path: "\(path).loadBalancerBackendAddressPools")
    }

    func checkSubnet(_ reference: JSONValue?, version: String, path: String) throws(ARMFault) {
        let id = try referenceID(reference, path: path)
        guard let subnet = subnet(id) else { throw .invalidReference(id, from: path) }
        guard subnet.block(version == "IPv6" ? .ipv6 : .ipv4) != nil else {
            throw ARMFault(
                400, "InvalidParameter", "Subnet \(subnet.name) has no \(version) address prefix.", target: path)
        }
    }

    /// - Returns: ids of the backend pools that an ipConfiguration names, each of which exists.
    func checkPools(_ child: JSONValue, path: String) throws(ARMFault) -> [String] {
        var ids: [String] = []
        for pool in child["properties.loadBalancerBackendAddressPools"]?.elements ?? [] {
            let id = try referenceID(pool, path: path)
            guard loadBalancer(ofPool: id) != nil else { throw .invalidReference(id, from: path) }
            ids.append(id)
        }
        return ids
    }

    private func checkPublicAddress(
        _ value: JSONValue, instances: Int, version: String, path: String
    ) throws(ARMFault) {
        guard value["properties.publicIPPrefix"] != nil else {
            throw ARMFault(
                400, "InvalidParameter", "This simulator gives public addresses to instances from a prefix only.",
                target: "\(path).publicIPPrefix")
        }
        let id = try referenceID(value["properties.publicIPPrefix"], path: "\(path).publicIPPrefix")
        guard let prefix = prefix(id), prefix.provisioningState != "Deleting" else {
            throw .invalidReference(id, from: "\(path).publicIPPrefix")
        }
        guard prefix.isAllocated else { throw .notProvisioned(id) }
        guard prefix.block.first.version == version else {
            throw ARMFault(
                400, "InvalidParameter", "Public IP prefix \(id) is not of IP version \(version).",
                target: "\(path).publicIPPrefix")
        }
        guard prefix.block.count >= UInt128(instances) else {
            throw .prefixExhausted(prefix.name, length: prefix.block.length)
        }
    }

    func checkNames(_ children: [JSONValue], path: String) throws(ARMFault) {
        var seen = Set<String>()
        for child in children {
            guard let name = child["name"]?.text, !name.isEmpty, name.utf8.count <= 80 else {
                throw ARMFault(400, "InvalidRequestFormat", "A name of 1 to 80 characters is required.", target: path)
            }
            guard seen.insert(name.lowercased()).inserted else {
                throw ARMFault(400, "InvalidRequestFormat", "The name '\(name)' is used twice.", target: path)
            }
        }
        guard !children.isEmpty else {
            throw ARMFault(400, "InvalidParameter", "At least one element is required.", target: path)
        }
    }

    /// Brings the NICs of an instance to what its own model says: addresses of unchanged ipConfigurations stay, the
    /// rest are given out or returned.
    mutating func realise(instance instanceID: String, of scaleSet: String) throws(ARMFault) {
        guard let index = scaleSets[scaleSet]?.instances.firstIndex(where: { $0.instanceID == instanceID }),
            let instance = scaleSets[scaleSet]?.instances[index]
        else { return }
        scaleSets[scaleSet]?.instances[index].interfaces = instance.withoutDroppedConfigurations
        let interfaces: [InterfaceState]
        do {
            interfaces = try wantedInterfaces(of: instance)
        } catch {
            scaleSets[scaleSet]?.instances[index] = instance
            throw error
        }
        let pools = Set((instance.interfaces + interfaces).flatMap(\.ipConfigurations).flatMap(\.backendPools))
        let changed = instance.interfaces.map(\.ipConfigurations) != interfaces.map(\.ipConfigurations)
        scaleSets[scaleSet]?.instances[index].interfaces = interfaces
        if changed { touchLoadBalancers(ofPools: pools) }
    }

    /// The NICs that an instance's model asks for, with addresses.
    private mutating func wantedInterfaces(of instance: InstanceState) throws(ARMFault) -> [InterfaceState] {
        var interfaces: [InterfaceState] = []
        var given = Set<AzureAddress>()
        for configuration in instance.networkConfigurations {
            let name = configuration["name"]?.text ?? ""
            let old = instance.interfaces.first { $0.name.lowercased() == name.lowercased() }
            var children: [IPConfigurationState] = []
            for child in configuration["properties.ipConfigurations"]?.elements ?? [] {
                let state = try realise(child, old: old, given: given)
                given.insert(state.address)
                if let address = state.publicAddress?.address { given.insert(address) }
                children.append(state)
            }
            let changed = old?.ipConfigurations != children
            interfaces.append(
                InterfaceState(
                    name: name, isPrimary: configuration["properties.primary"]?.bool == true,
                    macAddress: old?.macAddress ?? makeMACAddress(),
                    etag: changed ? identifiers.networkETag() : old?.etag ?? identifiers.networkETag(),
                    ipConfigurations: children))
        }
        return interfaces
    }

    private func realise(
        _ child: JSONValue, old interface: InterfaceState?, given: Set<AzureAddress>
    ) throws(ARMFault) -> IPConfigurationState {
        let name = child["name"]?.text ?? ""
        let subnetID = child["properties.subnet.id"]?.text ?? ""
        let old = interface?.ipConfigurations.first { $0.name.lowercased() == name.lowercased() }
        let kept = old?.subnetID.lowercased() == subnetID.lowercased() ? old?.address : nil
        let address: AzureAddress
        if let kept {
            address = kept
        } else {
            let isIPv6 = child["properties.privateIPAddressVersion"]?.text == "IPv6"
            address = try freePrivateAddress(in: subnetID, family: isIPv6 ? .ipv6 : .ipv4, alsoUsed: given)
        }
        var publicAddress: IPConfigurationState.PublicAddress?
        if let wanted = child["properties.publicIPAddressConfiguration"],
            let prefixID = wanted["properties.publicIPPrefix.id"]?.text
        {
            guard let prefix = prefix(prefixID) else { throw .invalidReference(prefixID, from: "publicIPPrefix") }
            let wantedName = wanted["name"]?.text ?? ""
            if let same = old?.publicAddress, same.prefix == prefix.name.lowercased(), same.name == wantedName {
                publicAddress = same
            } else {
                publicAddress = .init(
                    name: wantedName, address: try freePublicAddress(in: prefix, alsoUsed: given),
                    prefix: prefix.name.lowercased())
            }
        }
        return IPConfigurationState(
            name: name, isPrimary: child["properties.primary"]?.bool == true, subnetID: subnetID, address: address,
            publicAddress: publicAddress,
            backendPools: (child["properties.loadBalancerBackendAddressPools"]?.elements ?? [])
                .compactMap { $0["id"]?.text })
    }

    /// A changed member of a pool changes the etag of its load balancer, too.
    mutating func touchLoadBalancers(ofPools pools: Set<String>) {
        for name in Set(pools.compactMap { ARMResourceID($0)?.segments.first?.name.lowercased() }) {
            loadBalancers[name]?.etag = identifiers.networkETag()
        }
    }

    /// An address of Microsoft's own block 00-0D-3A, as Azure's NICs have.
    mutating func makeMACAddress() -> String {
        let tail = (0..<3).map { _ in
            let digits = String(UInt8.random(in: .min ... .max, using: &identifiers), radix: 16, uppercase: true)
            return digits.count == 1 ? "0" + digits : digits
        }
        return (["00", "0D", "3A"] + tail).joined(separator: "-")
    }
}

extension ARMFault {
    /// A resource that is named is not ready; a lock, not throttling.
    static func notProvisioned(_ id: String) -> ARMFault {
        ARMFault(
            429, "RetryableError", "A retryable error occurred.",
            details: [
                ARMFault.Detail(
                    code: "ReferencedResourceNotProvisioned",
                    message: "Cannot proceed with operation because resource \(id) is not in Succeeded state.")
            ])
    }
}
