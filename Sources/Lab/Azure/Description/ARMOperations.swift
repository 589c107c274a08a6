/// The operations served, named as in the public operation list.
enum ARMHandler: String, Sendable, CaseIterable {
    case loadBalancerGet = "LoadBalancers_Get"
    case loadBalancerList = "LoadBalancers_List"
    case loadBalancerListAll = "LoadBalancers_ListAll"
    case loadBalancerPut = "LoadBalancers_CreateOrUpdate"
    case loadBalancerDelete = "LoadBalancers_Delete"
    case prefixGet = "PublicIPPrefixes_Get"
    case prefixList = "PublicIPPrefixes_List"
    case prefixListAll = "PublicIPPrefixes_ListAll"
    case prefixPut = "PublicIPPrefixes_CreateOrUpdate"
    case prefixDelete = "PublicIPPrefixes_Delete"
    case addressGet = "PublicIPAddresses_Get"
    case addressList = "PublicIPAddresses_List"
    case addressPut = "PublicIPAddresses_CreateOrUpdate"
    case addressDelete = "PublicIPAddresses_Delete"
    case interfaceGet = "Interfaces_Get"
    case interfaceList = "Interfaces_List"
    case interfaceListAll = "Interfaces_ListAll"
    case interfacePut = "Interfaces_CreateOrUpdate"
    case interfaceDelete = "Interfaces_Delete"
    case networkGet = "VirtualNetworks_Get"
    case networkList = "VirtualNetworks_List"
    case subnetGet = "Subnets_Get"
    case subnetList = "Subnets_List"
    case scaleSetGet = "VirtualMachineScaleSets_Get"
    case scaleSetList = "VirtualMachineScaleSets_List"
    case scaleSetListAll = "VirtualMachineScaleSets_ListAll"
    case scaleSetPut = "VirtualMachineScaleSets_CreateOrUpdate"
    case scaleSetDelete = "VirtualMachineScaleSets_Delete"
    case scaleSetUpgrade = "VirtualMachineScaleSets_UpdateInstances"
    case scaleSetView = "VirtualMachineScaleSets_GetInstanceView"
    case instanceGet = "VirtualMachineScaleSetVMs_Get"
    case instanceList = "VirtualMachineScaleSetVMs_List"
    case instancePut = "VirtualMachineScaleSetVMs_Update"
    case instanceDelete = "VirtualMachineScaleSetVMs_Delete"
    case instanceView = "VirtualMachineScaleSetVMs_GetInstanceView"
    case instanceInterfaceGet = "Interfaces_GetVirtualMachineScaleSetNetworkInterface"
    case instanceInterfaceList = "Interfaces_ListVirtualMachineScaleSetVMNetworkInterfaces"
    case scaleSetInterfaceList = "Interfaces_ListVirtualMachineScaleSetNetworkInterfaces"
    case instanceAddressGet = "PublicIPAddresses_GetVirtualMachineScaleSetPublicIPAddress"
    case instanceAddressList = "PublicIPAddresses_ListVirtualMachineScaleSetVMPublicIPAddresses"
    case scaleSetAddressList = "PublicIPAddresses_ListVirtualMachineScaleSetPublicIPAddresses"
    case machineGet = "VirtualMachines_Get"
    case machineList = "VirtualMachines_List"
    case machineListAll = "VirtualMachines_ListAll"
    case machinePut = "VirtualMachines_CreateOrUpdate"
    case machineDelete = "VirtualMachines_Delete"
    case machineView = "VirtualMachines_InstanceView"
}

/// One operation: how it is asked for, and what it takes.
struct ARMOperation: Sendable {
    let handler: ARMHandler
    let method: String
    let provider: ARMProvider
    /// The path below the provider, with `{}` for each name.
    let path: String
    /// Of the whole subscription rather than of the resource group.
    let isSubscriptionWide: Bool
    let apiVersion: String
    /// Query parameters besides `api-version`.
    let query: [String]
    /// The model of the body; nil: none.
    let body: String?

    private init(
        _ handler: ARMHandler, _ method: String, _ provider: ARMProvider, _ path: String, all: Bool = false,
        version: String? = nil, query: [String] = [], body: String? = nil
    ) {
        self.handler = handler
        self.method = method
        self.provider = provider
        self.path = path
        isSubscriptionWide = all
        apiVersion = version ?? provider.apiVersion
        self.query = query
        self.body = body
    }

    /// How a request is matched: provider, method and lower-case types; a final slash where a name follows.
    var key: String {
        let parts = path.split(separator: "/")
        let types = parts.enumerated().filter { $0.offset % 2 == 0 }.map { $0.element.lowercased() }
        return Self.key(
            provider, method, types.joined(separator: "/"), hasLastName: parts.count % 2 == 0,
            isSubscriptionWide: isSubscriptionWide)
    }

    static func key(
        _ provider: ARMProvider, _ method: String, _ types: String, hasLastName: Bool, isSubscriptionWide: Bool
    ) -> String {
        "\(isSubscriptionWide ? "all " : "")\(provider.rawValue) \(method) \(types)\(hasLastName ? "/" : "")"
    }

    static let byKey = Dictionary(
        (networkOperations + computeOperations).map { ($0.key, $0) }
    ) { first, _ in first }

    private static let expand = ["$expand"]

    static let networkOperations: [ARMOperation] = [
        .init(.loadBalancerGet, "GET", .network, "loadBalancers/{}", query: expand),
        .init(.loadBalancerList, "GET", .network, "loadBalancers"),
        .init(.loadBalancerListAll, "GET", .network, "loadBalancers", all: true),
        .init(.loadBalancerPut, "PUT", .network, "loadBalancers/{}", body: "LoadBalancer"),
        .init(.loadBalancerDelete, "DELETE", .network, "loadBalancers/{}"),
        .init(.prefixGet, "GET", .network, "publicIPPrefixes/{}", query: expand),
        .init(.prefixList, "GET", .network, "publicIPPrefixes"),
        .init(.prefixListAll, "GET", .network, "publicIPPrefixes", all: true),
        .init(.prefixPut, "PUT", .network, "publicIPPrefixes/{}", body: "PublicIPPrefix"),
        .init(.prefixDelete, "DELETE", .network, "publicIPPrefixes/{}"),
        .init(.addressGet, "GET", .network, "publicIPAddresses/{}", query: expand),
        .init(.addressList, "GET", .network, "publicIPAddresses"),
        .init(.addressPut, "PUT", .network, "publicIPAddresses/{}", body: "PublicIPAddress"),
        .init(.addressDelete, "DELETE", .network, "publicIPAddresses/{}"),
        .init(.interfaceGet, "GET", .network, "networkInterfaces/{}", query: expand),
        .init(.interfaceList, "GET", .network, "networkInterfaces"),
        .init(.interfaceListAll, "GET", .network, "networkInterfaces", all: true),
        .init(.interfacePut, "PUT", .network, "networkInterfaces/{}", body: "Interface"),
        .init(.interfaceDelete, "DELETE", .network, "networkInterfaces/{}"),
        .init(.networkGet, "GET", .network, "virtualNetworks/{}", query: expand),
        .init(.networkList, "GET", .network, "virtualNetworks"),
        .init(.subnetGet, "GET", .network, "virtualNetworks/{}/subnets/{}", query: expand),
        .init(.subnetList, "GET", .network, "virtualNetworks/{}/subnets"),
    ]

    private static let set = "virtualMachineScaleSets"
    private static let instance = "virtualMachineScaleSets/{}/virtualMachines"
    private static let through = ARMProvider.scaleSetNetworkAPIVersion
    private static let addressPath =
        "virtualMachineScaleSets/{}/virtualMachines/{}/networkInterfaces/{}/ipconfigurations/{}/publicipaddresses"

    static let computeOperations: [ARMOperation] = [
        .init(.scaleSetGet, "GET", .compute, "\(set)/{}", query: expand),
        .init(.scaleSetList, "GET", .compute, set),
        .init(.scaleSetListAll, "GET", .compute, set, all: true),
        .init(.scaleSetPut, "PUT", .compute, "\(set)/{}", body: "VirtualMachineScaleSet"),
        .init(.scaleSetDelete, "DELETE", .compute, "\(set)/{}", query: ["forceDeletion"]),
        .init(
            .scaleSetUpgrade, "POST", .compute, "\(set)/{}/manualupgrade",
            body: "VirtualMachineScaleSetVMInstanceRequiredIDs"),
        .init(.scaleSetView, "GET", .compute, "\(set)/{}/instanceView"),
        .init(.instanceGet, "GET", .compute, "\(instance)/{}", query: expand),
        .init(.instanceList, "GET", .compute, instance, query: ["$expand", "$filter", "$select"]),
        .init(.instancePut, "PUT", .compute, "\(instance)/{}", body: "VirtualMachineScaleSetVM"),
        .init(.instanceDelete, "DELETE", .compute, "\(instance)/{}", query: ["forceDeletion"]),
        .init(.instanceView, "GET", .compute, "\(instance)/{}/instanceView"),
        .init(
            .instanceInterfaceGet, "GET", .compute, "\(instance)/{}/networkInterfaces/{}", version: through,
            query: expand),
        .init(.instanceInterfaceList, "GET", .compute, "\(instance)/{}/networkInterfaces", version: through),
        .init(.scaleSetInterfaceList, "GET", .compute, "\(set)/{}/networkInterfaces", version: through),
        .init(.instanceAddressGet, "GET", .compute, "\(addressPath)/{}", version: through, query: expand),
        .init(.instanceAddressList, "GET", .compute, addressPath, version: through),
        .init(.scaleSetAddressList, "GET", .compute, "\(set)/{}/publicipaddresses", version: through),
        .init(.machineGet, "GET", .compute, "virtualMachines/{}", query: expand),
        .init(.machineList, "GET", .compute, "virtualMachines", query: ["$expand", "$filter"]),
        .init(
            .machineListAll, "GET", .compute, "virtualMachines", all: true,
            query: ["$expand", "$filter", "statusOnly"]),
        .init(.machinePut, "PUT", .compute, "virtualMachines/{}", body: "VirtualMachine"),
        .init(.machineDelete, "DELETE", .compute, "virtualMachines/{}", query: ["forceDeletion"]),
        .init(.machineView, "GET", .compute, "virtualMachines/{}/instanceView"),
    ]
}
