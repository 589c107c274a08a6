import JSONModel

/// From a request to the resource it is about. The order of refusals is ARM's: token, address, rate, query, then body.
extension AzureState {
    /// Answers one request. `now` is the time since the simulator started.
    mutating func respond(to request: ARMRequest, now: Duration) -> ARMResponse {
        var response: ARMResponse
        do {
            response = try route(request, now: now)
        } catch {
            response = ARMResponse(fault: error)
        }
        response.headers += [
            ("x-ms-request-id", identifiers.guid()),
            ("x-ms-correlation-request-id", request.headers["x-ms-correlation-request-id"] ?? identifiers.guid()),
        ]
        return response
    }

    private mutating func route(_ request: ARMRequest, now: Duration) throws(ARMFault) -> ARMResponse {
        let path = request.segments.map { $0.lowercased() }
        if let response = answerSignIn(request, path, now: now) { return response }
        try authorize(request, now: now)
        guard path.count >= 2, path[0] == "subscriptions" else { throw .notServed }
        guard path[1] == configuration.subscription.lowercased() else {
            throw ARMFault(
                404, "SubscriptionNotFound", "The subscription '\(request.segments[1])' could not be found.",
                isGateway: true)
        }
        let counter = try takeFromBucket(request.method, now: now)
        var response: ARMResponse
        do {
            response = try answerResource(request, path, now: now)
        } catch {
            response = ARMResponse(fault: error)
        }
        response.headers.append(counter)
        return response
    }

    private mutating func answerResource(
        _ request: ARMRequest, _ path: [String], now: Duration
    ) throws(ARMFault) -> ARMResponse {
        if path.count == 8, path[2] == "providers", path[4] == "locations", path[6].hasPrefix("operation") {
            return operationStatus(request, now: now)
        }
        let target = try target(request, path)
        let operation = try operation(target, request)
        var request = request
        request.operation = operation
        var response: ARMResponse
        do throws(ARMFault) {
            try ARMQuery(operation: operation, location: configuration.location).check(request.query)
            if let fault = takeAnswerFault(operation.handler) { throw fault }
            switch target.provider {
            case .network: response = try performNetwork(operation.handler, target, request, now: now)
            case .compute: response = try performCompute(operation.handler, target, request, now: now)
            }
        } catch {
            response = ARMResponse(fault: error)
        }
        response.operation = operation.handler.rawValue
        return response
    }

    private func target(_ request: ARMRequest, _ path: [String]) throws(ARMFault) -> ARMTarget {
        let isSubscriptionWide = path.count >= 5 && path[2] == "providers"
        let start = isSubscriptionWide ? 3 : 5
        guard path.count > start + 1, path[start - 1] == "providers" else { throw .notServed }
        if !isSubscriptionWide {
            guard path[2] == "resourcegroups" else { throw .notServed }
            guard path[3] == configuration.resourceGroup.lowercased() else {
                throw ARMFault(
                    404, "ResourceGroupNotFound", "Resource group '\(request.segments[3])' could not be found.",
                    isGateway: true)
            }
        }
        guard let provider = [ARMProvider.network, .compute].first(where: { $0.rawValue.lowercased() == path[start] })
        else {
            throw ARMFault(
                404, "InvalidResourceNamespace", "The resource namespace '\(request.segments[start])' is invalid.",
                isGateway: true)
        }
        let rest = Array(request.segments[(start + 1)...])
        let types = stride(from: 0, to: rest.count, by: 2).map { rest[$0].lowercased() }
        let names = stride(from: 1, to: rest.count, by: 2).map { rest[$0] }
        return ARMTarget(
            provider: provider, type: types.joined(separator: "/"), names: names,
            isSubscriptionWide: isSubscriptionWide)
    }

    private func operation(_ target: ARMTarget, _ request: ARMRequest) throws(ARMFault) -> ARMOperation {
        func key(_ method: String) -> String {
            ARMOperation.key(
                target.provider, method, target.type, hasLastName: !target.isList,
                isSubscriptionWide: target.isSubscriptionWide)
        }
        if let operation = ARMOperation.byKey[key(request.method)] { return operation }
        if ["GET", "PUT", "DELETE", "POST"].contains(where: { ARMOperation.byKey[key($0)] != nil }) {
            throw ARMFault(
                405, "HttpMethodNotAllowed", "\(request.method) of \(target.type) is not offered by this simulator.",
                isGateway: true)
        }
        throw ARMFault(
            404, "InvalidResourceType",
            "The resource type '\(target.type)' could not be found in the namespace '\(target.provider.rawValue)'.",
            isGateway: true)
    }

    private mutating func performNetwork(
        _ handler: ARMHandler, _ target: ARMTarget, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        switch handler {
        case .loadBalancerGet: return try getLoadBalancer(target.name(0))
        case .loadBalancerList, .loadBalancerListAll:
            return try list(sorted(loadBalancers).map(render(loadBalancer:)), request)
        case .loadBalancerPut: return try putLoadBalancer(target.name(0), request, now: now)
        case .loadBalancerDelete: return try deleteLoadBalancer(target.name(0), request, now: now)
        case .prefixGet: return try getPrefix(target.name(0))
        case .prefixList, .prefixListAll: return try list(sorted(prefixes).map(render(prefix:)), request)
        case .prefixPut: return try putPrefix(target.name(0), request, now: now)
        case .prefixDelete: return try deletePrefix(target.name(0), request, now: now)
        case .addressGet: return try getPublicAddress(target.name(0))
        case .addressList: return try list(sorted(publicAddresses).map(render(publicAddress:)), request)
        case .addressPut: return try putPublicAddress(target.name(0), request, now: now)
        case .addressDelete: return try deletePublicAddress(target.name(0), request, now: now)
        case .interfaceGet: return try getInterface(target.name(0))
        case .interfaceList, .interfaceListAll:
            return try list(sorted(networkInterfaces).map(render(networkInterface:)), request)
        case .interfacePut: return try putInterface(target.name(0), request, now: now)
        case .interfaceDelete: return try deleteInterface(target.name(0), request, now: now)
        case .networkGet: return try getNetwork(target.name(0))
        case .networkList: return try list([renderNetwork()], request)
        case .subnetGet: return try getSubnet(target.name(0), target.name(1))
        case .subnetList: return try listSubnets(target.name(0), request)
        default: throw .notServed
        }
    }

    private mutating func performCompute(
        _ handler: ARMHandler, _ target: ARMTarget, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        switch handler {
        case .scaleSetGet: return try getScaleSet(target.name(0))
        case .scaleSetList, .scaleSetListAll: return try list(sorted(scaleSets).map(render(scaleSet:)), request)
        case .scaleSetPut: return try putScaleSet(target.name(0), request, now: now)
        case .scaleSetDelete: return try deleteScaleSet(target.name(0), request, now: now)
        case .scaleSetUpgrade: return try upgradeInstances(target.name(0), request, now: now)
        case .scaleSetView: return try scaleSetView(target.name(0))
        case .instanceGet: return try getInstance(target.name(0), target.name(1), request)
        case .instanceList: return try listInstances(target.name(0), request)
        case .instancePut: return try putInstance(target.name(0), target.name(1), request, now: now)
        case .instanceDelete: return try deleteInstance(target.name(0), target.name(1), request, now: now)
        case .instanceView: return try instanceView(target.name(0), target.name(1))
        case .instanceInterfaceGet:
            return try getInstanceInterface(target.name(0), target.name(1), target.name(2))
        case .instanceInterfaceList: return try listInterfaces(target.name(0), target.name(1), request)
        case .scaleSetInterfaceList: return try listInterfaces(target.name(0), nil, request)
        case .instanceAddressGet: return try getInstanceAddress(target)
        case .instanceAddressList, .scaleSetAddressList: return try listInstanceAddresses(target, request)
        case .machineGet: return try getMachine(target.name(0), request)
        case .machineList, .machineListAll: return try listMachines(request)
        case .machinePut: return try putMachine(target.name(0), request, now: now)
        case .machineDelete: return try deleteMachine(target.name(0), request, now: now)
        case .machineView: return try machineView(target.name(0))
        default: throw .notServed
        }
    }

    private func sorted<Value>(_ collection: [String: Value]) -> [Value] {
        collection.sorted { $0.key < $1.key }.map(\.value)
    }

    /// One page of a list, from where the request's token says.
    func list(_ values: [JSONValue], _ request: ARMRequest) throws(ARMFault) -> ARMResponse {
        var start = 0
        if let token = request.query[ARMQuery.skipToken] {
            guard let number = Self.skipCount(token), (1...values.count + 1).contains(number) else {
                throw ARMFault(
                    400, "InvalidParameter", "The $skiptoken '\(token)' is not one of this list's nextLinks.",
                    target: ARMQuery.skipToken)
            }
            start = min(number, values.count)
        }
        let end = min(start + configuration.pageSize, values.count)
        var body: JSONValue = ["value": .array(Array(values[start..<end]))]
        if end < values.count { body["nextLink"] = .string(nextLink(request, skipping: end)) }
        return ARMResponse(200, body)
    }

    private func nextLink(_ request: ARMRequest, skipping count: Int) -> String {
        var query = request.query
        query[ARMQuery.skipToken] = String(UInt64(count) ^ Self.skipMask, radix: 16)
        let fields = query.sorted { $0.key < $1.key }
            .map { "\(ARMRequest.percentEncoded($0.key))=\(ARMRequest.percentEncoded($0.value))" }
        return request.base + "/" + request.segments.map(ARMRequest.percentEncoded).joined(separator: "/") + "?"
            + fields.joined(separator: "&")
    }

    /// A token looks like no number, so that a client does not make up its own.
    private static let skipMask: UInt64 = 0x5eed_0000_0000_0000
    private static func skipCount(_ token: String) -> Int? {
        UInt64(token, radix: 16).flatMap { Int(exactly: $0 ^ skipMask) }
    }
}

extension ARMFault {
    static let notServed = ARMFault(404, "InvalidResource", "The path is not served here.", isGateway: true)
}
