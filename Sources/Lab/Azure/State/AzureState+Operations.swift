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
        tokens = tokens.filter { $0.value > now }
        return !due.isEmpty
    }

    private mutating func finish(_ operation: OperationState) {
        var status = "Succeeded"
        switch operation.effect {
        case .loadBalancerWritten(let name):
            if let state = loadBalancers[name] {
                loadBalancers[name]?.applied = .init(body: state.body, frontendAddresses: state.frontendAddresses)
            }
        case .loadBalancerDeleted(let name): loadBalancers[name] = nil
        case .prefixWritten(let name):
            prefixes[name]?.isAllocated = true
            prefixes[name]?.provisioningState = "Succeeded"
        case .prefixDeleted(let name): prefixes[name] = nil
        case .scaleSetWritten(let name): scaleSets[name]?.provisioningState = "Succeeded"
        case .instanceWritten(let scaleSet, let instanceID):
            do {
                try realise(instance: instanceID, of: scaleSet)
            } catch {
                status = "Failed"
                operations[operation.id]?.error = error
            }
            if let index = scaleSets[scaleSet]?.instances.firstIndex(where: { $0.instanceID == instanceID }) {
                scaleSets[scaleSet]?.instances[index].provisioningState = status
            }
        }
        operations[operation.id]?.status = status
    }

    /// Starts an operation on a resource.
    ///
    /// - Returns: the headers of the first answer.
    mutating func start(
        _ effect: OperationState.Effect, on resource: String, provider: ARMProvider, taking latency: Duration,
        _ request: ARMRequest, now: Duration
    ) -> [(name: String, value: String)] {
        let operation = OperationState(
            id: identifiers.guid(), provider: provider, effect: effect, resource: resource.lowercased(),
            startedAt: now, endsAt: now + latency * configuration.latencyScale)
        operations[operation.id] = operation
        operationOrder.append(operation.id)
        if operationOrder.count > Self.keptOperations {
            operations[operationOrder.removeFirst()] = nil
        }
        var headers = [
            (name: "Azure-AsyncOperation", value: operationURL(operation, base: request.base)),
            (name: "Azure-AsyncNotification", value: "Enabled"),
        ]
        if request.method == "DELETE" {
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
    func operationStatus(_ request: ARMRequest) -> ARMResponse {
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
        if operation.isRunning { response.headers += retryAfter(operation, now: operation.startedAt) }
        response.operation = "Operations_Get"
        return response
    }

    private func timestamp(_ moment: Duration) -> String {
        (epoch + TimeInterval(moment.components.seconds)).formatted(.iso8601)
    }

    /// Only one write per resource runs at a time.
    func checkIdle(_ resource: String, base: String) throws(ARMFault) {
        let running = operations.values.first { $0.isRunning && $0.resource == resource.lowercased() }
        if let running { throw .operationInProgress(operationURL(running, base: base)) }
    }

    /// - Throws: 412 if the request has an If-Match that is not the resource's etag.
    func checkMatch(_ request: ARMRequest, etag: String?, id: String, provider: ARMProvider) throws(ARMFault) {
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
