import JSONModel

/// Instances of scale sets, their network interfaces and public addresses.
extension AzureState {
    func instance(_ id: String, of scaleSet: ScaleSetState) throws(ARMFault) -> InstanceState {
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

    func getInstance(_ name: String, _ id: String, _ request: ARMRequest) throws(ARMFault) -> ARMResponse {
        let scaleSet = try scaleSet(name)
        let instance = try instance(id, of: scaleSet)
        return ARMResponse(
            200, render(instance, of: scaleSet, withView: request.wantsInstanceView),
            headers: [("ETag", "\"\(instance.etag)\"")])
    }

    func listInstances(_ name: String, _ request: ARMRequest) throws(ARMFault) -> ARMResponse {
        let scaleSet = try scaleSet(name)
        var instances = scaleSet.instances
        if let filter = request.query["$filter"] {
            let wanted = ["true", "false"].first { filter == "properties/latestModelApplied eq \($0)" }
            guard let wanted else {
                throw ARMFault(
                    400, "InvalidParameter",
                    "The $filter '\(filter)' is not served; allowed: 'properties/latestModelApplied eq true' or false.",
                    target: "$filter")
            }
            instances = instances.filter {
                ($0.networkConfigurations == scaleSet.networkConfigurations) == (wanted == "true")
            }
        }
        return try list(
            instances.map { render($0, of: scaleSet, withView: request.wantsInstanceView) }, request)
    }

    mutating func putInstance(
        _ name: String, _ id: String, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        let scaleSet = try scaleSet(name)
        let old = try instance(id, of: scaleSet)
        let update = try accept(request, .compute)
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
            taking: configuration.latencies.instance, request: request, now: now)
        return ARMResponse(
            200, render(state, of: scaleSet), headers: headers + [("ETag", "\"\(state.etag)\"")])
    }

    mutating func deleteInstance(
        _ name: String, _ id: String, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        let scaleSet = try scaleSet(name)
        let key = name.lowercased()
        guard let index = scaleSet.instances.firstIndex(where: { $0.instanceID == id }) else {
            return ARMResponse(204)
        }
        let resource = instanceID(scaleSet, id)
        try checkIdle(resource, base: request.base)
        scaleSets[key]?.instances[index].provisioningState = "Deleting"
        let headers = start(
            .instanceDeleted(scaleSet: key, instanceID: id), on: resource, provider: .compute,
            taking: configuration.latencies.instance, request: request, now: now)
        return ARMResponse(202, headers: headers)
    }

    func getInstanceInterface(_ name: String, _ id: String, _ interface: String) throws(ARMFault) -> ARMResponse {
        let located = try instanceInterface(name, id, interface)
        return ARMResponse(200, render(instanceInterface: located), headers: [("ETag", located.state.etag)])
    }

    private func instanceInterface(
        _ name: String, _ id: String, _ interface: String
    ) throws(ARMFault) -> LocatedInterface {
        let scaleSet = try scaleSet(name)
        let instance = try instance(id, of: scaleSet)
        guard let state = instance.interfaces.first(where: { $0.name.lowercased() == interface.lowercased() }) else {
            throw .childNotFound("\(instanceID(scaleSet, id))/networkInterfaces/\(interface)")
        }
        return locate(state, of: instance, scaleSet)
    }

    /// The NICs of one instance, or of all if `id` is nil.
    func listInterfaces(_ name: String, _ id: String?, _ request: ARMRequest) throws(ARMFault) -> ARMResponse {
        try list(try instanceInterfaces(name, id).map(render(instanceInterface:)), request)
    }

    private func instanceInterfaces(_ name: String, _ id: String?) throws(ARMFault) -> [LocatedInterface] {
        let scaleSet = try scaleSet(name)
        var instances = scaleSet.instances
        if let id { instances = [try instance(id, of: scaleSet)] }
        return instances.flatMap { instance in instance.interfaces.map { locate($0, of: instance, scaleSet) } }
    }

    func getInstanceAddress(_ target: ARMTarget) throws(ARMFault) -> ARMResponse {
        let found = try addresses(target).first {
            $0["name"]?.text?.lowercased() == target.name(4).lowercased()
        }
        guard let found else { throw .childNotFound(target.names.joined(separator: "/")) }
        return ARMResponse(200, found, headers: [("ETag", found["etag"]?.text ?? "")])
    }

    func listInstanceAddresses(_ target: ARMTarget, _ request: ARMRequest) throws(ARMFault) -> ARMResponse {
        try list(try addresses(target), request)
    }

    /// The public addresses below a scale set, or below one ipConfiguration if the target names it.
    private func addresses(_ target: ARMTarget) throws(ARMFault) -> [JSONValue] {
        var result: [JSONValue] = []
        for located in try instanceInterfaces(target.name(0), target.names.count > 1 ? target.name(1) : nil) {
            if target.names.count > 2, located.state.name.lowercased() != target.name(2).lowercased() { continue }
            for child in located.state.ipConfigurations {
                if target.names.count > 3, child.name.lowercased() != target.name(3).lowercased() { continue }
                if let address = child.publicAddress {
                    result.append(render(address, of: child, located))
                }
            }
        }
        return result
    }
}

extension ARMRequest {
    var wantsInstanceView: Bool {
        [query["$expand"], query["$select"]].contains { $0?.lowercased() == "instanceview" }
    }
}
