import Foundation
import JSONModel
import Kubernetes
import Logging
import Reconcile
import Testing

@testable import Lab

/// The project's own client and what stands on it, against whichever server is under test: nothing that it needs may
/// depend on the server's age.
@Suite("The client on a server")
struct ServerClientTests {
    private typealias Gateway = StaticGatewayConfiguration
    private static let namespace = "default"
    private static let logger = Logger(label: "apiserver-test") { _ in SwiftLogNoOpLogHandler() }

    /// Runs `body` with a client that the server's kubeconfig describes.
    private static func run(
        _ body: @escaping @Sendable (ServerHarness, KubernetesClient) async throws -> Void
    ) async throws {
        try await ServerHarness.run { harness in
            let path = harness.folder + "/kubeconfig"
            try harness.kubeconfig.write(toFile: path, atomically: true, encoding: .utf8)
            let client = try KubernetesClient(configuration: .load(kubeconfig: path), logger: logger)
            do {
                try await body(harness, client)
            } catch {
                try? await client.shutdown()
                throw error
            }
            try await client.shutdown()
        }
    }

    private static func gateway(_ name: String) -> Gateway {
        Gateway(
            metadata: ObjectMeta(name: name, namespace: namespace),
            spec: StaticGatewayConfigurationSpec(gatewayNodepoolName: "pool"))
    }

    /// The code of the error that `body` ends with.
    private static func refusal(_ body: () async throws -> Void) async -> KubernetesError.Code? {
        do { try await body() } catch { return (error as? KubernetesError)?.code }
        return nil
    }

    private static func eventually(
        _ what: String, _ condition: () async throws -> Bool
    ) async throws {
        for _ in 0..<1200 {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(25))
        }
        Issue.record("\(what): not within thirty seconds")
    }

    @Test func writesCarryTheirPreconditions() async throws {
        try await Self.run { harness, client in
            try await harness.defineGateways()
            let made = try await client.create(Self.gateway("gw"))
            #expect(made.spec.gatewayNodepoolName == "pool" && !made.metadata.uid.isEmpty)
            #expect(await Self.refusal { try await client.create(Self.gateway("gw")) } == .alreadyExists)

            let finalizer: JSONValue = ["metadata": ["finalizers": ["example.com/held"]]]
            let held = try await client.mergePatch(
                Gateway.self, namespace: Self.namespace, name: "gw", patch: finalizer,
                resourceVersion: made.metadata.resourceVersion)
            #expect(held.metadata.finalizers == ["example.com/held"])
            let stale = await Self.refusal {
                try await client.mergePatch(
                    Gateway.self, namespace: Self.namespace, name: "gw", patch: finalizer,
                    resourceVersion: made.metadata.resourceVersion)
            }
            #expect(stale == .conflict)
            let status: JSONValue = ["status": ["egressIpPrefix": "203.0.113.8/31"]]
            let observed = try await client.mergePatch(
                Gateway.self, namespace: Self.namespace, name: "gw", patch: status,
                resourceVersion: held.metadata.resourceVersion, subresource: .status)
            #expect(observed.status?.egressIpPrefix == "203.0.113.8/31")
            #expect(observed.metadata.generation == made.metadata.generation)

            let other = await Self.refusal {
                try await client.delete(Gateway.self, namespace: Self.namespace, name: "gw", uid: "another")
            }
            #expect(other == .conflict)
            try await client.delete(Gateway.self, namespace: Self.namespace, name: "gw", uid: made.metadata.uid)
            let marked = try await client.get(Gateway.self, namespace: Self.namespace, name: "gw")
            #expect(marked.metadata.deletionTimestamp != nil)
            let released: JSONValue = ["metadata": ["finalizers": .null]]
            try await client.mergePatch(
                Gateway.self, namespace: Self.namespace, name: "gw", patch: released,
                resourceVersion: marked.metadata.resourceVersion)
            let gone = await Self.refusal {
                _ = try await client.get(Gateway.self, namespace: Self.namespace, name: "gw")
            }
            #expect(gone == .notFound)
        }
    }

    @Test func appliedFieldsHaveAnOwner() async throws {
        try await Self.run { harness, client in
            try await harness.defineGateways()
            @Sendable func apply(_ pool: String, by manager: String, force: Bool = false) async throws -> Gateway {
                try await client.apply(
                    Gateway.self, namespace: Self.namespace, name: "gw",
                    configuration: ["spec": ["gatewayNodepoolName": .string(pool)]], fieldManager: manager,
                    force: force)
            }
            #expect(try await apply("one", by: "first").spec.gatewayNodepoolName == "one")
            #expect(await Self.refusal { _ = try await apply("two", by: "second") } == .conflict)
            #expect(try await apply("two", by: "second", force: true).spec.gatewayNodepoolName == "two")
        }
    }

    /// Streamed where the server can, in pages where it cannot; the store is the same.
    @Test func aReflectorKeepsUp() async throws {
        try await Self.run { harness, client in
            try await harness.defineGateways()
            for name in ["a", "b", "c"] { try await client.create(Self.gateway(name)) }
            #expect(await client.streamsLists() == (ServerUnderTest.minor >= 32))
            let first = try await client.listPage(Gateway.self, scope: ListScope(), limit: 2)
            let token = try #require(first.continueToken)
            let rest = try await client.listPage(Gateway.self, scope: ListScope(), limit: 2, continueToken: token)
            #expect((first.list.items + rest.list.items).map(\.metadata.name) == ["a", "b", "c"])
            #expect(rest.continueToken == nil)

            let reflector = Reflector(
                Gateway.self, client: client, scope: ListScope(namespace: Self.namespace), logger: Self.logger
            ) { _ in }
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                group.addTask { try await reflector.run() }
                try await reflector.store.waitUntilSynced()
                #expect(Set(reflector.store.all.map(\.metadata.name)) == ["a", "b", "c"])
                try await client.create(Self.gateway("d"))
                try await client.delete(Gateway.self, namespace: Self.namespace, name: "a")
                let status: JSONValue = ["status": ["egressIpPrefix": "203.0.113.8/31"]]
                try await client.mergePatch(
                    Gateway.self, namespace: Self.namespace, name: "b", patch: status, subresource: .status)
                try await Self.eventually("the store follows") {
                    let known = reflector.store.all
                    return Set(known.map(\.metadata.name)) == ["b", "c", "d"]
                        && known.contains { $0.status?.egressIpPrefix == "203.0.113.8/31" }
                }
            }
        }
    }

    /// The state machine takes this for the sign to list anew; on a server that says it otherwise it would hang.
    @Test(.otherServersOnly) func aForgottenVersionIsToldAsGone() async throws {
        try await Self.run { harness, client in
            try await harness.defineGateways()
            try await client.create(Self.gateway("gw"))
            let code = await Self.refusal {
                for try await _ in try await client.watch(Gateway.self, resourceVersion: "1", timeoutSeconds: 5) {}
            }
            #expect(code == .gone)
        }
    }

    @Test func repeatedReportsAreOneEvent() async throws {
        try await Self.run { _, client in
            let recorder = EventRecorder(client: client, component: "egress-manager", logger: Self.logger)
            let pod = ObjectReference(
                apiVersion: "v1", kind: "Pod", namespace: Self.namespace, name: "web", uid: "u-1")
            for _ in 0..<3 { await recorder.warning(pod, reason: "InvalidSpec", message: "no such pool") }
            await recorder.flush()
            let events = try await client.list(ObservedEvent.self, namespace: Self.namespace).items
            let event = try #require(events.first { $0.regarding.name == "web" })
            #expect(events.count == 1 && event.note == "no such pool" && event.type == "Warning")
            #expect(event.reportingController == "egress-manager" && event.series?.count ?? 0 > 1)
        }
    }

    @Test func aLeaseHasOneHolderAndIsReleased() async throws {
        try await Self.run { _, client in
            let access = ClientLeaseAccess(
                client: client, namespace: Self.namespace, name: "leader", logger: Self.logger)
            let settings = try LeaderElectionSettings(namespace: Self.namespace, name: "leader", identity: "one")
            let elector = LeaderElector(settings: settings, access: access, logger: Self.logger)
            try await elector.run {
                #expect(try await access.read()?.spec.holderIdentity == "one")
                let held = try #require(try await access.read())
                // Renewed since somebody else read it.
                try await client.mergePatch(
                    Lease.self, namespace: Self.namespace, name: "leader",
                    patch: ["metadata": ["labels": ["seen": "yes"]]] as JSONValue)
                let code = await Self.refusal {
                    try await access.write(held.spec, resourceVersion: held.metadata.resourceVersion)
                }
                #expect(code == .conflict)
            }
            #expect(try await access.read()?.spec.holderIdentity ?? "" == "")
        }
    }
}
