import AzureARM
import JSONModel
import ProviderKit

/// What a pool is made of, as far as it must be known before the first write.
struct PoolMembers: Sendable {
    let pool: GatewayPool
    /// The gateway network interfaces of standalone machines; empty for a scale set.
    let interfaces: [JSONValue]

    /// Reads what the pool itself does not hold: one call for standalone machines.
    init(_ pool: GatewayPool, _ machines: MachineWriter, _ context: CallContext) async throws {
        self.pool = pool
        switch pool {
        case .scaleSet: interfaces = []
        case .machines(let set): interfaces = try await machines.interfaces(of: set, context)
        }
    }

    init(_ pool: GatewayPool, interfaces: [JSONValue]) {
        self.pool = pool
        self.interfaces = interfaces
    }

    /// How many addresses a configuration needs.
    var count: Int {
        switch pool {
        case .scaleSet(let set): set.resource.body["sku.capacity"]?.int ?? 0
        case .machines: interfaces.count
        }
    }

    /// The ipConfigurations of each network interface: of the model, or of the machines.
    var interfaceConfigurations: [[JSONValue]] {
        switch pool {
        case .scaleSet(let set):
            InterfaceEditor.primary(set.modelInterfaces).map {
                [set.modelInterfaces[$0][InterfaceEditor.children]?.elements ?? []]
            } ?? []
        case .machines: interfaces.map { $0[InterfaceEditor.children]?.elements ?? [] }
        }
    }

    var subnet: ResourceID? { interfaceConfigurations.lazy.compactMap(InterfaceEditor.subnet).first }

    /// - Throws: ``ProviderError`` if gateways cannot run here: region, network, or nothing to run on.
    func check(_ cloud: CloudConfiguration) throws {
        let resource: JSONValue
        switch pool {
        case .scaleSet(let set): resource = set.resource.body
        case .machines(let set):
            guard let first = interfaces.first else {
                throw ProviderError(
                    .retry,
                    "pool.nodepoolName: no network interface in resource group \(cloud.resourceGroup) has the tags "
                        + "\(Tags.gatewayInterface) and \(Tags.pool) \"\(set.name)\"", reason: .poolNotFound)
            }
            resource = first
        }
        func refuse(_ problem: String) -> ProviderError {
            ProviderError(
                .invalid, "pool: \(resource["name"]?.text ?? "") is in \(problem)", reason: .poolUnsupported)
        }
        if let region = resource["location"]?.text, !Region.isSame(region, cloud.location) {
            throw refuse("region \(region); cloudConfig.location is \(cloud.location)")
        }
        // A backend pool takes addresses of one virtual network.
        if let subnet, subnet.path.count == 4, subnet.path[1].lowercased() != cloud.virtualNetwork.lowercased() {
            throw refuse("virtual network \(subnet.path[1]); cloudConfig.vnetName is \(cloud.virtualNetwork)")
        }
    }
}

/// IPv6 as Azure has it: a network interface has one ipConfiguration of that version at most, so one configuration of a
/// pool can have it; and its subnet must be dual stack.
struct IPv6Admission {
    /// The name of the IPv6 ipConfiguration, and where it is.
    private var owner: String?
    private let present: Set<String>

    /// - Parameter interfaces: the ipConfigurations of each network interface.
    init(_ interfaces: [[JSONValue]]) {
        let names = interfaces.flatMap { $0 }
            .filter { $0["properties.privateIPAddressVersion"]?.text == "IPv6" }
            .compactMap { $0["name"]?.text?.lowercased() }
        present = Set(names)
        owner = names.min()
    }

    /// Whether the item's ipConfiguration is there already.
    func has(_ item: NodePool.Desired) -> Bool { present.contains(Names.managedIPv6(item.id).lowercased()) }

    /// Why items cannot have an IPv6 address; the first that can takes the place.
    mutating func admit(_ items: [NodePool.Desired]) -> [String: ProviderError] {
        var refusals: [String: ProviderError] = [:]
        for item in items {
            let name = Names.managedIPv6(item.id).lowercased()
            if let owner, owner != name {
                refusals[item.id] = ProviderError(
                    .invalid,
                    "ipFamilies: asks for IPv6, but the pool's network interfaces have the IPv6 ipConfiguration \(owner), "
                        + "and Azure allows one; use another pool, or IPv4 alone", reason: .ipFamilyUnsupported)
            } else {
                owner = name
            }
        }
        return refusals
    }

    static func isDualStack(_ subnet: JSONValue) -> Bool {
        let prefixes = (subnet["properties.addressPrefixes"]?.elements ?? []).compactMap(\.text)
        return (prefixes + [subnet["properties.addressPrefix"]?.text ?? ""]).contains { $0.contains(":") }
    }

    static func refusal(subnet: ResourceID) -> ProviderError {
        ProviderError(
            .invalid,
            "ipFamilies: asks for IPv6, but subnet \(subnet.name) of the pool has no IPv6 prefix; add one to it, or use "
                + "IPv4 alone", reason: .ipFamilyUnsupported)
    }
}
