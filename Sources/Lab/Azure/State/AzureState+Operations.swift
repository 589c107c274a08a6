import JSONModel

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Long-running operations, conditional writes, and the passing of time.
extension AzureState {
    /// When the next running operation ends; nil if none runs.
    var nextEnd: Duration? { operations.values.lazy.filter(\.isRunning).map(\.endsAt).min() }

    /// Ends the operations that are due, in order.
    ///
    /// - Returns: whether any ended; nothing else that time does shows in the topology.
    @discardableResult
    mutating func advance(to now: Duration) -> Bool {
        let due = operations.values.filter { $0.isRunning && $0.endsAt <= now }
        for operation in due.sorted(by: { ($0.endsAt, $0.id) < ($1.endsAt, $1.id) }) {
            finish(operation)
        }
        // A token that has ended is known for a while, so that its user is told so.
        tokens = tokens.filter { $0.value + configuration.identity.tokenLifetime > now }
        return !due.isEmpty
    }

    private mutating func finish(_ operation: OperationState) {
        var ending = operation.ending
        if ending == nil {
            do {
                try apply(operation.effect, at: operation.endsAt)
            } catch {
                ending = OperationState.Ending(status: "Failed", error: error)
            }
        }
        settle(operation.effect, ending?.status ?? "Succeeded")
        operations[operation.id]?.error = ending?.error
        operations[operation.id]?.status = ending?.status ?? "Succeeded"
    }

    /// Puts what an operation wrote into effect.
    private mutating func apply(_ effect: OperationState.Effect, at end: Duration) throws(ARMFault) {
        switch effect {
        case .loadBalancerWritten(let name):
            if let state = loadBalancers[name] {
                loadBalancers[name]?.applied = .init(body: state.body, frontendAddresses: state.frontendAddresses)
            }
        case .loadBalancerDeleted(let name): loadBalancers[name] = nil
        case .prefixWritten(let name): prefixes[name]?.isAllocated = true
        case .prefixDeleted(let name): prefixes[name] = nil
        case .publicAddressWritten(let name): allocatePublicAddress(name)
        case .publicAddressDeleted(let name): publicAddresses[name] = nil
        case .interfaceWritten(let name): try realise(networkInterface: name)
        case .interfaceDeleted(let name): removeInterface(name)
        case .scaleSetWritten(let name): try applyModel(name)
        case .scaleSetDeleted(let name):
            for instance in scaleSets[name]?.instances ?? [] { removeInstance(instance.instanceID, of: name) }
            scaleSets[name] = nil
        case .instanceWritten(let scaleSet, let instanceID): try realise(instance: instanceID, of: scaleSet)
        case .instanceDeleted(let scaleSet, let instanceID): removeInstance(instanceID, of: scaleSet)
        case .instancesUpgraded(let scaleSet, let instanceIDs):
            for instanceID in instanceIDs { try upgrade(instanceID, of: scaleSet) }
        case .machineWritten: break
        case .machineDeleted(let name): removeMachine(name, now: end)
        }
    }

    /// Shows the outcome on what the operation wrote, if it is still there.
    private mutating func settle(_ effect: OperationState.Effect, _ status: String) {
        func settle(_ instances: [String], of scaleSet: String) {
            for index in scaleSets[scaleSet]?.instances.indices ?? 0..<0
            where instances.contains(scaleSets[scaleSet]?.instances[index].instanceID ?? "") {
                scaleSets[scaleSet]?.instances[index].provisioningState = status
            }
        }
        switch effect {
        case .loadBalancerWritten(let name), .loadBalancerDeleted(let name):
            loadBalancers[name]?.provisioningState = status
        case .prefixWritten(let name), .prefixDeleted(let name): prefixes[name]?.provisioningState = status
        case .publicAddressWritten(let name), .publicAddressDeleted(let name):
            publicAddresses[name]?.provisioningState = status
        case .interfaceWritten(let name), .interfaceDeleted(let name):
            networkInterfaces[name]?.provisioningState = status
        case .scaleSetWritten(let name), .scaleSetDeleted(let name): scaleSets[name]?.provisioningState = status
        case .instanceWritten(let scaleSet, let instance), .instanceDeleted(let scaleSet, let instance):
            settle([instance], of: scaleSet)
        case .instancesUpgraded(let scaleSet, let instances): settle(instances, of: scaleSet)
        case .machineWritten(let name), .machineDeleted(let name): machines[name]?.provisioningState = status
        }
    }

    /// Starts an operation on a resource.
    ///
    /// - Returns: the headers of the first answer.
    mutating func start(
        _ effect: OperationState.Effect, on resource: String, provider: ARMProvider,
        taking latencies: AzureSimulator.Latency..., request: ARMRequest, now: Duration
    ) -> [(name: String, value: String)] {
        var duration = Duration.zero
        for latency in latencies { duration += latency.sample(&identifiers) * configuration.latencyScale }
        let operation = OperationState(
            id: identifiers.guid(), provider: provider, effect: effect, resource: resource.lowercased(),
            startedAt: now, endsAt: now + duration, ending: takeOperationFault(request.operation?.handler))
        operations[operation.id] = operation
        operationOrder.append(operation.id)
        if operationOrder.count > Self.keptOperations {
            operations[operationOrder.removeFirst()] = nil
        }
        var headers = [
            (name: "Azure-AsyncOperation", value: operationURL(operation, base: request.base)),
            (name: "Azure-AsyncNotification", value: "Enabled"),
        ]
        if ["DELETE", "POST"].contains(request.method) {
            headers.append(("Location", operationURL(operation, base: request.base, asResult: true)))
        }
        return headers + retryAfter(operation, now: now)
    }

    /// Whole seconds until the end; left out below one second, where a client's own pace serves it better.
    private func retryAfter(_ operation: OperationState, now: Duration) -> [(name: String, value: String)] {
        let seconds = (operation.endsAt - now).components.seconds
        return seconds > 0 ? [("Retry-After", String(min(seconds, 10)))] : []
    }

    private func operationURL(_ operation: OperationState, base: String, asResult: Bool = false) -> String {
        let word = asResult && operation.provider == .network ? "operationResults" : "operations"
        let monitor = asResult && operation.provider == .compute ? "&monitor=true" : ""
        return "\(base)\(subscriptionID)/providers/\(operation.provider.rawValue)/locations/\(configuration.location)/"
            + "\(word)/\(operation.id)?api-version=\(operation.provider.apiVersion)\(monitor)"
    }

    /// The status of an operation: 200 and a status body on its Azure-AsyncOperation URL, 202 or 204 on its Location.
    func operationStatus(_ request: ARMRequest, now: Duration) -> ARMResponse {
        guard let operation = operations[request.segments[7].lowercased()] else {
            var response = ARMResponse(
                fault: ARMFault(404, "OperationNotFound", "Operation \(request.segments[7]) is not known."))
            response.operation = "Operations_Get"
            return response
        }
        let isResult = request.segments[6].lowercased() == "operationresults" || request.query["monitor"] == "true"
        var response: ARMResponse
        if isResult {
            response = ARMResponse(operation.isRunning ? 202 : 204)
            if let error = operation.error { response = ARMResponse(fault: error) }
        } else {
            var body: JSONValue = ["status": .string(operation.status)]
            if operation.provider == .compute {
                body["name"] = .string(operation.id)
                body["startTime"] = .string(timestamp(operation.startedAt))
                if !operation.isRunning { body["endTime"] = .string(timestamp(operation.endsAt)) }
            }
            if let error = operation.error { body["error"] = error.value }
            response = ARMResponse(200, body)
        }
        if operation.isRunning { response.headers += retryAfter(operation, now: now) }
        response.operation = "Operations_Get"
        return response
    }

    private func timestamp(_ moment: Duration) -> String {
        (epoch + TimeInterval(moment.components.seconds)).formatted(.iso8601)
    }

    /// How long the next answer takes.
    mutating func answerDelay() -> Duration {
        configuration.latencies.answer.sample(&identifiers) * configuration.latencyScale
    }

    /// Only one write per resource runs at a time.
    func checkIdle(_ resource: String, base: String) throws(ARMFault) {
        let running = operations.values.first { $0.isRunning && $0.resource == resource.lowercased() }
        if let running { throw .operationInProgress(operationURL(running, base: base)) }
    }

    /// - Throws: 412 if the request has an If-Match that is not the resource's etag.
    func checkMatch(_ request: ARMRequest, etag: String?, id: String, provider: ARMProvider) throws(ARMFault) {
        if request.headers["if-none-match"] == "*", etag != nil {
            throw ARMFault(412, "PreconditionFailed", "Resource \(id) exists already.")
        }
        guard let wanted = request.headers["if-match"], wanted != "*", wanted != etag else { return }
        let current = etag ?? "(none: the resource does not exist)"
        switch provider {
        case .network:
            throw ARMFault(
                412, "PreconditionFailed", "Precondition failed.",
                details: [
                    ARMFault.Detail(
                        code: "PreconditionFailedEtagMismatch",
                        message: "Etag provided in if-match header \(wanted) does not match etag \(current) of "
                            + "resource \(id) in NRP data store.")
                ])
        case .compute:
            throw ARMFault(
                412, "PreconditionFailed",
                "Etag provided in if-match header \(wanted) does not match etag \(current) of resource.")
        }
    }

    /// A resource lives where it was made; this subscription has one region.
    func checkLocation(_ body: JSONValue) throws(ARMFault) {
        guard let location = body["location"]?.text else {
            throw ARMFault(
                400, "LocationRequired", "The location property is required for this definition.", target: "location",
                isGateway: true)
        }
        let compact = location.lowercased().filter { $0 != " " }
        guard compact == configuration.location.lowercased().filter({ $0 != " " }) else {
            throw ARMFault(
                400, "LocationNotAvailableForResourceType",
                "The provided location '\(location)' is not available. Available: '\(configuration.location)'.",
                target: "location", isGateway: true)
        }
    }
}
