import JSONModel

/// What the Go system does in the cloud for each gateway, call by call (upstream behaviour sections 3.2 to 3.4): one
/// read and write of the whole load balancer, then a prefix, the scale set's model, and each instance in turn. Each of
/// its two controllers has one worker; both are at work at the same time.
///
/// It names everything as the Go system does, so that its gateways can be taken over.
///
/// It is given the benefit of the doubt: it waits for the end of each operation, tries again at once after a conflict,
/// nothing else of it fails, and its dealings with the API server take no time.
struct ReferenceManager: Sendable {
    /// A gateway by the UIDs of its three objects, which name its parts in the cloud (upstream behaviour section 2.2).
    struct Gateway: Sendable {
        var uid: String
        var loadBalancerUID: String
        var machinesUID: String

        init(uid: String, loadBalancerUID: String, machinesUID: String) {
            self.uid = uid
            self.loadBalancerUID = loadBalancerUID
            self.machinesUID = machinesUID
        }

        /// One that has no objects.
        init(_ name: String) {
            self.init(uid: name, loadBalancerUID: "lb-\(name)", machinesUID: name)
        }
    }

    private let client: ReferenceClient
    private let host: VirtualHost
    private let clock: VirtualClock

    private static let loadBalancer =
        "\(BenchCloud.group)/providers/Microsoft.Network/loadBalancers/kubeegressgateway-ilb"
    private static let scaleSets = "\(BenchCloud.group)/providers/Microsoft.Compute/virtualMachineScaleSets"
    private static let subnet = "\(BenchCloud.group)/providers/Microsoft.Network/virtualNetworks/vnet/subnets/gateways"

    init(host: VirtualHost, clock: VirtualClock) {
        self.host = host
        self.clock = clock
        client = ReferenceClient(host)
    }

    /// Makes all gateways, created at the same moment.
    ///
    /// - Returns: the time until the last one can be used.
    func provision(_ gateways: [Gateway]) async throws -> Duration {
        let begin = clock.now
        let (placed, next) = AsyncStream.makeStream(of: Gateway.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { next.finish() }
                for gateway in gateways {
                    // A member that joins a pool changes the load balancer's etag: read and decide again.
                    while try await !reconcileLoadBalancer(gateway) {}
                    next.yield(gateway)
                }
            }
            group.addTask { for await gateway in placed { try await reconcileMachines(gateway) } }
            try await group.waitForAll()
        }
        return begin.duration(to: clock.now)
    }

    /// Takes all our ipConfigurations from one instance: a foreign hand, not the reference.
    func strip(instance instanceID: String) async throws {
        let id = "\(Self.scaleSets)/\(BenchCloud.scaleSet)/virtualMachines/\(instanceID)"
        let path = "properties.networkProfileConfiguration.networkInterfaceConfigurations"
        guard let found = try await client.get(id, ReferenceClient.compute),
            var interface = found[path]?.elements.first
        else { throw BenchError("instance \(instanceID) is not there") }
        let children = interface["properties.ipConfigurations"]?.elements ?? []
        interface["properties.ipConfigurations"] = .array(
            children.filter { $0["name"]?.text?.hasPrefix("egressgateway-") != true })
        var body: JSONValue = [:]
        body[path] = [interface]
        _ = try await client.put(id, ReferenceClient.compute, body)
    }

    // MARK: - Load balancer

    /// - Returns: false if somebody else changed the load balancer meanwhile.
    private func reconcileLoadBalancer(_ gateway: Gateway) async throws -> Bool {
        var body =
            try await client.get(Self.loadBalancer, ReferenceClient.network) ?? [
                "location": .string(BenchCloud.location), "sku": ["name": "Standard", "tier": "Regional"],
                "properties": [:],
            ]
        let pool = try await pool()["properties.uniqueId"]?.text ?? ""
        func reference(_ collection: String, _ name: String) -> JSONValue {
            ["id": .string("\(Self.loadBalancer)/\(collection)/\(name)")]
        }
        func elements(_ collection: String) -> [JSONValue] { body["properties.\(collection)"]?.elements ?? [] }
        func append(_ collection: String, _ element: JSONValue) {
            body["properties.\(collection)"] = .array(elements(collection) + [element])
        }
        if !elements("frontendIPConfigurations").contains(where: { $0["name"]?.text == pool }) {
            _ = try await client.get(Self.subnet, ReferenceClient.network)
            append(
                "frontendIPConfigurations",
                [
                    "name": .string(pool),
                    "properties": [
                        "privateIPAddressVersion": "IPv4", "privateIPAllocationMethod": "Dynamic",
                        "subnet": ["id": .string(Self.subnet)],
                    ],
                ])
            append("backendAddressPools", ["name": .string(pool), "properties": [:]])
        }
        let ports = Set(elements("loadBalancingRules").compactMap { $0["properties.frontendPort"]?.int })
        guard let port = (6000..<7000).first(where: { !ports.contains($0) }) else { throw BenchError("no free port") }
        append(
            "loadBalancingRules",
            [
                "name": .string(gateway.loadBalancerUID),
                "properties": [
                    "protocol": "Udp", "enableFloatingIP": true, "frontendPort": .integer(Int64(port)),
                    "backendPort": .integer(Int64(port)),
                    "frontendIPConfiguration": reference("frontendIPConfigurations", pool),
                    "backendAddressPool": reference("backendAddressPools", pool),
                    "probe": reference("probes", gateway.loadBalancerUID),
                ],
            ])
        append(
            "probes",
            [
                "name": .string(gateway.loadBalancerUID),
                "properties": [
                    "protocol": "Http", "port": 8082, "requestPath": .string("/gw/\(gateway.uid)"),
                    "intervalInSeconds": 5, "probeThreshold": 1,
                ],
            ])
        do {
            _ = try await client.put(Self.loadBalancer, ReferenceClient.network, body, etag: body["etag"]?.text)
            return true
        } catch is ReferenceClient.Conflict {
            return false
        }
    }

    private func pool() async throws -> JSONValue {
        let found = try await client.list(Self.scaleSets, ReferenceClient.compute)
            .first { $0["tags.aks-managed-poolName"]?.text == BenchCloud.pool }
        guard let found else { throw BenchError("gateway agent pool not found") }
        return found
    }

    // MARK: - Machines

    private func reconcileMachines(_ gateway: Gateway) async throws {
        let name = "egressgateway-\(gateway.machinesUID)"
        _ = try await client.list(
            "\(BenchCloud.group)/providers/Microsoft.Compute/virtualMachines", ReferenceClient.compute)
        let pool = try await pool()
        let prefix = "\(BenchCloud.group)/providers/Microsoft.Network/publicIPPrefixes/\(name)"
        if try await client.get(prefix, ReferenceClient.network) == nil {
            _ = try await client.put(
                prefix, ReferenceClient.network,
                [
                    "location": .string(BenchCloud.location), "sku": ["name": "Standard", "tier": "Regional"],
                    "properties": ["prefixLength": 30, "publicIPAddressVersion": "IPv4"],
                ])
        }
        let uniqueID = pool["properties.uniqueId"]?.text ?? ""
        let wanted = Wanted(
            name: name, prefix: prefix, pool: "\(Self.loadBalancer)/backendAddressPools/\(uniqueID)")
        let model = "properties.virtualMachineProfile.networkProfile"
        let scaleSet = "\(Self.scaleSets)/\(BenchCloud.scaleSet)"
        if let configurations = wanted.added(to: pool["\(model).networkInterfaceConfigurations"]?.elements ?? []) {
            var profile = pool[model] ?? [:]
            profile["networkInterfaceConfigurations"] = .array(configurations)
            var body: JSONValue = ["location": .string(BenchCloud.location)]
            body[model] = profile
            _ = try await client.put(scaleSet, ReferenceClient.compute, body)
        }
        let instances = try await client.list("\(scaleSet)/virtualMachines", ReferenceClient.compute)
        for instance in instances { try await reconcile(instance, of: scaleSet, wanted) }
    }

    private func reconcile(_ instance: JSONValue, of scaleSet: String, _ wanted: Wanted) async throws {
        let path = "properties.networkProfileConfiguration.networkInterfaceConfigurations"
        let id = "\(scaleSet)/virtualMachines/\(instance["instanceId"]?.text ?? "")"
        let configurations = instance[path]?.elements ?? []
        let interface = "\(id)/networkInterfaces/\(configurations.first?["name"]?.text ?? "")"
        _ = try await client.get(interface, ReferenceClient.scaleSetNetwork)
        guard let changed = wanted.added(to: configurations) else { return }
        var body: JSONValue = [:]
        body[path] = .array(changed)
        _ = try await client.put(id, ReferenceClient.compute, body)
        _ = try await client.get(interface, ReferenceClient.scaleSetNetwork)
    }

    /// A gateway's ipConfiguration, and the pool that its network interface must be in.
    private struct Wanted {
        var name: String
        var prefix: String
        var pool: String

        /// The configurations with the address; nil if they have it.
        func added(to configurations: [JSONValue]) -> [JSONValue]? {
            let path = "properties.ipConfigurations"
            guard var interface = configurations.first, var children = interface[path]?.elements,
                !children.contains(where: { $0["name"]?.text == name })
            else { return nil }
            let subnet = children[0]["properties.subnet"] ?? [:]
            children[0]["properties.loadBalancerBackendAddressPools"] = [["id": .string(pool)]]
            children.append([
                "name": .string(name),
                "properties": [
                    "primary": false, "privateIPAddressVersion": "IPv4", "subnet": subnet,
                    "publicIPAddressConfiguration": [
                        "name": .string(name), "properties": ["publicIPPrefix": ["id": .string(prefix)]],
                    ],
                ],
            ])
            interface[path] = .array(children)
            return [interface] + configurations.dropFirst()
        }
    }
}
