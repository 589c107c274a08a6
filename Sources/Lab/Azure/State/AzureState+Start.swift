import JSONModel

/// What is there when the simulator starts: scale sets with their instances, and pools of standalone machines.
extension AzureState {
    mutating func addScaleSet(_ wanted: AzureSimulator.ScaleSet) throws {
        try checkSubnet(wanted.subnet, of: "scale set \(wanted.name)")
        let body: JSONValue = [
            "location": .string(configuration.location),
            "sku": [
                "name": "Standard_D2s_v3", "tier": "Standard", "capacity": .integer(Int64(wanted.computerNames.count)),
            ],
            "tags": .object(wanted.tags.mapValues(JSONValue.string)),
            "properties": [
                "orchestrationMode": "Uniform", "overprovision": false, "singlePlacementGroup": false,
                "upgradePolicy": ["mode": .string(wanted.upgradePolicy.rawValue)],
                "virtualMachineProfile": [
                    "osProfile": ["computerNamePrefix": .string(wanted.name), "adminUsername": "azureuser"],
                    "networkProfile": ["networkInterfaceConfigurations": [initialInterface(of: wanted)]],
                ],
            ],
        ]
        scaleSets[wanted.name.lowercased()] = ScaleSetState(
            name: wanted.name, uniqueID: wanted.uniqueID ?? identifiers.guid(), body: body, instances: [])
        for computerName in wanted.computerNames {
            do {
                try addInstance(to: wanted.name.lowercased(), computerName: computerName)
            } catch {
                throw AzureSimulator.StartError(
                    code: .configuration, message: "scale set \(wanted.name): \(computerName): \(error.message)")
            }
        }
    }

    private func initialInterface(of wanted: AzureSimulator.ScaleSet) -> JSONValue {
        [
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
    }

    mutating func addMachinePool(_ pool: AzureSimulator.MachinePool) throws {
        try checkSubnet(pool.subnet, of: "machine pool")
        for machine in pool.machines {
            let interface: JSONValue = [
                "location": .string(configuration.location),
                "tags": .object(pool.interfaceTags.mapValues(JSONValue.string)),
                "properties": [
                    "enableIPForwarding": true,
                    "ipConfigurations": [
                        [
                            "name": "ipconfig1",
                            "properties": [
                                "primary": true, "privateIPAddressVersion": "IPv4",
                                "privateIPAllocationMethod": "Dynamic",
                                "subnet": ["id": .string(subnetID(pool.subnet))],
                            ],
                        ]
                    ],
                ],
            ]
            let interfaceKey = machine.networkInterface.lowercased()
            guard machines[machine.name.lowercased()] == nil, networkInterfaces[interfaceKey] == nil else {
                throw AzureSimulator.StartError(
                    code: .configuration,
                    message: "machine \(machine.name): its name or that of \(machine.networkInterface) is used twice")
            }
            addInterface(named: machine.networkInterface, body: interface)
            do {
                try realise(networkInterface: interfaceKey)
            } catch {
                throw AzureSimulator.StartError(
                    code: .configuration, message: "machine \(machine.name): \(error.message)")
            }
            var tags = pool.tags
            tags["aks-managed-nic-name"] = machine.networkInterface
            addMachine(machine, tags: tags)
        }
    }

    private mutating func addMachine(_ machine: AzureSimulator.MachinePool.Machine, tags: [String: String]) {
        var body: JSONValue = [
            "location": .string(configuration.location), "tags": .object(tags.mapValues(JSONValue.string)),
            "properties": [
                "hardwareProfile": ["vmSize": "Standard_D2s_v3"],
                "osProfile": ["computerName": .string(machine.name), "adminUsername": "azureuser"],
                "networkProfile": [
                    "networkInterfaces": [
                        [
                            "id": .string(id(.network, "networkInterfaces", machine.networkInterface)),
                            "properties": ["primary": true],
                        ]
                    ]
                ],
            ],
        ]
        if let zone = machine.zone { body["zones"] = [.string(zone)] }
        machines[machine.name.lowercased()] = MachineState(name: machine.name, vmID: identifiers.guid(), body: body)
    }

    private func checkSubnet(_ name: String, of owner: String) throws {
        guard subnets.contains(where: { $0.name.lowercased() == name.lowercased() }) else {
            throw AzureSimulator.StartError(
                code: .configuration,
                message: "\(owner): subnet \"\(name)\" is none of " + subnets.map(\.name).joined(separator: ", "))
        }
    }
}
