import JSONModel

/// Scale sets: PUT merges at member level, as in Microsoft.Compute. With upgrade policy Manual a change of the model
/// reaches an instance only by a PUT of the instance or by a manual upgrade; with Automatic it reaches all.
extension AzureState {
    func getScaleSet(_ name: String) throws(ARMFault) -> ARMResponse {
        let state = try scaleSet(name)
        return ARMResponse(200, render(scaleSet: state), headers: [("ETag", "\"\(state.etag)\"")])
    }

    func scaleSet(_ name: String) throws(ARMFault) -> ScaleSetState {
        guard let state = scaleSets[name.lowercased()] else {
            throw .resourceNotFound(
                "Microsoft.Compute/virtualMachineScaleSets", name, group: configuration.resourceGroup)
        }
        return state
    }

    private static let networkPath =
        "properties.virtualMachineProfile.networkProfile.networkInterfaceConfigurations"

    mutating func putScaleSet(_ name: String, _ request: ARMRequest, now: Duration) throws(ARMFault) -> ARMResponse {
        let key = name.lowercased()
        let old = scaleSets[key]
        let id = id(.compute, "virtualMachineScaleSets", try resourceName(old?.name, name))
        let update = try accept(request, .compute)
        try checkLocation(update)
        try checkMatch(request, etag: old.map { "\"\($0.etag)\"" }, id: id, provider: .compute)
        try checkIdle(id, base: request.base)
        var state: ScaleSetState
        if let old {
            state = old
        } else {
            state = ScaleSetState(
                name: name, uniqueID: identifiers.guid(), body: Self.newScaleSet, instances: [])
        }
        state.body = state.body.merged(with: update)
        state.body["properties.virtualMachineProfile.osProfile.adminPassword"] = nil
        try checkScaleSet(state, old: old)
        let networks = withDefaults(networkConfigurations: state.networkConfigurations)
        try check(networkConfigurations: networks, instances: state.capacity, path: Self.networkPath)
        state.body[Self.networkPath] = .array(networks)
        if let old, state.body != old.body { state.etag += 1 }
        state.provisioningState = old == nil ? "Creating" : "Updating"
        scaleSets[key] = state
        // New and upgraded instances take their own time, all of them together.
        let touchesInstances =
            state.capacity != state.instances.count
            || state.isAutomatic && networks != old?.networkConfigurations ?? []
        let headers = start(
            .scaleSetWritten(key), on: id, provider: .compute, taking: configuration.latencies.scaleSet,
            touchesInstances ? configuration.latencies.instance : .constant(.zero), request: request, now: now)
        return ARMResponse(
            old == nil ? 201 : 200, render(scaleSet: state), headers: headers + [("ETag", "\"\(state.etag)\"")])
    }

    private static let newScaleSet: JSONValue = [
        "sku": ["tier": "Standard"],
        "properties": [
            "orchestrationMode": "Uniform", "singlePlacementGroup": true, "overprovision": false,
            "upgradePolicy": ["mode": "Manual"],
        ],
    ]

    private func checkScaleSet(_ state: ScaleSetState, old: ScaleSetState?) throws(ARMFault) {
        func refuse(_ message: String, _ target: String, code: String = "InvalidParameter") -> ARMFault {
            ARMFault(400, code, message, target: target)
        }
        guard state.body["properties.orchestrationMode"]?.text == "Uniform" else {
            throw refuse(
                "This simulator has uniform scale sets only.", "properties.orchestrationMode",
                code: "OperationNotSupported")
        }
        let mode = state.body["properties.upgradePolicy.mode"]?.text ?? ""
        guard ["Manual", "Automatic"].contains(mode) else {
            throw refuse(
                "Scale sets of this simulator have upgrade policy Manual or Automatic.",
                "properties.upgradePolicy.mode", code: "OperationNotSupported")
        }
        guard let size = state.body["sku.name"]?.text, !size.isEmpty else {
            throw refuse("sku.name is required.", "sku.name")
        }
        let largest =
            state.body["properties.singlePlacementGroup"]?.bool == true
            ? min(100, configuration.limits.instancesPerScaleSet) : configuration.limits.instancesPerScaleSet
        guard let capacity = state.body["sku.capacity"]?.int, (0...largest).contains(capacity) else {
            throw refuse("sku.capacity must be given, in 0..\(largest).", "sku.capacity")
        }
        let prefix = state.body["properties.virtualMachineProfile.osProfile.computerNamePrefix"]?.text ?? ""
        guard !prefix.isEmpty, prefix.utf8.count <= 58 else {
            throw refuse(
                "computerNamePrefix of 1 to 58 characters is required.",
                "properties.virtualMachineProfile.osProfile.computerNamePrefix")
        }
        let oldPrefix = old?.body["properties.virtualMachineProfile.osProfile.computerNamePrefix"]?.text
        guard oldPrefix == nil || oldPrefix == prefix else {
            throw refuse(
                "Changing property 'computerNamePrefix' is not allowed.", "osProfile.computerNamePrefix",
                code: "PropertyChangeNotAllowed")
        }
    }

    mutating func deleteScaleSet(
        _ name: String, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        let key = name.lowercased()
        guard let old = scaleSets[key] else { return ARMResponse(204) }
        let id = id(.compute, "virtualMachineScaleSets", old.name)
        try checkMatch(request, etag: "\"\(old.etag)\"", id: id, provider: .compute)
        try checkIdle(id, base: request.base)
        scaleSets[key]?.provisioningState = "Deleting"
        let headers = start(
            .scaleSetDeleted(key), on: id, provider: .compute, taking: configuration.latencies.scaleSet,
            configuration.latencies.instance, request: request, now: now)
        return ARMResponse(202, headers: headers)
    }

    /// `POST .../manualupgrade`: brings the instances named to the model of the scale set.
    mutating func upgradeInstances(
        _ name: String, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        let scaleSet = try scaleSet(name)
        let body = try accept(request, .compute)
        let id = id(.compute, "virtualMachineScaleSets", scaleSet.name)
        try checkIdle(id, base: request.base)
        var wanted = (body["instanceIds"]?.elements ?? []).compactMap(\.text)
        if wanted == ["*"] { wanted = scaleSet.instances.map(\.instanceID) }
        guard !wanted.isEmpty || scaleSet.instances.isEmpty else {
            throw ARMFault(
                400, "InvalidParameter", "instanceIds must name an instance, or '*'.", target: "instanceIds")
        }
        for instance in wanted { _ = try self.instance(instance, of: scaleSet) }
        for index in scaleSet.instances.indices where wanted.contains(scaleSet.instances[index].instanceID) {
            scaleSets[name.lowercased()]?.instances[index].provisioningState = "Updating"
        }
        let headers = start(
            .instancesUpgraded(scaleSet: name.lowercased(), instanceIDs: wanted), on: id, provider: .compute,
            taking: configuration.latencies.instance, request: request, now: now)
        return ARMResponse(202, headers: headers)
    }
}

// MARK: - What an operation brings about

extension AzureState {
    /// Makes as many instances as the model says and, with upgrade policy Automatic, brings all to the model.
    ///
    /// - Throws: the first refusal; what could be made is there all the same, as in Azure.
    mutating func applyModel(_ key: String) throws(ARMFault) {
        guard let capacity = scaleSets[key]?.capacity else { return }
        while let last = scaleSets[key]?.instances.last, (scaleSets[key]?.instances.count ?? 0) > capacity {
            removeInstance(last.instanceID, of: key)
        }
        var refusal: ARMFault?
        if scaleSets[key]?.isAutomatic == true {
            for instance in scaleSets[key]?.instances ?? [] {
                do { try upgrade(instance.instanceID, of: key) } catch { refusal = refusal ?? error }
            }
        }
        while (scaleSets[key]?.instances.count ?? capacity) < capacity {
            do { try addInstance(to: key) } catch { refusal = refusal ?? error }
        }
        if let refusal { throw refusal }
    }

    /// Makes an instance of the current model. One that gets no address is there, too, in state Failed.
    mutating func addInstance(to key: String, computerName: String? = nil) throws(ARMFault) {
        guard let scaleSet = scaleSets[key] else { return }
        let number = scaleSet.nextInstance
        let digits = String(number, radix: 36)
        let prefix = scaleSet.body["properties.virtualMachineProfile.osProfile.computerNamePrefix"]?.text ?? ""
        let profile: JSONValue = ["networkInterfaceConfigurations": .array(scaleSet.networkConfigurations)]
        let instance = InstanceState(
            instanceID: String(number),
            computerName: computerName ?? prefix + String(repeating: "0", count: max(0, 6 - digits.count)) + digits,
            vmID: identifiers.guid(), networkProfile: profile, interfaces: [])
        scaleSets[key]?.nextInstance = number + 1
        scaleSets[key]?.instances.append(instance)
        do {
            try realise(instance: instance.instanceID, of: key)
        } catch {
            if let last = scaleSets[key]?.instances.indices.last {
                scaleSets[key]?.instances[last].provisioningState = "Failed"
            }
            throw error
        }
    }

    mutating func removeInstance(_ instanceID: String, of key: String) {
        guard let index = scaleSets[key]?.instances.firstIndex(where: { $0.instanceID == instanceID }),
            let instance = scaleSets[key]?.instances.remove(at: index)
        else { return }
        let count = min(scaleSets[key]?.capacity ?? 0, scaleSets[key]?.instances.count ?? 0)
        scaleSets[key]?.body["sku.capacity"] = .integer(Int64(count))
        touchLoadBalancers(ofPools: Set(instance.interfaces.flatMap(\.ipConfigurations).flatMap(\.backendPools)))
    }

    /// Brings an instance to the model of its scale set: what only the instance had is gone.
    mutating func upgrade(_ instanceID: String, of key: String) throws(ARMFault) {
        guard let scaleSet = scaleSets[key],
            let index = scaleSet.instances.firstIndex(where: { $0.instanceID == instanceID })
        else { return }
        let networks = JSONValue.array(scaleSet.networkConfigurations)
        if scaleSet.instances[index].networkProfile["networkInterfaceConfigurations"] != networks {
            scaleSets[key]?.instances[index].etag += 1
            scaleSets[key]?.instances[index].networkProfile["networkInterfaceConfigurations"] = networks
        }
        try realise(instance: instanceID, of: key)
    }

    /// Takes the first instance of the first scale set away and makes a new one of the current model.
    ///
    /// - Returns: the names of the instance that went and of the one that came; nil if there is none.
    mutating func replaceInstance() -> (old: String, new: String, refusal: ARMFault?)? {
        guard let key = scaleSets.filter({ !$0.value.instances.isEmpty }).keys.min(),
            let first = scaleSets[key]?.instances.first
        else { return nil }
        removeInstance(first.instanceID, of: key)
        var refusal: ARMFault?
        do { try addInstance(to: key) } catch { refusal = error }
        let count = scaleSets[key]?.instances.count ?? 0
        scaleSets[key]?.body["sku.capacity"] = .integer(Int64(count))
        return (first.computerName, scaleSets[key]?.instances.last?.computerName ?? "", refusal)
    }
}
