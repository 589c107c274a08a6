import JSONModel

/// Scale sets, their instances and NICs: PUT merges at member level, as in Microsoft.Compute. With the Manual upgrade
/// policy a change of the model reaches an instance only by a PUT of the instance.
extension AzureState {
    func getScaleSet(_ name: String) throws(ARMFault) -> ARMResponse {
        let state = try scaleSet(name)
        return ARMResponse(200, render(scaleSet: state), headers: [("ETag", "\"\(state.etag)\"")])
    }

    private func scaleSet(_ name: String) throws(ARMFault) -> ScaleSetState {
        guard let state = scaleSets[name.lowercased()] else {
            throw .resourceNotFound(
                "Microsoft.Compute/virtualMachineScaleSets", name, group: configuration.resourceGroup)
        }
        return state
    }

    private func instance(_ id: String, of scaleSet: ScaleSetState) throws(ARMFault) -> InstanceState {
        guard !id.isEmpty, id.allSatisfy({ ("0"..."9").contains($0) }) else {
            throw ARMFault(
                400, "InvalidParameter", "Virtual Machine Scale Set VM instanceId must be a number.",
                target: "instanceId")
        }
        guard let instance = scaleSet.instances.first(where: { $0.instanceID == id }) else {
            throw .childNotFound(instanceID(scaleSet, id))
        }
        return instance
    }

    mutating func putScaleSet(_ name: String, _ request: ARMRequest, now: Duration) throws(ARMFault) -> ARMResponse {
        guard let old = scaleSets[name.lowercased()] else {
            throw ARMFault(
                400, "OperationNotSupported", "Scale sets of this simulator are made by its configuration only.")
        }
        let id = id(.compute, "virtualMachineScaleSets", old.name)
        let update = try accept(request, as: "VirtualMachineScaleSet", .compute)
        try checkLocation(update)
        try checkMatch(request, etag: "\"\(old.etag)\"", id: id, provider: .compute)
        try checkIdle(id, base: request.base)
        if let capacity = update["sku.capacity"]?.int, capacity != old.instances.count {
            throw ARMFault(
                400, "OperationNotSupported", "The number of instances of this simulator is fixed.",
                target: "sku.capacity")
        }
        if let mode = update["properties.upgradePolicy.mode"]?.text, mode != "Manual" {
            throw ARMFault(
                400, "OperationNotSupported", "Scale sets of this simulator have upgrade policy Manual.",
                target: "properties.upgradePolicy.mode")
        }
        var state = old
        state.body = old.body.merged(with: update)
        let path = "properties.virtualMachineProfile.networkProfile.networkInterfaceConfigurations"
        let networks = withDefaults(networkConfigurations: state.networkConfigurations)
        try check(networkConfigurations: networks, instances: state.instances.count, path: path)
        state.body[path] = .array(networks)
        if state.body != old.body { state.etag += 1 }
        state.provisioningState = "Updating"
        scaleSets[name.lowercased()] = state
        let headers = start(
            .scaleSetWritten(name.lowercased()), on: id, provider: .compute, taking: configuration.latencies.scaleSet,
            request, now: now)
        return ARMResponse(
            200, render(scaleSet: state), headers: headers + [("ETag", "\"\(state.etag)\"")])
    }

    func getInstance(_ name: String, _ id: String) throws(ARMFault) -> ARMResponse {
        let scaleSet = try scaleSet(name)
        let instance = try instance(id, of: scaleSet)
        return ARMResponse(200, render(instance, of: scaleSet), headers: [("ETag", "\"\(instance.etag)\"")])
    }

    func listInstances(_ name: String) throws(ARMFault) -> ARMResponse {
        let scaleSet = try scaleSet(name)
        return list(scaleSet.instances.map { render($0, of: scaleSet) })
    }

    mutating func putInstance(
        _ name: String, _ id: String, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        let scaleSet = try scaleSet(name)
        let old = try instance(id, of: scaleSet)
        let update = try accept(request, as: "VirtualMachineScaleSetVM", .compute)
        if update["location"] != nil { try checkLocation(update) }
        let resource = instanceID(scaleSet, id)
        try checkMatch(request, etag: "\"\(old.etag)\"", id: resource, provider: .compute)
        try checkIdle(resource, base: request.base)
        var state = old
        if let profile = update["properties.networkProfileConfiguration"] {
            let merged = old.networkProfile.merged(with: profile)
            let networks = withDefaults(
                networkConfigurations: merged["networkInterfaceConfigurations"]?.elements ?? [])
            try check(
                networkConfigurations: networks, instances: 1,
                path: "properties.networkProfileConfiguration.networkInterfaceConfigurations")
            state.networkProfile = merged
            state.networkProfile["networkInterfaceConfigurations"] = .array(networks)
        }
        if state.networkProfile != old.networkProfile { state.etag += 1 }
        state.provisioningState = "Updating"
        let key = name.lowercased()
        if let index = scaleSets[key]?.instances.firstIndex(where: { $0.instanceID == id }) {
            scaleSets[key]?.instances[index] = state
        }
        let headers = start(
            .instanceWritten(scaleSet: key, instanceID: id), on: resource, provider: .compute,
            taking: configuration.latencies.instance, request, now: now)
        return ARMResponse(
            200, render(state, of: scaleSet), headers: headers + [("ETag", "\"\(state.etag)\"")])
    }

    func getInterface(_ name: String, _ id: String, _ interface: String) throws(ARMFault) -> ARMResponse {
        let scaleSet = try scaleSet(name)
        let instance = try instance(id, of: scaleSet)
        guard let state = instance.interfaces.first(where: { $0.name.lowercased() == interface.lowercased() }) else {
            throw .childNotFound("\(instanceID(scaleSet, id))/networkInterfaces/\(interface)")
        }
        return ARMResponse(200, render(state, of: instance, scaleSet), headers: [("ETag", state.etag)])
    }

    /// The NICs of one instance, or of all if `id` is nil.
    func listInterfaces(_ name: String, _ id: String?) throws(ARMFault) -> ARMResponse {
        let scaleSet = try scaleSet(name)
        var instances = scaleSet.instances
        if let id { instances = [try instance(id, of: scaleSet)] }
        return list(instances.flatMap { instance in instance.interfaces.map { render($0, of: instance, scaleSet) } })
    }
}

// MARK: - Rendering

extension AzureState {
    func instanceID(_ scaleSet: ScaleSetState, _ instance: String) -> String {
        id(.compute, "virtualMachineScaleSets", scaleSet.name, "virtualMachines", instance)
    }

    func interfaceID(_ scaleSet: ScaleSetState, _ instance: InstanceState, _ interface: InterfaceState) -> String {
        "\(instanceID(scaleSet, instance.instanceID))/networkInterfaces/\(interface.name)"
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

    private func render(_ state: InstanceState, of scaleSet: ScaleSetState) -> JSONValue {
        let isLatest = state.networkConfigurations == scaleSet.networkConfigurations
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
                "networkProfile": [
                    "networkInterfaces": .array(
                        state.interfaces.map { ["id": .string(interfaceID(scaleSet, state, $0))] })
                ],
            ],
        ]
        if let tags = scaleSet.body["tags"], tags != [:] { value["tags"] = tags }
        return value
    }

    private func render(_ state: InterfaceState, of instance: InstanceState, _ scaleSet: ScaleSetState) -> JSONValue {
        let id = interfaceID(scaleSet, instance, state)
        let children = state.ipConfigurations.map { child -> JSONValue in
            var properties: JSONValue = [
                "provisioningState": "Succeeded", "privateIPAddress": .string(child.address.description),
                "privateIPAllocationMethod": "Dynamic", "privateIPAddressVersion": "IPv4",
                "primary": .bool(child.isPrimary), "subnet": ["id": .string(child.subnetID)],
            ]
            if child.publicAddress != nil {
                properties["publicIPAddress"] = ["id": .string(publicAddressID(scaleSet, instance, state, child))]
            }
            if !child.backendPools.isEmpty {
                properties["loadBalancerBackendAddressPools"] = .array(
                    child.backendPools.map { ["id": .string($0)] })
            }
            return [
                "name": .string(child.name), "id": .string("\(id)/ipConfigurations/\(child.name)"),
                "etag": .string(state.etag), "properties": properties,
            ]
        }
        return [
            "name": .string(state.name), "id": .string(id), "etag": .string(state.etag),
            "properties": [
                "provisioningState": "Succeeded", "ipConfigurations": .array(children),
                "macAddress": .string(state.macAddress), "primary": .bool(state.isPrimary),
                "enableIPForwarding": true, "enableAcceleratedNetworking": false,
                "virtualMachine": ["id": .string(instanceID(scaleSet, instance.instanceID))],
            ],
        ]
    }
}
