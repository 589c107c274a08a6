import LinuxNet

/// Names and addresses of the one-machine lab: two gateway nodes, a worker, and the network around them.
public struct LabPlan: Sendable, Equatable {
    /// The tunnel provider that nodes and gateways load.
    public enum TunnelProvider: String, Sendable, Codable, CaseIterable {
        case wireguard, vxlan

        /// Its shared object.
        var file: String {
            switch self {
            case .wireguard: "libWireGuard.so"
            case .vxlan: "libVXLAN.so"
            }
        }
    }

    /// What the cluster's objects are kept in.
    public enum APIServer: String, Sendable, Codable, CaseIterable {
        /// This project's own, in the supervisor (docs/api-server.md).
        case embedded
        /// Kubernetes' own libraries over etcd, as processes of their own.
        case real
        /// kube-apiserver of Kubernetes 1.20 over etcd.
        case kubernetes1_20 = "1.20"

        /// File name of the server; nil: it is no process of its own.
        var program: String? {
            switch self {
            case .embedded: nil
            case .real: "library-server"
            case .kubernetes1_20: "kube-apiserver"
            }
        }

        /// What a person may know it by; nil: this project's own.
        public var title: String? {
            switch self {
            case .embedded: nil
            case .real: "Kubernetes' own libraries over etcd"
            case .kubernetes1_20: "kube-apiserver 1.20 over etcd"
            }
        }
    }

    /// Arguments of kubectl that make objects so on this lab's server. A kubectl of today takes the schema of 1.20, which
    /// knows no rules in CEL, for all that a definition may have (docs/api-server.md).
    public var applyArguments: [String] {
        apiServer == .kubernetes1_20 ? ["apply", "--validate=false"] : ["apply"]
    }

    /// Start of the name of every namespace of the lab.
    public let prefix: String
    /// How long the simulator's operations take, relative to a quiet Azure region; 0 or more.
    public let latencyScale: Double
    public let tunnel: TunnelProvider
    public let apiServer: APIServer

    public init(
        prefix: String = "kegw", latencyScale: Double = 0.1, tunnel: TunnelProvider = .wireguard,
        apiServer: APIServer = .embedded
    ) {
        self.prefix = prefix
        self.latencyScale = latencyScale
        self.tunnel = tunnel
        self.apiServer = apiServer
    }

    public static let workerName = "worker-1"
    public static let gatewayNames = ["gateway-1", "gateway-2"]
    /// Namespace of the gateways' keys and of the daemons' own objects.
    public static let systemNamespace = "kube-egress-gateway-system"
    /// Marks a node as gateway (upstream behaviour section 2.1).
    public static let gatewayLabel = "kubeegressgateway.azure.com/mode"
    public static let subscription = "00000000-0000-0000-0000-000000000001"
    public static let resourceGroup = "kegw-lab"
    public static let location = "labregion"
    public static let virtualNetwork = "kegw-vnet"
    public static let gatewaySubnet = "gateways"
    public static let scaleSet = "gateways"
    /// Pod network of the worker, bridge plugin with host-local addresses.
    public static let podNetwork = "10.244.0.0/24"
    /// The host that stands for the internet; answers on port 80 with the source address it saw.
    public static let internetAddress = IPAddress(ipv4: 0xc633_6409)
    public static let internetPort: UInt16 = 80
    /// Source of everything that does not leave through a gateway.
    public static let ordinaryEgress = IPAddress(ipv4: 0xc000_020a)

    /// Namespace of a node.
    public func namespace(ofNode name: String) -> String { "\(prefix)-\(name)" }
    /// Namespace that a gateway node's tunnels end in.
    public func egressNamespace(ofNode name: String) -> String { "\(prefix)-\(name)-egress" }
    /// Namespace of a pod.
    public func namespace(ofPod name: String, in namespace: String) -> String { "\(prefix)-pod-\(namespace)-\(name)" }
    public var internetNamespace: String { "\(prefix)-internet" }

    var fabric: FabricConfiguration {
        FabricConfiguration(
            namespace: "\(prefix)-fabric", internetNamespace: internetNamespace,
            edgeAddress: InterfaceNetwork(IPAddress(ipv4: 0xc633_6401), prefixLength: 24),
            internetAddress: InterfaceNetwork(Self.internetAddress, prefixLength: 24),
            ordinaryEgress: Self.ordinaryEgress,
            insideAddresses: IPPrefix(IPAddress(ipv4: 0x0a00_0000), length: 8),
            publicNetworks: [
                IPPrefix(IPAddress(ipv4: 0xcb00_7100), length: 24), IPPrefix(IPAddress(ipv4: 0xc000_0200), length: 24),
            ], routers: [Self.gatewayRouter, Self.workerRouter], probeSource: IPAddress(ipv4: 0xa83f_8110))
    }

    private static let gatewayRouter = IPAddress(ipv4: 0x0af3_0001)
    private static let workerRouter = IPAddress(ipv4: 0x0af3_0401)
    static let workerAddress = IPAddress(ipv4: 0x0af3_0404)

    var azure: AzureSimulator.Configuration {
        AzureSimulator.Configuration(
            subscription: Self.subscription, resourceGroup: Self.resourceGroup, location: Self.location,
            virtualNetwork: .init(
                name: Self.virtualNetwork, addressPrefix: "10.243.0.0/16",
                subnets: [
                    .init(name: Self.gatewaySubnet, addressPrefix: "10.243.0.0/24"),
                    .init(name: "workers", addressPrefix: "10.243.4.0/24"),
                ]),
            scaleSets: [
                .init(
                    name: Self.scaleSet,
                    tags: ["aks-managed-poolName": "gwpool", "aks-managed-gatewayIPPrefixSize": "31"],
                    computerNames: Self.gatewayNames, subnet: Self.gatewaySubnet)
            ], latencyScale: latencyScale)
    }

    /// The machines: the worker, and the gateways with the addresses the simulator gave them.
    ///
    /// - Throws: `invalidInput` if the topology lacks a gateway's primary address.
    func nodes(_ topology: AzureTopology) throws -> [FabricNode] {
        let worker = FabricNode(
            name: Self.workerName, namespace: namespace(ofNode: Self.workerName),
            address: InterfaceNetwork(Self.workerAddress, prefixLength: 24), router: Self.workerRouter)
        let gateways = try Self.gatewayNames.map { name in
            let primary = topology.instances.first { $0.computerName == name }?.ipConfigurations.first(where: \.primary)
            guard let address = primary.flatMap({ IPAddress($0.privateIP) }) else {
                throw LabError(
                    code: .invalidInput, message: "the simulator has no primary address for \(name)",
                    advice: "this is a defect of the lab's plan")
            }
            return FabricNode(
                name: name, namespace: namespace(ofNode: name),
                address: InterfaceNetwork(address, prefixLength: 24), router: Self.gatewayRouter)
        }
        return [worker] + gateways
    }
}
