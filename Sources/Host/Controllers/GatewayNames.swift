import Kubernetes

/// Names that a drop-in successor must keep (upstream behaviour sections 0.1 and 2.1).
enum GatewayNames {
    static let staticGatewayFinalizer = "static-gateway-configuration-controller.microsoft.com"
    static let loadBalancerFinalizer = "gateway-lb-configuration-controller.microsoft.com"
    static let nodePoolFinalizer = "gateway-vm-configuration-controller.microsoft.com"

    static let privateKeyField = "PrivateKey"
    static let publicKeyField = "PublicKey"

    static let owningNamespaceLabel = "egressgateway.kubernetes.azure.com/owning-gateway-config-namespace"
    static let owningNameLabel = "egressgateway.kubernetes.azure.com/owning-gateway-config-name"

    /// Label and value of gateway nodes, self-managed and in AKS.
    static let gatewayNodeLabels = [
        ("kubeegressgateway.azure.com/mode", "true"), ("kubernetes.azure.com/mode", "gateway"),
    ]

    /// Name of the Secret with a configuration's key pair.
    static func keySecret(uid: String) -> String { "sgw-\(uid)" }

    /// Path that the load balancer probes on gateway nodes.
    static func probePath(staticGatewayUID: String) -> String { "/gw/\(staticGatewayUID)" }
}
