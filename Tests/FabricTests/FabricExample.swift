import LinuxNet

@testable import Lab

/// A fabric with two gateways and a worker, as the lab has it.
enum FabricExample {
    static func configuration(prefix: String) -> FabricConfiguration {
        FabricConfiguration(
            namespace: "\(prefix)-fabric", internetNamespace: "\(prefix)-internet",
            edgeAddress: InterfaceNetwork(address(198, 51, 100, 1), prefixLength: 24),
            internetAddress: InterfaceNetwork(address(198, 51, 100, 9), prefixLength: 24),
            ordinaryEgress: address(192, 0, 2, 10), insideAddresses: IPPrefix(address(10, 0, 0, 0), length: 8),
            publicNetworks: [
                IPPrefix(address(203, 0, 113, 0), length: 24), IPPrefix(address(192, 0, 2, 0), length: 24),
            ], routers: [address(10, 243, 0, 1), address(10, 243, 4, 1)], probeSource: address(168, 63, 129, 16))
    }

    static func nodes(prefix: String) -> [FabricNode] {
        [("worker-1", 4, 4), ("gateway-1", 0, 4), ("gateway-2", 0, 5)].map { name, subnet, host in
            FabricNode(
                name: name, namespace: "\(prefix)-\(name)",
                address: InterfaceNetwork(address(10, 243, subnet, host), prefixLength: 24),
                router: address(10, 243, subnet, 1))
        }
    }

    /// Frontend 10.243.0.6:6000 over both gateways; gateway-1 leaves with 203.0.113.8.
    static func topology(port: Int = 6000, probePort: Int = 8082) -> AzureTopology {
        func instance(_ name: String, _ addresses: [(String, String?)]) -> AzureTopology.Instance {
            AzureTopology.Instance(
                scaleSet: "gateways", instanceID: "0", computerName: name, networkInterface: "nic", macAddress: "",
                ipConfigurations: addresses.enumerated().map { index, pair in
                    AzureTopology.IPConfiguration(
                        name: "ip\(index)", primary: index == 0, privateIP: pair.0, publicIP: pair.1)
                })
        }
        var topology = AzureTopology()
        topology.frontends = [.init(loadBalancer: "lb", name: "frontend", address: "10.243.0.6")]
        topology.instances = [
            instance("gateway-1", [("10.243.0.4", nil), ("10.243.0.7", "203.0.113.8")]),
            instance("gateway-2", [("10.243.0.5", nil)]),
        ]
        topology.rules = [
            .init(
                loadBalancer: "lb", name: "rule", protocolName: "Udp", frontendName: "frontend",
                frontendAddress: "10.243.0.6", frontendPort: port, backendPort: port, floatingIP: true,
                distribution: "Default",
                backends: [
                    .init(computerName: "gateway-1", networkInterface: "nic", address: "10.243.0.4"),
                    .init(computerName: "gateway-2", networkInterface: "nic", address: "10.243.0.5"),
                ],
                probe: .init(
                    name: "probe", protocolName: "Http", port: probePort, path: "/gw/uid", intervalSeconds: 1,
                    threshold: 1))
        ]
        return topology
    }

    private static func address(_ first: UInt32, _ second: UInt32, _ third: UInt32, _ fourth: UInt32) -> IPAddress {
        IPAddress(ipv4: first << 24 | second << 16 | third << 8 | fourth)
    }
}
