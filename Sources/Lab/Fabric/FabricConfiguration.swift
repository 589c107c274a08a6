import LinuxNet

/// Names and addresses of the virtual network that plays Azure. Addresses of the internet side are those that RFC 5737
/// sets aside for documentation.
public struct FabricConfiguration: Sendable, Equatable {
    /// Name of the router's namespace.
    public var namespace: String
    /// Name of the namespace with the host that stands for the internet.
    public var internetNamespace: String
    /// The router's address on the link to the internet host.
    public var edgeAddress: InterfaceNetwork
    /// The internet host's address on that link.
    public var internetAddress: InterfaceNetwork
    /// The source address at the edge of everything that has no public address of its own.
    public var ordinaryEgress: IPAddress
    /// Sources that are given an address at the edge; others are dropped there.
    public var insideAddresses: IPPrefix
    /// Networks that the internet host reaches through the edge.
    public var publicNetworks: [IPPrefix]
    /// The subnets' routers: the default gateways of the nodes.
    public var routers: [IPAddress]
    /// Source of health probes; Azure's is 168.63.129.16.
    public var probeSource: IPAddress

    /// Name of the router's link to the internet host.
    static let edgeLink = "edge0"
    /// Name of every node's link, and of the internet host's.
    static let nodeLink = "eth0"
    /// Name of the one nftables table in the router's namespace.
    static let table = "kegw_fabric"

    public init(
        namespace: String, internetNamespace: String, edgeAddress: InterfaceNetwork, internetAddress: InterfaceNetwork,
        ordinaryEgress: IPAddress, insideAddresses: IPPrefix, publicNetworks: [IPPrefix], routers: [IPAddress],
        probeSource: IPAddress
    ) {
        self.namespace = namespace
        self.internetNamespace = internetNamespace
        self.edgeAddress = edgeAddress
        self.internetAddress = internetAddress
        self.ordinaryEgress = ordinaryEgress
        self.insideAddresses = insideAddresses
        self.publicNetworks = publicNetworks
        self.routers = routers
        self.probeSource = probeSource
    }
}

/// An interface's address with the length of its network.
public struct InterfaceNetwork: Sendable, Equatable {
    public var address: IPAddress
    /// 0...32.
    public var prefixLength: Int

    public init(_ address: IPAddress, prefixLength: Int) {
        self.address = address
        self.prefixLength = prefixLength
    }
}

/// A machine in the virtual network: a namespace whose `eth0` hangs on the router.
public struct FabricNode: Sendable, Equatable {
    /// Computer name, which is also the Kubernetes node name.
    public var name: String
    public var namespace: String
    /// Primary private address, given to `eth0`.
    public var address: InterfaceNetwork
    /// Default gateway.
    public var router: IPAddress

    public init(name: String, namespace: String, address: InterfaceNetwork, router: IPAddress) {
        self.name = name
        self.namespace = namespace
        self.address = address
        self.router = router
    }

    /// The router's end of the node's link.
    var routerLink: String { "fab-\(name)" }
}
