import Kubernetes
import Lab

/// What the cluster and the cloud of the idle manager have. Pure.
///
/// A network interface takes 256 addresses and 300 rules of Azure, so the configurations share five scale sets.
struct IdlePlan: Sendable {
    static let secretNamespace = "keys"
    static let subscription = "00000000-0000-0000-0000-000000000001"
    static let resourceGroup = "bench"
    static let location = "benchregion"
    static let identity = AzureSimulator.Identity()

    var configurations = 1_000
    var endpoints = 20_000
    var pools = 5
    var instancesPerPool = 2
    var namespaces = 100

    var endpointsPerConfiguration: Int { endpoints / configurations }

    private func nodeName(_ pool: Int, _ instance: Int) -> String { "gateway-\(pool)-\(instance)" }
    private func poolName(_ pool: Int) -> String { "pool-\(pool)" }
    private func namespace(_ configuration: Int) -> String { "team-\(configuration % namespaces)" }
    private func name(_ configuration: Int) -> String { "partner-\(configuration)" }
    private func pool(_ configuration: Int) -> Int { configuration % pools }

    // MARK: - The cloud

    /// Everything happens at once, and the subscription may have as many prefixes as there are configurations; Azure
    /// raises its limit of 100 on request.
    var cloud: AzureSimulator.Configuration {
        var limits = AzureSimulator.Limits.azure
        limits.publicIPPrefixes = configurations
        return AzureSimulator.Configuration(
            subscription: Self.subscription, resourceGroup: Self.resourceGroup, location: Self.location,
            virtualNetwork: .init(
                name: "vnet", addressPrefix: "10.0.0.0/8",
                subnets: [.init(name: "gateways", addressPrefix: "10.1.0.0/16")]),
            scaleSets: (0..<pools).map { pool in
                .init(
                    name: "scale-set-\(pool)",
                    tags: ["aks-managed-poolName": poolName(pool), "aks-managed-gatewayIPPrefixSize": "31"],
                    computerNames: (0..<instancesPerPool).map { nodeName(pool, $0) }, subnet: "gateways")
            },
            publicAddressSpace: "198.18.0.0/16", identity: Self.identity, latencyScale: 0, limits: limits, seed: 1)
    }

    // MARK: - The cluster

    var namespaceNames: [String] { [Self.secretNamespace] + (0..<namespaces).map { "team-\($0)" } }

    var nodes: [Node] {
        (0..<pools).flatMap { pool in
            (0..<instancesPerPool).map { instance in
                Node(
                    metadata: ObjectMeta(
                        name: nodeName(pool, instance), labels: ["kubeegressgateway.azure.com/mode": "true"]),
                    status: NodeStatus(conditions: [
                        Condition(type: "Ready", status: "True", reason: "KubeletReady", message: "")
                    ]))
            }
        }
    }

    var gateways: [StaticGatewayConfiguration] {
        (0..<configurations).map { index in
            StaticGatewayConfiguration(
                metadata: ObjectMeta(name: name(index), namespace: namespace(index)),
                spec: StaticGatewayConfigurationSpec(gatewayNodepoolName: poolName(pool(index))))
        }
    }

    /// The pods that use the gateways.
    var pods: [Pod] {
        (0..<endpoints).map { index in
            Pod(
                metadata: ObjectMeta(
                    name: "worker-\(index / 1_000)-7c9d8f6b54-\(index)", namespace: namespace(index % configurations)),
                spec: PodSpec(nodeName: "worker-\(index % 100)", containers: [Container(name: "a", image: "a")]))
        }
    }

    /// As the node role writes it.
    ///
    /// - Parameter pod: one of ``pods``, as the server has it.
    func endpoint(_ index: Int, of pod: Pod) -> PodEndpoint {
        PodEndpoint(
            metadata: ObjectMeta(
                name: pod.metadata.name, namespace: pod.metadata.namespace,
                labels: ["egressgateway.kubernetes.azure.com/node-name": "worker-\(index % 100)"],
                ownerReferences: [pod.ownerReference()]),
            spec: PodEndpointSpec(
                staticGatewayConfiguration: name(index % configurations),
                podIpAddress: "10.\(64 + index >> 16).\(index >> 8 & 255).\(index & 255)/32",
                podPublicKey: publicKey(index)))
    }

    /// What the gateway role of each node reports: its configurations, and all their peers.
    var reports: [GatewayStatus] {
        (0..<pools).flatMap { pool in
            let own = (0..<configurations).filter { self.pool($0) == pool }
            let spec = GatewayStatusSpec(
                readyGatewayConfigurations: own.map {
                    ReadyGatewayConfiguration(
                        staticGatewayConfiguration: "\(namespace($0))/\(name($0))", interfaceName: "wg-\(6_000 + $0)")
                },
                readyPeerConfigurations: (0..<endpoints).filter { self.pool($0 % configurations) == pool }.map {
                    ReadyPeerConfiguration(
                        podEndpoint: "\(namespace($0 % configurations))/worker-\($0 / 1_000)-7c9d8f6b54-\($0)",
                        interfaceName: "wg-\(6_000 + $0 % configurations)", publicKey: publicKey($0))
                })
            return (0..<instancesPerPool).map { instance in
                GatewayStatus(
                    metadata: ObjectMeta(name: nodeName(pool, instance), namespace: Self.secretNamespace), spec: spec)
            }
        }
    }

    /// 32 bytes in base64 that no other endpoint has.
    private func publicKey(_ index: Int) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var state = UInt64(index + 1) &* 0x9E37_79B9_7F4A_7C15
        let text = (0..<42).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return alphabet[Int(state >> 58)]
        }
        return String(text) + "A="
    }

    // MARK: - The manager

    /// `host.yaml` of a manager as the chart has it; the trust policy is for plugins beside the program that measures.
    ///
    /// - Parameters:
    ///   - plugins: folder of the plugins' files.
    ///   - folder: where kubeconfig and cloud configuration are.
    static func hostConfiguration(plugins: String, folder: String, electsLeader: Bool) -> String {
        """
        role: manager
        logLevel: warning
        pluginDirectory: "\(plugins)"
        trust: { policy: any }
        kubernetes: { kubeconfig: "\(folder)/kubeconfig" }
        plugins:
          - { name: azure-lb, path: libAzureLB.so, config: { cloudConfig: "\(folder)/azure.json" } }
          - { name: azure-vmss, path: libAzureVMSS.so, config: { cloudConfig: "\(folder)/azure.json" } }
        manager:
          secretNamespace: \(secretNamespace)
          leaderElection: \(electsLeader)
          leaderElectionNamespace: \(secretNamespace)

        """
    }

    /// The cloud configuration of both plugins. The secret is the simulator's and opens nothing else.
    static func cloudConfiguration(endpoint: String) -> String {
        """
        {"cloud": "AzureCloud", "location": "\(location)", "tenantId": "\(identity.tenant)",
         "subscriptionId": "\(subscription)", "resourceGroup": "\(resourceGroup)", "vnetName": "vnet",
         "subnetName": "gateways", "aadClientId": "\(identity.clientID)", "aadClientSecret": "\(identity.clientSecret)",
         "resourceManagerEndpoint": "\(endpoint)"}
        """
    }
}
