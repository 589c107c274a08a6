import JSONModel
import LinuxNet

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// All that the simulated subscription holds. A value: requests and the passing of time change it, nothing else does,
/// and it does no IO.
struct AzureState: Sendable {
    /// A subnet with its IPv4 block and, if it is dual stack, its IPv6 block.
    struct Subnet: Sendable {
        let name: String
        let blocks: [AzureBlock]

        func block(_ family: IPAddress.Family) -> AzureBlock? { blocks.first { $0.family == family } }
    }

    let configuration: AzureSimulator.Configuration
    let subnets: [Subnet]
    /// Where public addresses come from, one block per family.
    let publicSpaces: [AzureBlock]
    /// The wall-clock time that every `now` counts from; only answers show it.
    let epoch: Date
    var identifiers: ARMIdentifiers
    /// Keyed by lower-case name, as the other collections.
    var loadBalancers: [String: LoadBalancerState] = [:]
    var prefixes: [String: PrefixState] = [:]
    var publicAddresses: [String: PublicAddressState] = [:]
    var networkInterfaces: [String: NetworkInterfaceState] = [:]
    var scaleSets: [String: ScaleSetState] = [:]
    var machines: [String: MachineState] = [:]
    var operations: [String: OperationState] = [:]
    /// Operation ids, oldest first; bounded by ``keptOperations``.
    var operationOrder: [String] = []
    /// Tokens given out and when they end; bounded by ``keptTokens``.
    var tokens: [String: Duration] = [:]
    /// Keys and trusts that assertions are checked with.
    let assertions: AssertionVerifier
    /// Faults that wait for a call, oldest first; bounded by ``armedFaults``.
    var faults: [AzureSimulator.Fault] = []
    var buckets: Buckets
    var metadataBuckets = MetadataBuckets()

    static let keptOperations = 1000
    static let keptTokens = 10_000

    /// - Throws: ``AzureSimulator/StartError`` that names the field and the value.
    init(_ configuration: AzureSimulator.Configuration, epoch: Date) throws {
        self.configuration = configuration
        self.epoch = epoch
        identifiers = ARMIdentifiers(seed: configuration.seed)
        buckets = Buckets(configuration.rateLimits)
        assertions = try AssertionVerifier(configuration.identity)
        publicSpaces = [
            try Self.block(configuration.publicAddressSpace, "publicAddressSpace", .ipv4),
            try Self.block(configuration.publicAddressSpaceIPv6, "publicAddressSpaceIPv6", .ipv6),
        ]
        subnets = try Self.subnets(of: configuration.virtualNetwork)
        try Self.checkNumbers(configuration)
        for scaleSet in configuration.scaleSets { try addScaleSet(scaleSet) }
        for pool in configuration.machinePools { try addMachinePool(pool) }
    }

    private static func checkNumbers(_ configuration: AzureSimulator.Configuration) throws {
        func refuse(_ message: String) -> AzureSimulator.StartError {
            AzureSimulator.StartError(code: .configuration, message: message)
        }
        guard configuration.pageSize >= 1 else { throw refuse("pageSize: \(configuration.pageSize) is below 1") }
        guard configuration.latencyScale >= 0, configuration.latencyScale.isFinite else {
            throw refuse("latencyScale: \(configuration.latencyScale) is not 0 or more")
        }
        guard configuration.identity.tokenLifetime >= .seconds(1) else {
            throw refuse("identity.tokenLifetime: \(configuration.identity.tokenLifetime) is below 1 second")
        }
        guard let host = IPAddress(configuration.host),
            host.family == .ipv4 ? host.bytes.first == 127 : host == IPAddress("::1")
        else {
            throw refuse(
                "host: \"\(configuration.host)\" is no loopback address; faults are armed without a password, so the "
                    + "simulator listens on 127.0.0.0/8 and ::1 only")
        }
    }

    private static func block(_ text: String, _ field: String, _ family: IPAddress.Family) throws -> AzureBlock {
        guard let block = AzureBlock(text), block.family == family else {
            let example = family == .ipv4 ? "IPv4 CIDR like 10.243.0.0/16" : "IPv6 CIDR like 2001:db8::/48"
            throw AzureSimulator.StartError(
                code: .configuration, message: "\(field): \"\(text)\" is no aligned \(example)")
        }
        return block
    }

    private static func subnets(of configuration: AzureSimulator.VirtualNetwork) throws -> [Subnet] {
        let network = try block(configuration.addressPrefix, "virtualNetwork.addressPrefix", .ipv4)
        var subnets: [Subnet] = []
        for subnet in configuration.subnets {
            var blocks = [try block(subnet.addressPrefix, "subnet \(subnet.name): addressPrefix", .ipv4)]
            guard network.contains(blocks[0]) else {
                throw AzureSimulator.StartError(
                    code: .configuration,
                    message: "subnet \(subnet.name): addressPrefix \(blocks[0]) must lie in \(network)")
            }
            if let text = subnet.addressPrefixIPv6 {
                blocks.append(try block(text, "subnet \(subnet.name): addressPrefixIPv6", .ipv6))
            }
            for block in blocks where subnets.flatMap(\.blocks).contains(where: { $0.overlaps(block) }) {
                throw AzureSimulator.StartError(
                    code: .configuration, message: "subnet \(subnet.name): \(block) overlaps another subnet")
            }
            subnets.append(Subnet(name: subnet.name, blocks: blocks))
        }
        return subnets
    }
}

// MARK: - Names

extension AzureState {
    var subscriptionID: String { "/subscriptions/\(configuration.subscription)" }

    /// The id of a resource of ours, in the service's own casing.
    func id(_ provider: ARMProvider, _ path: String...) -> String {
        "\(subscriptionID)/resourceGroups/\(configuration.resourceGroup)/providers/\(provider.rawValue)/"
            + path.joined(separator: "/")
    }

    func subnetID(_ name: String) -> String {
        id(.network, "virtualNetworks", configuration.virtualNetwork.name, "subnets", name)
    }

    /// The names in an id of this subscription and resource group, if it is of these types; nil otherwise.
    func names(in id: String, _ provider: ARMProvider, _ types: String...) -> [String]? {
        guard let parsed = ARMResourceID(id),
            parsed.subscription.lowercased() == configuration.subscription.lowercased(),
            parsed.resourceGroup.lowercased() == configuration.resourceGroup.lowercased(),
            parsed.provider.lowercased() == provider.rawValue.lowercased(),
            types.map({ $0.lowercased() }) == parsed.segments.map({ $0.type.lowercased() })
        else { return nil }
        return parsed.segments.map(\.name)
    }

    /// The subnet that an id names.
    func subnet(_ id: String) -> Subnet? {
        guard let names = names(in: id, .network, "virtualNetworks", "subnets"),
            names[0].lowercased() == configuration.virtualNetwork.name.lowercased()
        else { return nil }
        return subnets.first { $0.name.lowercased() == names[1].lowercased() }
    }

    /// The prefix that an id names.
    func prefix(_ id: String) -> PrefixState? {
        names(in: id, .network, "publicIPPrefixes").flatMap { prefixes[$0[0].lowercased()] }
    }

    /// The load balancer that a backend pool's id names, if that has such a pool.
    func loadBalancer(ofPool id: String) -> LoadBalancerState? {
        guard let names = names(in: id, .network, "loadBalancers", "backendAddressPools"),
            let state = loadBalancers[names[0].lowercased()], state.hasChild("backendAddressPools", named: names[1])
        else { return nil }
        return state
    }

    /// The name that a resource has or is to get.
    ///
    /// - Throws: ``ARMFault`` unless a new name has 1 to 80 letters, digits, `_`, `.` and `-`, begins with a letter or
    ///   digit, and does not end with `.` or `-` (naming rules page).
    func resourceName(_ old: String?, _ wanted: String) throws(ARMFault) -> String {
        if let old { return old }
        let isWord = wanted.unicodeScalars.allSatisfy { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
                || "_.-".unicodeScalars.contains(scalar)
        }
        guard isWord, (1...80).contains(wanted.utf8.count), let first = wanted.first, let last = wanted.last,
            !"_.-".contains(first), !".-".contains(last)
        else {
            throw ARMFault(
                400, "InvalidResourceName",
                "Resource name \(wanted) is invalid. The name can be up to 80 characters long. It must begin with a "
                    + "word character, and it must end with a word character or with '_'.")
        }
        return wanted
    }

    /// - Throws: ``ARMFault`` if `value` holds no well-formed id at `path`.
    func referenceID(_ value: JSONValue?, path: String) throws(ARMFault) -> String {
        let text = value?["id"]?.text ?? ""
        guard ARMResourceID(text) != nil else {
            throw ARMFault(
                400, "LinkedInvalidPropertyId",
                "Property id '\(text)' at path '\(path).id' is invalid. Expect fully qualified resource Id that start "
                    + "with '/subscriptions/{subscriptionId}' or '/providers/{resourceProviderNamespace}/'.",
                target: "\(path).id")
        }
        return text
    }
}

extension ARMFault {
    static func prefixExhausted(_ name: String, length: Int) -> ARMFault {
        ARMFault(
            400, "PublicIpPrefixOutOfIpAddressesForVMScaleSet",
            "Public IP prefix \(name) of length \(length) does not have enough addresses for every instance of the "
                + "virtual machine scale set.", target: name)
    }
}
