import Foundation
import Kubernetes

@testable import Host

/// Objects as a cluster holds them, with everything in order; tests change what they are about.
enum Fixture {
    static let node = "gateway-1"

    /// Base64 of 32 bytes that all are `byte`.
    static func key(_ byte: UInt8) -> String { Data(repeating: byte, count: 32).base64EncodedString() }

    static func configuration(
        _ name: String, namespace: String = "team-a", port: Int32 = 6000, frontend: String = "10.243.0.6",
        created: TimeInterval = 0
    ) -> StaticGatewayConfiguration {
        StaticGatewayConfiguration(
            metadata: ObjectMeta(
                name: name, namespace: namespace, uid: "uid-\(name)",
                creationTimestamp: Timestamp(Date(timeIntervalSince1970: 1_000_000 + created))),
            spec: StaticGatewayConfigurationSpec(gatewayNodepoolName: "gwpool"),
            status: StaticGatewayConfigurationStatus(
                egressIpPrefix: "203.0.113.8/31",
                gatewayServerProfile: GatewayServerProfile(
                    ip: frontend, port: port, publicKey: key(1),
                    privateKeySecretRef: ObjectReference(
                        apiVersion: "v1", kind: "Secret", namespace: "kube-egress-gateway-system",
                        name: "sgw-uid-\(name)"))))
    }

    static func machines(
        _ name: String, namespace: String = "team-a", primary: String = "10.243.0.5", secondary: String = "10.243.0.7",
        node: String = node
    ) -> GatewayVMConfiguration {
        GatewayVMConfiguration(
            metadata: ObjectMeta(name: name, namespace: namespace), spec: GatewayConfigurationSpec(),
            status: GatewayVMConfigurationStatus(
                egressIpPrefix: "203.0.113.8/31",
                gatewayVMProfiles: [
                    GatewayVMProfile(nodeName: "gateway-9", primaryIP: "10.243.0.99", secondaryIP: "10.243.0.98"),
                    GatewayVMProfile(nodeName: node, primaryIP: primary, secondaryIP: secondary),
                ]))
    }

    static func endpoint(
        _ name: String, of configuration: String, address: String, key byte: UInt8, created: TimeInterval = 0
    ) -> PodEndpoint {
        PodEndpoint(
            metadata: ObjectMeta(
                name: name, namespace: "team-a",
                creationTimestamp: Timestamp(Date(timeIntervalSince1970: 1_000_000 + created))),
            spec: PodEndpointSpec(
                staticGatewayConfiguration: configuration, podIpAddress: address, podPublicKey: key(byte)))
    }

    static func plan(
        _ configurations: [StaticGatewayConfiguration], _ machines: [GatewayVMConfiguration],
        _ endpoints: [PodEndpoint] = []
    ) -> GatewayPlan {
        GatewayPlan(nodeName: node, configurations: configurations, machines: machines, endpoints: endpoints)
    }
}
