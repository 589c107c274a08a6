import Foundation
import JSONModel
import Kubernetes
import Lab
import Testing

@testable import Host

/// The manager works with exactly the rights that the manifests give it: a verb too few is refused, one too many unused.
/// The gateway's and the node's rights are held the same way by RolesWithServerTests.
@Suite("Rights of the roles")
struct RoleRightsTests {
    @Test func theManagerUsesItsRightsAndNoOthers() async throws {
        let rights = try RolePolicy(
            serviceAccount: "kube-egress-gateway-controller-manager", namespace: ManagerFixture.secretNamespace)
        func pruneSoon(_ settings: inout ManagerSettings) {
            settings.drift.checkSeconds = 1
            settings.drift.pruneSeconds = 1
        }
        try await ManagerFixture.run(isManaged: false, rights: rights, changing: pruneSoon) { fixture in
            // It stands by first, and takes the Lease when it is released.
            let lease = "0a299682.microsoft.com"
            try await fixture.client.create(
                Lease(
                    metadata: ObjectMeta(name: lease, namespace: ManagerFixture.secretNamespace),
                    spec: LeaseSpec(holderIdentity: "another", leaseDurationSeconds: 3600)))
            let running = Task { try await fixture.manager.run() }
            defer { running.cancel() }
            try await fixture.eventually("it follows the Lease") {
                rights.collections.contains { $0.hasPrefix("leases") } ? () : nil
            }
            let released: JSONValue = ["spec": ["holderIdentity": ""]]
            try await fixture.client.mergePatch(
                Lease.self, namespace: ManagerFixture.secretNamespace, name: lease, patch: released)
            try await fixture.create("gw-a")
            let gateway = try await fixture.ready("gw-a")
            // A Secret that lost half of its pair is mended.
            let secret = "sgw-\(gateway.metadata.uid)"
            let half: JSONValue = ["data": ["PublicKey": .null]]
            try await fixture.client.mergePatch(
                Secret.self, namespace: ManagerFixture.secretNamespace, name: secret, patch: half)
            let touched: JSONValue = ["metadata": ["labels": ["touched": "yes"]]]
            try await fixture.client.mergePatch(
                StaticGatewayConfiguration.self, namespace: ManagerFixture.namespace, name: "gw-a",
                patch: touched)
            _ = try await fixture.eventually("the pair is whole") {
                try await fixture.find(Secret.self, secret, namespace: ManagerFixture.secretNamespace)?
                    .data["PublicKey"]
            }
            try await fixture.client.delete(
                StaticGatewayConfiguration.self, namespace: ManagerFixture.namespace, name: "gw-a")
            try await fixture.eventually("gw-a is gone") {
                try await fixture.find(StaticGatewayConfiguration.self, "gw-a") == nil ? () : nil
            }
            // A Lease that somebody deletes is made anew by who holds it; renewed every two seconds.
            try await fixture.client.delete(Lease.self, namespace: ManagerFixture.secretNamespace, name: lease)
            try await fixture.eventually("all rights are used") { rights.unused.isEmpty ? () : nil }
            #expect(rights.refused.isEmpty, "\(rights.refused)")
            // Of the nodes only the gateways', of the Secrets only those it makes; no pods.
            #expect(
                rights.collections == [
                    "staticgatewayconfigurations", "gatewaylbconfigurations", "gatewayvmconfigurations", "podendpoints",
                    "gatewaystatuses in \(ManagerFixture.secretNamespace)",
                    "secrets in \(ManagerFixture.secretNamespace) where \(GatewayNames.owningNamespaceLabel)",
                    "leases in \(ManagerFixture.secretNamespace) where metadata.name=\(lease)",
                    "nodes where kubeegressgateway.azure.com/mode=true",
                    "nodes where kubernetes.azure.com/mode=gateway",
                ])
            running.cancel()
            try await running.value
        }
    }
}
