import JSONModel

/// From a request to the resource it is about. The order of refusals is ARM's: token, address, api-version, then body.
extension AzureState {
    /// Answers one request. `now` is the time since the simulator started.
    mutating func respond(to request: ARMRequest, now: Duration) -> ARMResponse {
        do {
            return try route(request, now: now)
        } catch {
            return ARMResponse(fault: error)
        }
    }

    private mutating func route(_ request: ARMRequest, now: Duration) throws(ARMFault) -> ARMResponse {
        let path = request.segments.map { $0.lowercased() }
        if path == ["metadata", "endpoints"] { return metadataEndpoints(request) }
        if path.count == 4, Array(path[1...]) == ["oauth2", "v2.0", "token"] { return issueToken(request, now: now) }
        try authorize(request, now: now)
        guard path.count >= 2, path[0] == "subscriptions" else {
            throw ARMFault(404, "InvalidResource", "The path is not served here.", isGateway: true)
        }
        guard path[1] == configuration.subscription.lowercased() else {
            throw ARMFault(
                404, "SubscriptionNotFound", "The subscription '\(request.segments[1])' could not be found.",
                isGateway: true)
        }
        if path.count == 8, path[2] == "providers", path[4] == "locations", path[6].hasPrefix("operation") {
            return operationStatus(request)
        }
        let target = try target(request, path)
        let handler = try handler(target, request)
        var response: ARMResponse
        do {
            response = try perform(handler, target, request, now: now)
        } catch {
            response = ARMResponse(fault: error)
        }
        response.operation = handler.rawValue
        return response
    }

    private func target(_ request: ARMRequest, _ path: [String]) throws(ARMFault) -> ARMTarget {
        guard path.count >= 7, path[2] == "resourcegroups", path[4] == "providers" else {
            throw ARMFault(404, "InvalidResource", "The path is not served here.", isGateway: true)
        }
        guard path[3] == configuration.resourceGroup.lowercased() else {
            throw ARMFault(
                404, "ResourceGroupNotFound", "Resource group '\(request.segments[3])' could not be found.",
                isGateway: true)
        }
        guard let provider = [ARMProvider.network, .compute].first(where: { $0.rawValue.lowercased() == path[5] })
        else {
            throw ARMFault(
                404, "InvalidResourceNamespace", "The resource namespace '\(request.segments[5])' is invalid.",
                isGateway: true)
        }
        let rest = Array(request.segments[6...])
        let types = stride(from: 0, to: rest.count, by: 2).map { rest[$0].lowercased() }
        let names = stride(from: 1, to: rest.count, by: 2).map { rest[$0] }
        return ARMTarget(provider: provider, type: types.joined(separator: "/"), names: names)
    }

    /// The operations served, named as in the public operation list.
    enum Handler: String, Sendable, CaseIterable {
        case loadBalancerGet = "LoadBalancers_Get"
        case loadBalancerList = "LoadBalancers_List"
        case loadBalancerPut = "LoadBalancers_CreateOrUpdate"
        case loadBalancerDelete = "LoadBalancers_Delete"
        case prefixGet = "PublicIPPrefixes_Get"
        case prefixList = "PublicIPPrefixes_List"
        case prefixPut = "PublicIPPrefixes_CreateOrUpdate"
        case prefixDelete = "PublicIPPrefixes_Delete"
        case networkGet = "VirtualNetworks_Get"
        case subnetGet = "Subnets_Get"
        case subnetList = "Subnets_List"
        case scaleSetGet = "VirtualMachineScaleSets_Get"
        case scaleSetList = "VirtualMachineScaleSets_List"
        case scaleSetPut = "VirtualMachineScaleSets_CreateOrUpdate"
        case instanceGet = "VirtualMachineScaleSetVMs_Get"
        case instanceList = "VirtualMachineScaleSetVMs_List"
        case instancePut = "VirtualMachineScaleSetVMs_Update"
        case interfaceGet = "Interfaces_GetVirtualMachineScaleSetNetworkInterface"
        case interfaceList = "Interfaces_ListVirtualMachineScaleSetVMNetworkInterfaces"
        case scaleSetInterfaceList = "Interfaces_ListVirtualMachineScaleSetNetworkInterfaces"
        case machineList = "VirtualMachines_List"
    }

    private static let handlers: [String: Handler] = [
        "network GET loadbalancers/": .loadBalancerGet, "network GET loadbalancers": .loadBalancerList,
        "network PUT loadbalancers/": .loadBalancerPut, "network DELETE loadbalancers/": .loadBalancerDelete,
        "network GET publicipprefixes/": .prefixGet, "network GET publicipprefixes": .prefixList,
        "network PUT publicipprefixes/": .prefixPut, "network DELETE publicipprefixes/": .prefixDelete,
        "network GET virtualnetworks/": .networkGet, "network GET virtualnetworks/subnets/": .subnetGet,
        "network GET virtualnetworks/subnets": .subnetList,
        "compute GET virtualmachinescalesets/": .scaleSetGet, "compute GET virtualmachinescalesets": .scaleSetList,
        "compute PUT virtualmachinescalesets/": .scaleSetPut,
        "compute GET virtualmachinescalesets/virtualmachines/": .instanceGet,
        "compute GET virtualmachinescalesets/virtualmachines": .instanceList,
        "compute PUT virtualmachinescalesets/virtualmachines/": .instancePut,
        "compute GET virtualmachinescalesets/virtualmachines/networkinterfaces/": .interfaceGet,
        "compute GET virtualmachinescalesets/virtualmachines/networkinterfaces": .interfaceList,
        "compute GET virtualmachinescalesets/networkinterfaces": .scaleSetInterfaceList,
        "compute GET virtualmachines": .machineList,
    ]

    private func handler(_ target: ARMTarget, _ request: ARMRequest) throws(ARMFault) -> Handler {
        let key = "\(target.provider) \(request.method) \(target.type)\(target.isList ? "" : "/")"
        guard let handler = Self.handlers[key] else {
            if Self.handlers.keys.contains(where: { $0.hasSuffix(" \(target.type)\(target.isList ? "" : "/")") }) {
                throw ARMFault(
                    405, "HttpMethodNotAllowed",
                    "\(request.method) of \(target.type) is not offered by this simulator.",
                    isGateway: true)
            }
            throw ARMFault(
                404, "InvalidResourceType",
                "The resource type '\(target.type)' could not be found in the namespace '\(target.provider.rawValue)'.",
                isGateway: true)
        }
        let wanted =
            target.type.hasSuffix("networkinterfaces")
            ? ARMProvider.scaleSetNetworkAPIVersion : target.provider.apiVersion
        try checkVersion(request, wanted: wanted, target)
        return handler
    }

    private func checkVersion(_ request: ARMRequest, wanted: String, _ target: ARMTarget) throws(ARMFault) {
        guard let version = request.query["api-version"], !version.isEmpty else {
            throw ARMFault(
                400, "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.", isGateway: true)
        }
        let shape = version.prefix(10).map { $0.isNumber ? "9" : $0 }
        guard String(shape) == "9999-99-99" else {
            throw ARMFault(
                400, "InvalidApiVersionParameter",
                "The api-version '\(version)' is invalid. The supported versions are '\(wanted)'.", isGateway: true)
        }
        guard version == wanted else {
            throw ARMFault(
                400, "NoRegisteredProviderFound",
                "No registered resource provider found for location '\(configuration.location)' and API version "
                    + "'\(version)' for type '\(target.type)'. The supported api-versions are '\(wanted)'.",
                isGateway: true)
        }
    }

    private mutating func perform(
        _ handler: Handler, _ target: ARMTarget, _ request: ARMRequest, now: Duration
    ) throws(ARMFault) -> ARMResponse {
        switch handler {
        case .loadBalancerGet: try getLoadBalancer(target.name(0))
        case .loadBalancerList: list(loadBalancers.values.sorted { $0.name < $1.name }.map(render(loadBalancer:)))
        case .loadBalancerPut: try putLoadBalancer(target.name(0), request, now: now)
        case .loadBalancerDelete: try deleteLoadBalancer(target.name(0), request, now: now)
        case .prefixGet: try getPrefix(target.name(0))
        case .prefixList: list(prefixes.values.sorted { $0.name < $1.name }.map(render(prefix:)))
        case .prefixPut: try putPrefix(target.name(0), request, now: now)
        case .prefixDelete: try deletePrefix(target.name(0), request, now: now)
        case .networkGet: try getNetwork(target.name(0))
        case .subnetGet: try getSubnet(target.name(0), target.name(1))
        case .subnetList: try listSubnets(target.name(0))
        case .scaleSetGet: try getScaleSet(target.name(0))
        case .scaleSetList: list(scaleSets.values.sorted { $0.name < $1.name }.map(render(scaleSet:)))
        case .scaleSetPut: try putScaleSet(target.name(0), request, now: now)
        case .instanceGet: try getInstance(target.name(0), target.name(1))
        case .instanceList: try listInstances(target.name(0))
        case .instancePut: try putInstance(target.name(0), target.name(1), request, now: now)
        case .interfaceGet: try getInterface(target.name(0), target.name(1), target.name(2))
        case .interfaceList: try listInterfaces(target.name(0), target.name(1))
        case .scaleSetInterfaceList: try listInterfaces(target.name(0), nil)
        case .machineList: list([])
        }
    }

    func list(_ values: [JSONValue]) -> ARMResponse { ARMResponse(200, ["value": .array(values)]) }
}
