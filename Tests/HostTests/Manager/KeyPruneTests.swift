import Kubernetes
import Logging
import Testing

@testable import Host

@Suite(.serialized) struct KeyPruneTests {
    @Test func onlySecretsOfConfigurationsThatAreGoneAreRemoved() async throws {
        try await ManagerFixture.run(changing: { $0.drift.pruneSeconds = 0 }) { fixture in
            try await fixture.create("gw-a")
            let gateway = try await fixture.ready("gw-a")
            let label = [GatewayNames.owningNamespaceLabel: ManagerFixture.namespace]
            let gone = GatewayNames.keySecret(uid: "00000000-0000-4000-8000-000000000001")
            let unlabelled = GatewayNames.keySecret(uid: "00000000-0000-4000-8000-000000000002")
            for (name, labels) in [(gone, label), (unlabelled, [:]), ("sgw-mine", label), ("mine", label)] {
                try await fixture.client.create(
                    Secret(
                        metadata: ObjectMeta(name: name, namespace: ManagerFixture.secretNamespace, labels: labels)))
            }
            var settings = ManagerSettings()
            settings.secretNamespace = ManagerFixture.secretNamespace
            let pruner = KeyPruner(
                objects: GatewayObjects(client: fixture.client), settings: settings, logger: Logger(label: "prune"))
            for _ in 0..<2 {
                await pruner.pass()
                let left = try await fixture.client.list(Secret.self, namespace: ManagerFixture.secretNamespace)
                #expect(
                    Set(left.items.map(\.metadata.name))
                        == [GatewayNames.keySecret(uid: gateway.metadata.uid), unlabelled, "sgw-mine", "mine"])
            }
        }
    }
}
