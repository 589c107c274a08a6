import JSONModel

/// Standalone virtual machines: as much of them as their network interfaces need. PUT merges, as in Microsoft.Compute.
extension AzureState {
    /// How long a network interface is kept for the machine that named it, after that has gone.
    static let interfaceReservation = Duration.seconds(180)

    func machine(_ name: String) throws(ARMFault) -> MachineState {
        guard let state = machines[name.lowercased()] else {
            throw .resourceNotFound("Microsoft.Compute/virtualMachines", name, group: configuration.resourceGroup)
        }
        return state
    }

    /// The machine that a network interface belongs to.
    func machine(ofInterface id: String) -> MachineState? {
        machines.values.first { $0.interfaceIDs.contains { $0.lowercased() == id.lowercased() } }
    }

    func getMachine(_ name: String, _ request: ARMRequest) throws(ARMFault) -> ARMResponse {
        let state = try machine(name)
        return ARMResponse(
            200, render(machine: state, withView: request.wantsInstanceView),
            headers: [("ETag", "\"\(state.etag)\"")])
    }

    func machineView(_ name: String) throws(ARMFault) -> ARMResponse {
        let state = try machine(name)
        return ARMResponse(200, view(state.computerName, state.provisioningState))
    }

    func listMachines(_ request: ARMRequest) throws(ARMFault) -> ARMResponse {
        var found = machines.sorted { $0.key < $1.key }.map(\.value)
        if let filter = request.query["$filter"] {
            let start = "'virtualMachineScaleSet/id' eq '"
            guard filter.hasPrefix(start), filter.hasSuffix("'"), filter.count > start.count else {
                throw ARMFault(
                    400, "InvalidParameter",
                    "The $filter '\(filter)' is not served; allowed: \(start)ID'.", target: "$filter")
            }
            // Scale sets here are uniform: their instances are no machines of their own.
            found = []
        }
        return try list(found.map { render(machine: $0, withView: request.wantsInstanceView) }, request)
    }

    mutating func putMachine(_ name: String, _ request: ARMRequest, now: Duration) throws(ARMFault) -> ARMResponse {
        let key = name.lowercased()
        let old = machines[key]
        let id = id(.compute, "virtualMachines", try resourceName(old?.name, name))
        let update = try accept(request, .compute)
        try checkLocation(update)
        try checkMatch(request, etag: old.map { "\"\($0.etag)\"" }, id: id, provider: .compute)
        try checkIdle(id, base: request.base)
        var state = old ?? MachineState(name: name, vmID: identifiers.guid(), etag: 0, body: [:])
        state.body = state.body.merged(with: update)
        state.body["properties.osProfile.adminPassword"] = nil
        try check(state, now: now)
        let isUnchanged = state.body == old?.body
        state.etag += 1
        state.provisioningState = old == nil ? "Creating" : "Updating"
        machines[key] = state
        for interface in state.interfaceIDs {
            if let name = names(in: interface, .network, "networkInterfaces")?.first {
                networkInterfaces[name.lowercased()]?.reservation = nil
            }
        }
        var headers = start(
            .machineWritten(key), on: id, provider: .compute,
            taking: isUnchanged ? .constant(.zero) : configuration.latencies.instance, request: request, now: now)
        // Nothing to do: the service names no operation, and the client reads the machine until it is done.
        if isUnchanged { headers = [] }
        return ARMResponse(
            old == nil ? 201 : 200, render(machine: state), headers: headers + [("ETag", "\"\(state.etag)\"")])
    }

    private func check(_ state: MachineState, now: Duration) throws(ARMFault) {
        func refuse(_ message: String, _ target: String) -> ARMFault {
            ARMFault(400, "InvalidParameter", message, target: target)
        }
        guard state.body["properties.hardwareProfile.vmSize"]?.text?.isEmpty == false else {
            throw refuse("vmSize is required.", "properties.hardwareProfile.vmSize")
        }
        guard state.body["properties.osProfile.computerName"]?.text?.isEmpty == false else {
            throw refuse("computerName is required.", "properties.osProfile.computerName")
        }
        let zones = (state.body["zones"]?.elements ?? []).compactMap(\.text)
        guard zones.count <= 1, zones.allSatisfy(["1", "2", "3"].contains) else {
            throw refuse("zones holds one of '1', '2' and '3', or nothing.", "zones")
        }
        guard zones.isEmpty || state.body["properties.availabilitySet"] == nil else {
            throw refuse("A machine is in a zone or in an availability set, not both.", "properties.availabilitySet")
        }
        let path = "properties.networkProfile.networkInterfaces"
        guard state.body["properties.networkProfile.networkInterfaceConfigurations"] == nil else {
            throw ARMFault(
                400, "OperationNotSupported", "This simulator takes network interfaces that exist.", target: path)
        }
        let references = state.body[path]?.elements ?? []
        guard !references.isEmpty else { throw refuse("A machine needs a network interface.", path) }
        for reference in references {
            let id = try referenceID(reference, path: path)
            guard let name = names(in: id, .network, "networkInterfaces")?.first,
                let interface = networkInterfaces[name.lowercased()]
            else { throw .invalidReference(id, from: path) }
            if let other = machine(ofInterface: id), other.name != state.name {
                throw ARMFault(
                    400, "NicInUse",
                    "Network Interface \(id) is used by existing resource "
                        + "\(self.id(.compute, "virtualMachines", other.name)).", target: path)
            }
            try checkReservation(interface, for: state.name, now: now)
        }
    }

    mutating func deleteMachine(
        _ name: String, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        let key = name.lowercased()
        guard let old = machines[key] else { return ARMResponse(204) }
        let id = id(.compute, "virtualMachines", old.name)
        try checkMatch(request, etag: "\"\(old.etag)\"", id: id, provider: .compute)
        try checkIdle(id, base: request.base)
        machines[key]?.provisioningState = "Deleting"
        let headers = start(
            .machineDeleted(key), on: id, provider: .compute, taking: configuration.latencies.instance,
            request: request, now: now)
        return ARMResponse(202, headers: headers)
    }

    /// Takes a machine away. Its network interfaces stay, and are kept for it for a while.
    mutating func removeMachine(_ key: String, now: Duration) {
        guard let machine = machines.removeValue(forKey: key) else { return }
        for id in machine.interfaceIDs {
            guard let name = names(in: id, .network, "networkInterfaces")?.first else { continue }
            networkInterfaces[name.lowercased()]?.reservation = (
                machine.name, now + Self.interfaceReservation * configuration.latencyScale
            )
        }
    }

    func render(machine state: MachineState, withView: Bool = false) -> JSONValue {
        var value = state.body
        value["name"] = .string(state.name)
        value["id"] = .string(id(.compute, "virtualMachines", state.name))
        value["type"] = "Microsoft.Compute/virtualMachines"
        value["etag"] = .string("\"\(state.etag)\"")
        value["identity"] = nil
        value["properties.provisioningState"] = .string(state.provisioningState)
        value["properties.vmId"] = .string(state.vmID)
        if withView { value["properties.instanceView"] = view(state.computerName, state.provisioningState) }
        return value
    }
}
