import JSONModel

/// What only the owner of a simulator does: faults, the clock, and questions that ARM has no words for.
extension AzureSimulator {
    /// Arms a fault, or brings it about at once if its kind waits for no call.
    ///
    /// - Returns: what will happen or has happened, for a person.
    /// - Throws: ``StartError`` if there is nothing that it could happen to.
    @discardableResult
    public func inject(_ kind: FaultKind) throws -> String {
        if let fault = kind.fault {
            try arm(fault)
            return "armed: \(fault.operation)"
        }
        return try change { state in
            if kind == .strip { return "stripped: \(state.stripIPConfigurations()) network interfaces" }
            guard let outcome = state.replaceInstance() else {
                throw StartError(code: .configuration, message: "replace-instance: no scale set has an instance")
            }
            let problem = outcome.refusal.map { ", which failed: \($0.message)" } ?? ""
            return "replaced: \(outcome.old) by \(outcome.new)\(problem)"
        }
    }

    /// Arms a fault of one's own.
    ///
    /// - Throws: ``StartError`` that names what is wrong with it, or that 64 wait already.
    public func arm(_ fault: Fault) throws {
        try change { try $0.arm(fault) }
    }

    /// Lets the simulator's clock leap: operations end, tokens expire, buckets fill.
    public func advanceTime(by duration: Duration) {
        leap(by: max(.zero, duration))
    }

    /// Answers `/simulator/...`, the words of `egressctl lab azure inject` and `audit`. Needs no token: the endpoint
    /// is on loopback only.
    func control(_ request: ARMRequest) -> ARMResponse {
        let path = request.segments.dropFirst()
        do {
            switch (request.method, path.first, path.count) {
            case ("GET", "audit", 1): return ARMResponse(200, try JSONValue(encoding: audit()))
            case ("GET", "resources", 1):
                return ARMResponse(200, ["value": .array(managedResources().map(JSONValue.string))])
            case ("POST", "faults", 2):
                guard let kind = FaultKind(rawValue: request.segments[2]) else {
                    throw StartError(
                        code: .configuration,
                        message: "kind: \"\(request.segments[2])\" is none of "
                            + FaultKind.allCases.map(\.rawValue).joined(separator: ", "))
                }
                return ARMResponse(200, ["message": .string(try inject(kind))])
            default: return ARMResponse(fault: .notServed)
            }
        } catch {
            return ARMResponse(fault: ARMFault(400, "InvalidParameter", "\(error)"))
        }
    }
}

extension AzureState {
    /// Drops every ipConfiguration named `egressgateway-...`, as a roll-out of a model does that lacks them.
    ///
    /// - Returns: how many network interfaces lost one.
    mutating func stripIPConfigurations() -> Int {
        func isOurs(_ name: String?) -> Bool { name?.lowercased().hasPrefix("egressgateway-") == true }
        func stripped(_ configurations: [JSONValue]) -> JSONValue {
            .array(
                configurations.map { configuration in
                    var configuration = configuration
                    let kept = (configuration["properties.ipConfigurations"]?.elements ?? [])
                        .filter { !isOurs($0["name"]?.text) }
                    configuration["properties.ipConfigurations"] = .array(kept)
                    return configuration
                })
        }
        var count = 0
        let modelPath = "properties.virtualMachineProfile.networkProfile.networkInterfaceConfigurations"
        for (key, scaleSet) in scaleSets {
            scaleSets[key]?.body[modelPath] = stripped(scaleSet.networkConfigurations)
            scaleSets[key]?.etag += 1
            for (index, instance) in scaleSet.instances.enumerated() {
                scaleSets[key]?.instances[index].networkProfile["networkInterfaceConfigurations"] =
                    stripped(instance.networkConfigurations)
                scaleSets[key]?.instances[index].etag += 1
                for position in instance.interfaces.indices
                where instance.interfaces[position].ipConfigurations.contains(where: { isOurs($0.name) }) {
                    count += 1
                    scaleSets[key]?.instances[index].interfaces[position].ipConfigurations
                        .removeAll { isOurs($0.name) }
                    scaleSets[key]?.instances[index].interfaces[position].etag = identifiers.networkETag()
                }
            }
        }
        for (key, interface) in networkInterfaces
        where interface.ipConfigurations.contains(where: { isOurs($0["name"]?.text) }) {
            count += 1
            networkInterfaces[key]?.body["properties.ipConfigurations"] = .array(
                interface.ipConfigurations.filter { !isOurs($0["name"]?.text) })
            networkInterfaces[key]?.state.ipConfigurations.removeAll { isOurs($0.name) }
            networkInterfaces[key]?.state.etag = identifiers.networkETag()
        }
        return count
    }
}
