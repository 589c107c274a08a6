import Foundation
import JSONModel
import Kubernetes
import Testing

/// Objects of a later release have fields that this one does not know: our writes leave them as they are.
@Suite("Objects of a newer version")
struct NewerVersionTests {
    private struct Definition: KubernetesResource {
        static let resourceType = ResourceType(
            group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
            plural: "customresourcedefinitions", namespaced: false)

        var metadata: ObjectMeta
        var spec: JSONValue
    }

    /// A StaticGatewayConfiguration with whatever is in it.
    private struct Whole: KubernetesResource {
        static let resourceType = StaticGatewayConfiguration.resourceType

        var metadata: ObjectMeta
        var spec: JSONValue
        var status: JSONValue?
    }

    private static let keeps = "x-kubernetes-preserve-unknown-fields"

    /// The definition of a later release, which has more fields.
    private func defineNewer(_ client: KubernetesClient) async throws {
        let type = Whole.resourceType
        var definition = try await client.get(Definition.self, name: "\(type.plural).\(type.group)")
        let versions = (definition.spec["versions"]?.elements ?? []).map { version in
            var version = version
            for part in ["spec", "status"] {
                version["schema.openAPIV3Schema.properties.\(part).\(Self.keeps)"] = true
            }
            return version
        }
        try #require(!versions.isEmpty)
        definition.spec["versions"] = .array(versions)
        try await client.update(definition)
    }

    @Test func theirFieldsSurviveOurWrites() async throws {
        try await ManagerFixture.run { fixture in
            try await defineNewer(fixture.client)
            let hints: JSONValue = ["zones": ["1", "2"], "weight": 3]
            var spec = try JSONValue(encoding: StaticGatewayConfigurationSpec(gatewayNodepoolName: "gwpool"))
            spec["routingHints"] = hints
            try await fixture.client.create(
                Whole(metadata: ObjectMeta(name: "gw-a", namespace: ManagerFixture.namespace), spec: spec))
            let ready = try await fixture.ready("gw-a")
            let address: JSONValue = .string(ready.status?.egressIpPrefix ?? "")
            // The later release's own controller writes to the status, too; and ours is made to write it again.
            let patch: JSONValue = ["status": ["forecast": "sunny", "egressIpPrefix": .null]]
            try await fixture.client.mergePatch(
                Whole.self, namespace: ManagerFixture.namespace, name: "gw-a", patch: patch, subresource: .status)
            let after = try await fixture.eventually("the status is whole again") {
                let found = try await fixture.find(Whole.self, "gw-a")
                return found?.status?["egressIpPrefix"] == address ? found : nil
            }
            #expect(after.status?["forecast"] == "sunny")
            #expect(after.spec["routingHints"] == hints)
            #expect(!after.metadata.finalizers.isEmpty)
            // Also to its end.
            try await fixture.client.delete(Whole.self, namespace: ManagerFixture.namespace, name: "gw-a")
            try await fixture.eventually("it is gone") { try await fixture.find(Whole.self, "gw-a") == nil ? () : nil }
        }
    }
}
