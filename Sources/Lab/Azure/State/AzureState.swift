import JSONModel

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// All that the simulated subscription holds. A value: requests and the passing of time change it, nothing else does,
/// and it does no IO.
struct AzureState: Sendable {
    let configuration: AzureSimulator.Configuration
    let subnets: [(name: String, block: AzureBlock)]
    let publicSpace: AzureBlock
    /// The wall-clock time that every `now` counts from; only answers show it.
    let epoch: Date
    var identifiers: ARMIdentifiers
    /// Keyed by lower-case name, as the other collections.
    var loadBalancers: [String: LoadBalancerState] = [:]
    var prefixes: [String: PrefixState] = [:]
    var scaleSets: [String: ScaleSetState] = [:]
    var operations: [String: OperationState] = [:]
    /// Operation ids, oldest first; bounded by ``keptOperations``.
    var operationOrder: [String] = []
    /// Tokens given out and when they end.
    var tokens: [String: Duration] = [:]

    static let keptOperations = 1000
    static let tokenLifetime = Duration.seconds(3600)

    /// - Throws: ``AzureSimulator/StartError`` that names the field and the value.
    init(_ configuration: AzureSimulator.Configuration, epoch: Date) throws {
        func block(_ text: String, _ field: String) throws -> AzureBlock {
            guard let block = AzureBlock(text) else {
                throw AzureSimulator.StartError(
                    code: .configuration, message: "\(field): \"\(text)\" is no aligned IPv4 CIDR like 10.243.0.0/16")
            }
            return block
        }
        self.configuration = configuration
        self.epoch = epoch
        identifiers = ARMIdentifiers(seed: configuration.seed)
        publicSpace = try block(configuration.publicAddressSpace, "publicAddressSpace")
        let network = try block(configuration.virtualNetwork.addressPrefix, "virtualNetwork.addressPrefix")
        var subnets: [(name: String, block: AzureBlock)] = []
        for subnet in configuration.virtualNetwork.subnets {
            let range = try block(subnet.addressPrefix, "subnet \(subnet.name): addressPrefix")
            guard network.contains(range), !subnets.contains(where: { $0.block.overlaps(range) }) else {
                throw AzureSimulator.StartError(
                    code: .configuration,
                    message: "subnet \(subnet.name): addressPrefix \(range) must lie in \(network) and overlap no other"
                )
            }
            subnets.append((subnet.name, range))
        }
        self.subnets = subnets
        for scaleSet in configuration.scaleSets { try addScaleSet(scaleSet) }
    }

    private mutating func addScaleSet(_ wanted: AzureSimulator.ScaleSet) throws {
        guard subnets.contains(where: { $0.name.lowercased() == wanted.subnet.lowercased() }) else {
            throw AzureSimulator.StartError(
                code: .configuration,
                message: "scale set \(wanted.name): subnet \"\(wanted.subnet)\" is none of "
                    + subnets.map(\.name).joined(separator: ", "))
        }
        let interface: JSONValue = [
            "name": .string(wanted.name),
            "properties": [
                "primary": true, "enableAcceleratedNetworking": false, "disableTcpStateTracking": false,
                "dnsSettings": ["dnsServers": []], "enableIPForwarding": true,
                "ipConfigurations": [
                    [
                        "name": "ipconfig1",
                        "properties": [
                            "primary": true, "privateIPAddressVersion": "IPv4",
                            "subnet": ["id": .string(subnetID(wanted.subnet))],
                        ],
                    ]
                ],
            ],
        ]
        let body: JSONValue = [
            "location": .string(configuration.location),
            "sku": [
                "name": "Standard_D2s_v3", "tier": "Standard", "capacity": .integer(Int64(wanted.computerNames.count)),
            ],
            "tags": .object(wanted.tags.mapValues(JSONValue.string)),
            "properties": [
                "orchestrationMode": "Uniform", "overprovision": false, "singlePlacementGroup": false,
                "upgradePolicy": ["mode": "Manual"],
                "virtualMachineProfile": [
                    "osProfile": ["computerNamePrefix": .string(wanted.name), "adminUsername": "azureuser"],
                    "networkProfile": ["networkInterfaceConfigurations": [interface]],
                ],
            ],
        ]
        scaleSets[wanted.name.lowercased()] = ScaleSetState(
            name: wanted.name, uniqueID: wanted.uniqueID ?? identifiers.guid(), body: body, instances: [])
        for (index, computerName) in wanted.computerNames.enumerated() {
            let profile: JSONValue = ["networkInterfaceConfigurations": [interface]]
            let instance = InstanceState(
                instanceID: String(index), computerName: computerName, vmID: identifiers.guid(),
                networkProfile: profile, interfaces: [])
            scaleSets[wanted.name.lowercased()]?.instances.append(instance)
            do {
                try realise(instance: String(index), of: wanted.name.lowercased())
            } catch {
                throw AzureSimulator.StartError(
                    code: .configuration, message: "scale set \(wanted.name): \(computerName): \(error.message)")
            }
        }
    }
}

// MARK: - Names

extension AzureState {
    var subscriptionID: String { "/subscriptions/\(configuration.subscription)" }

    /// The id of a resource of ours, in the service's own casing.
    func id(_ provider: ARMProvider, _ path: String...) -> String {
        "\(subscriptionID)/resourceGroups/\(configuration.resourceGroup)/providers/\(provider.rawValue)/"
            + path.joined(separator: "/")
    }

    func subnetID(_ name: String) -> String {
        id(.network, "virtualNetworks", configuration.virtualNetwork.name, "subnets", name)
    }

    /// The names in an id of this subscription and resource group, if it is of these types; nil otherwise.
    func names(in id: String, _ provider: ARMProvider, _ types: String...) -> [String]? {
        guard let parsed = ARMResourceID(id),
            parsed.subscription.lowercased() == configuration.subscription.lowercased(),
            parsed.resourceGroup.lowercased() == configuration.resourceGroup.lowercased(),
            parsed.provider.lowercased() == provider.rawValue.lowercased(),
            types.map({ $0.lowercased() }) == parsed.segments.map({ $0.type.lowercased() })
        else { return nil }
        return parsed.segments.map(\.name)
    }

    /// The subnet that an id names.
    func subnet(_ id: String) -> (name: String, block: AzureBlock)? {
        guard let names = names(in: id, .network, "virtualNetworks", "subnets"),
            names[0].lowercased() == configuration.virtualNetwork.name.lowercased()
        else { return nil }
        return subnets.first { $0.name.lowercased() == names[1].lowercased() }
    }

    /// The prefix that an id names.
    func prefix(_ id: String) -> PrefixState? {
        names(in: id, .network, "publicIPPrefixes").flatMap { prefixes[$0[0].lowercased()] }
    }

    /// - Throws: ``ARMFault`` if `value` holds no well-formed id at `path`.
    func referenceID(_ value: JSONValue?, path: String) throws(ARMFault) -> String {
        let text = value?["id"]?.text ?? ""
        guard ARMResourceID(text) != nil else {
            throw ARMFault(
                400, "LinkedInvalidPropertyId",
                "Property id '\(text)' at path '\(path).id' is invalid. Expect fully qualified resource Id that start "
                    + "with '/subscriptions/{subscriptionId}' or '/providers/{resourceProviderNamespace}/'.",
                target: "\(path).id")
        }
        return text
    }
}

// MARK: - Addresses

extension AzureState {
    /// Every private address in use: frontends and ipConfigurations share the subnets.
    var usedPrivateAddresses: Set<AzureAddress> {
        var used = Set(loadBalancers.values.flatMap(\.frontendAddresses.values))
        for configuration in allIPConfigurations { used.insert(configuration.address) }
        return used
    }

    var allIPConfigurations: [IPConfigurationState] {
        scaleSets.values.flatMap(\.instances).flatMap(\.interfaces).flatMap(\.ipConfigurations)
    }

    /// The first free address of a subnet. Azure keeps the first four and the last of each.
    func freePrivateAddress(in subnetID: String, alsoUsed: Set<AzureAddress>) throws(ARMFault) -> AzureAddress {
        guard let subnet = subnet(subnetID) else { throw .invalidReference(subnetID, from: "subnet") }
        let used = usedPrivateAddresses.union(alsoUsed)
        guard let address = subnet.block.firstFree(reservedLow: 4, reservedHigh: 1, used: used) else {
            throw ARMFault(
                400, "SubnetIsFull",
                "Subnet \(subnet.name) with address prefix \(subnet.block) does not have enough capacity for 1 IP "
                    + "addresses.", target: subnetID)
        }
        return address
    }

    func freePublicAddress(in prefix: PrefixState, alsoUsed: Set<AzureAddress>) throws(ARMFault) -> AzureAddress {
        let used = alsoUsed.union(allIPConfigurations.compactMap { $0.publicAddress?.address })
        guard let address = prefix.block.firstFree(reservedLow: 0, reservedHigh: 0, used: used) else {
            throw .prefixExhausted(prefix.name, length: prefix.block.length)
        }
        return address
    }
}

extension ARMFault {
    static func prefixExhausted(_ name: String, length: Int) -> ARMFault {
        ARMFault(
            400, "PublicIpPrefixOutOfIpAddressesForVMScaleSet",
            "Public IP prefix \(name) of length \(length) does not have enough addresses for every instance of the "
                + "virtual machine scale set.", target: name)
    }
}
