import LinuxNet

/// Which addresses are in use, and which are free.
extension AzureState {
    /// Every network interface there is: of instances, and of their own.
    var allInterfaces: [LocatedInterface] {
        var result: [LocatedInterface] = []
        for scaleSet in scaleSets.values.sorted(by: { $0.name < $1.name }) {
            for instance in scaleSet.instances {
                result += instance.interfaces.map { locate($0, of: instance, scaleSet) }
            }
        }
        return result + networkInterfaces.values.sorted { $0.name < $1.name }.map(locate)
    }

    func locate(
        _ interface: InterfaceState, of instance: InstanceState, _ scaleSet: ScaleSetState
    ) -> LocatedInterface {
        LocatedInterface(
            id: "\(instanceID(scaleSet, instance.instanceID))/networkInterfaces/\(interface.name)",
            computerName: instance.computerName, scaleSet: scaleSet.name, instanceID: instance.instanceID,
            state: interface)
    }

    func locate(_ interface: NetworkInterfaceState) -> LocatedInterface {
        let id = id(.network, "networkInterfaces", interface.name)
        let machine = machine(ofInterface: id)
        return LocatedInterface(
            id: id, computerName: machine?.computerName ?? "", scaleSet: "", instanceID: machine?.name ?? "",
            state: interface.state)
    }

    var allIPConfigurations: [IPConfigurationState] {
        scaleSets.values.flatMap(\.instances).flatMap(\.interfaces).flatMap(\.ipConfigurations)
            + networkInterfaces.values.flatMap(\.state.ipConfigurations)
    }

    /// Every private address in use: frontends and ipConfigurations share the subnets.
    var usedPrivateAddresses: Set<AzureAddress> {
        var used = Set(loadBalancers.values.flatMap(\.frontendAddresses.values))
        for configuration in allIPConfigurations { used.insert(configuration.address) }
        return used
    }

    /// The first free address of a subnet. Azure keeps the first four and the last of each.
    func freePrivateAddress(
        in subnetID: String, family: IPAddress.Family = .ipv4, alsoUsed: Set<AzureAddress>
    ) throws(ARMFault) -> AzureAddress {
        guard let subnet = subnet(subnetID) else { throw .invalidReference(subnetID, from: "subnet") }
        guard let block = subnet.block(family) else {
            throw ARMFault(
                400, "InvalidParameter", "Subnet \(subnet.name) has no \(family == .ipv4 ? "IPv4" : "IPv6") prefix.",
                target: subnetID)
        }
        let used = usedPrivateAddresses.union(alsoUsed)
        guard let address = block.firstFree(reservedLow: 4, reservedHigh: 1, used: used) else {
            throw ARMFault(
                400, "SubnetIsFull",
                "Subnet \(subnet.name) with address prefix \(block) does not have enough capacity for 1 IP "
                    + "addresses.", target: subnetID)
        }
        return address
    }

    /// A static address that a request names: of the subnet, and nobody's but, perhaps, its own already.
    func staticAddress(
        _ text: String, in subnetID: String, family: IPAddress.Family = .ipv4, own: AzureAddress?,
        alsoUsed: Set<AzureAddress>, target: String
    ) throws(ARMFault) -> AzureAddress {
        guard let address = AzureAddress(text), let block = subnet(subnetID)?.block(family), block.contains(address),
            !block.isReserved(address)
        else {
            throw ARMFault(
                400, "PrivateIPAddressNotInSubnet",
                "Private static IP address \(text) does not belong to the range of subnet \(subnetID).",
                target: target)
        }
        guard address == own || !usedPrivateAddresses.union(alsoUsed).contains(address) else {
            throw ARMFault(
                400, "PrivateIPAddressIsAllocated",
                "IP configuration \(target) is using the private IP address \(text) which is already allocated.",
                target: target)
        }
        return address
    }

    /// Public addresses in use, of instances and of resources alike.
    var usedPublicAddresses: Set<AzureAddress> {
        var used = Set(publicAddresses.values.compactMap(\.address))
        for configuration in allIPConfigurations {
            if let address = configuration.publicAddress?.address { used.insert(address) }
        }
        return used
    }

    func freePublicAddress(in prefix: PrefixState, alsoUsed: Set<AzureAddress>) throws(ARMFault) -> AzureAddress {
        let used = alsoUsed.union(usedPublicAddresses)
        guard let address = prefix.block.firstFree(reservedLow: 0, reservedHigh: 0, used: used) else {
            throw .prefixExhausted(prefix.name, length: prefix.block.length)
        }
        return address
    }

    /// A free block of the public space; prefixes and single addresses share it.
    func freePublicBlock(length: Int, family: IPAddress.Family) throws(ARMFault) -> AzureBlock {
        let singles = usedPublicAddresses.filter { address in
            !prefixes.values.contains { $0.block.contains(address) }
        }
        let taken = prefixes.values.map(\.block) + singles.map(AzureBlock.init(host:))
        let space = publicSpaces.first { $0.family == family }
        guard let space, let block = space.firstFreeBlock(length: length, taken: taken) else {
            throw ARMFault(
                400, "PublicIPCountLimitReached",
                "No /\(length) is left in the public address space \(space?.description ?? "") of this simulator.")
        }
        return block
    }
}
