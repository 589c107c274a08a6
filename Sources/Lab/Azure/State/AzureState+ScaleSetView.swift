import JSONModel

/// Scale sets, instances and their network interfaces as the service answers them.
extension AzureState {
    func instanceID(_ scaleSet: ScaleSetState, _ instance: String) -> String {
        id(.compute, "virtualMachineScaleSets", scaleSet.name, "virtualMachines", instance)
    }

    func render(scaleSet state: ScaleSetState) -> JSONValue {
        var value = state.body
        value["name"] = .string(state.name)
        value["id"] = .string(id(.compute, "virtualMachineScaleSets", state.name))
        value["type"] = "Microsoft.Compute/virtualMachineScaleSets"
        value["etag"] = .string("\"\(state.etag)\"")
        value["properties.provisioningState"] = .string(state.provisioningState)
        value["properties.uniqueId"] = .string(state.uniqueID)
        return value
    }

    func render(_ state: InstanceState, of scaleSet: ScaleSetState, withView: Bool = false) -> JSONValue {
        let isLatest = state.networkConfigurations == scaleSet.networkConfigurations
        let interfaces = state.interfaces.map { locate($0, of: state, scaleSet) }
        var value: JSONValue = [
            "name": .string("\(scaleSet.name)_\(state.instanceID)"),
            "id": .string(instanceID(scaleSet, state.instanceID)),
            "type": "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
            "location": .string(configuration.location), "instanceId": .string(state.instanceID),
            "sku": ["name": scaleSet.body["sku.name"] ?? .null, "tier": "Standard"],
            "etag": .string("\"\(state.etag)\""),
            "properties": [
                "latestModelApplied": .bool(isLatest),
                "modelDefinitionApplied": isLatest ? "VirtualMachineScaleSet" : "VirtualMachine",
                "networkProfileConfiguration": state.networkProfile,
                "provisioningState": .string(state.provisioningState),
                "hardwareProfile": ["vmSize": scaleSet.body["sku.name"] ?? .null], "vmId": .string(state.vmID),
                "osProfile": [
                    "computerName": .string(state.computerName), "adminUsername": "azureuser", "secrets": [],
                    "allowExtensionOperations": true, "requireGuestProvisionSignal": true,
                ],
                "networkProfile": ["networkInterfaces": .array(interfaces.map { ["id": .string($0.id)] })],
            ],
        ]
        if withView { value["properties.instanceView"] = view(state.computerName, state.provisioningState) }
        if let tags = scaleSet.body["tags"], tags != [:] { value["tags"] = tags }
        return value
    }

    func render(instanceInterface located: LocatedInterface) -> JSONValue {
        let state = located.state
        let machine = located.id.replacing("/networkInterfaces/\(state.name)", with: "")
        return [
            "name": .string(state.name), "id": .string(located.id), "etag": .string(state.etag),
            "properties": [
                "provisioningState": "Succeeded",
                "ipConfigurations": .array(state.ipConfigurations.map { render(ipConfiguration: $0, of: located) }),
                "macAddress": .string(state.macAddress), "primary": .bool(state.isPrimary),
                "enableIPForwarding": true, "enableAcceleratedNetworking": false,
                "virtualMachine": ["id": .string(machine)],
            ],
        ]
    }

    /// An ipConfiguration that is in effect, of either kind of network interface.
    func render(ipConfiguration child: IPConfigurationState, of located: LocatedInterface) -> JSONValue {
        var properties: JSONValue = [
            "provisioningState": "Succeeded", "privateIPAddress": .string(child.address.description),
            "privateIPAllocationMethod": "Dynamic", "privateIPAddressVersion": .string(child.address.version),
            "primary": .bool(child.isPrimary), "subnet": ["id": .string(child.subnetID)],
        ]
        if let address = child.publicAddress {
            properties["publicIPAddress"] = ["id": .string(publicAddressID(address, of: child, located))]
        }
        if !child.backendPools.isEmpty {
            properties["loadBalancerBackendAddressPools"] = .array(child.backendPools.map { ["id": .string($0)] })
        }
        return [
            "name": .string(child.name), "id": .string("\(located.id)/ipConfigurations/\(child.name)"),
            "etag": .string(located.state.etag), "properties": properties,
        ]
    }

    /// The id of a public address: below the ipConfiguration of an instance, else a resource.
    func publicAddressID(
        _ address: IPConfigurationState.PublicAddress, of child: IPConfigurationState, _ located: LocatedInterface
    ) -> String {
        located.scaleSet.isEmpty
            ? id(.network, "publicIPAddresses", address.name)
            : "\(located.id)/ipConfigurations/\(child.name)/publicIPAddresses/\(address.name)"
    }

    /// A public address of an instance, as it is seen through the scale set.
    func render(
        _ address: IPConfigurationState.PublicAddress, of child: IPConfigurationState, _ located: LocatedInterface
    ) -> JSONValue {
        var value: JSONValue = [
            "name": .string(address.name), "id": .string(publicAddressID(address, of: child, located)),
            "etag": .string(located.state.etag),
            "properties": [
                "provisioningState": "Succeeded", "ipAddress": .string(address.address.description),
                "publicIPAddressVersion": .string(address.address.version), "publicIPAllocationMethod": "Static",
                "idleTimeoutInMinutes": 4,
                "ipConfiguration": ["id": .string("\(located.id)/ipConfigurations/\(child.name)")],
            ],
        ]
        if let prefix = address.prefix.flatMap({ prefixes[$0] }) {
            value["properties.publicIPPrefix"] = ["id": .string(id(.network, "publicIPPrefixes", prefix.name))]
        }
        return value
    }

    func instanceView(_ name: String, _ id: String) throws(ARMFault) -> ARMResponse {
        let instance = try instance(id, of: scaleSet(name))
        return ARMResponse(200, view(instance.computerName, instance.provisioningState))
    }

    func scaleSetView(_ name: String) throws(ARMFault) -> ARMResponse {
        let scaleSet = try scaleSet(name)
        let counts = Dictionary(scaleSet.instances.map { ($0.provisioningState.lowercased(), 1) }, uniquingKeysWith: +)
        return ARMResponse(
            200,
            [
                "virtualMachine": [
                    "statusesSummary": .array(
                        counts.sorted { $0.key < $1.key }.map {
                            ["code": .string("ProvisioningState/\($0.key)"), "count": .integer(Int64($0.value))]
                        })
                ],
                "statuses": [Self.status(scaleSet.provisioningState)],
            ])
    }

    /// The instance view of a machine or instance: what it is called, and that it runs.
    func view(_ computerName: String, _ provisioningState: String) -> JSONValue {
        [
            "computerName": .string(computerName), "platformUpdateDomain": 0, "platformFaultDomain": 0,
            "hyperVGeneration": "V2",
            "statuses": [
                Self.status(provisioningState),
                ["code": "PowerState/running", "level": "Info", "displayStatus": "VM running"],
            ],
        ]
    }

    private static func status(_ provisioningState: String) -> JSONValue {
        [
            "code": .string("ProvisioningState/\(provisioningState.lowercased())"),
            "level": provisioningState == "Failed" ? "Error" : "Info",
            "displayStatus": .string("Provisioning \(provisioningState.lowercased())"),
        ]
    }
}
