import Foundation
import Logging
import ScriptedServer
import Testing

@testable import Kubernetes

/// TLS on real sockets, with certificates made by the test.
@Suite struct TLSTests {
    private static let node = Step.answer(200, #"{"metadata":{"name":"n"}}"#)

    /// Runs the body with a server behind TLS and a kubeconfig's worth of configuration for it.
    private func withServer(
        asksForClients: Bool = false, _ script: @escaping ScriptedServer.Script = { _, _ in node },
        _ body: (TestAuthority, inout ClientConfiguration, TLSFront, ScriptedServer) async throws -> Void
    ) async throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let authority = try TestAuthority(folder)
        let server = try ScriptedServer(script)
        defer { server.stop() }
        let front = try TLSFront(
            authority.server(), clients: asksForClients ? authority.certificate : nil, to: server)
        defer { front.stop() }
        var configuration = ClientConfiguration(server: front.address)
        configuration.certificateAuthority = try authority.certificate
        configuration.requestTimeout = .seconds(10)
        try await body(authority, &configuration, front, server)
    }

    private func get(_ configuration: ClientConfiguration) async throws -> KubernetesError.Code? {
        let client = try KubernetesClient(configuration: configuration, logger: Logger(label: "test"))
        let result = await code { _ = try await client.get(Node.self, name: "n") }
        try await client.shutdown()
        return result
    }

    @Test func theServerIsTrustedByItsAuthorityAndByNoOther() async throws {
        try await withServer { _, configuration, _, server in
            #expect(try await get(configuration) == nil)
            #expect(server.requests.count == 1)
            let folder = try temporaryFolder()
            defer { try? FileManager.default.removeItem(at: folder) }
            var stranger = configuration
            stranger.certificateAuthority = try TestAuthority(folder).certificate
            #expect(try await get(stranger) == .unavailable)
            // The system's authorities do not know it either.
            stranger.certificateAuthority = nil
            #expect(try await get(stranger) == .unavailable)
            #expect(server.requests.count == 1)
            stranger.insecureSkipTLSVerify = true
            #expect(try await get(stranger) == nil)
        }
    }

    @Test func aCertificateForAnotherNameIsRefused() async throws {
        try await withServer { authority, configuration, _, server in
            let impostor = try TLSFront(authority.otherServer(), to: server)
            defer { impostor.stop() }
            var other = configuration
            other.server = impostor.address
            let refused = try await get(other)
            #expect(refused == .unavailable)
            #expect(server.requests.isEmpty)
        }
    }

    @Test func aClientCertificateIsShownAndItsLackIsFatal() async throws {
        try await withServer(asksForClients: true) { authority, configuration, front, server in
            #expect(try await get(configuration) == .unavailable)
            #expect(server.requests.isEmpty)
            let alice = try authority.client("alice")
            configuration.clientCertificate = alice.certificate
            configuration.clientKey = alice.key
            #expect(try await get(configuration) == nil)
            #expect(front.certificates == [try alice.der()])
        }
    }

    @Test func aWatchComesThroughTLS() async throws {
        let steps: [Step] = [
            .watchHead(), .chunk(line("ADDED", endpointJSON("a", version: 1))), .pause(0.05),
            .chunk(line("ADDED", endpointJSON("b", version: 2))), .endChunks,
        ]
        try await withServer({ _, _ in steps }) { _, configuration, _, _ in
            let client = try KubernetesClient(configuration: configuration, logger: Logger(label: "test"))
            var versions: [String] = []
            for try await event in try await client.watch(PodEndpoint.self, resourceVersion: "0") {
                versions.append(event.resourceVersion)
            }
            try await client.shutdown()
            #expect(versions == ["1", "2"])
        }
    }

    /// The plugin gives a certificate, and another one once the server has refused it; what is under way then goes on.
    @Test func aPluginsCertificateIsShownAndRotated() async throws {
        let hold = Mutexed(true)
        let script: ScriptedServer.Script = { _, request in
            if request.query["watch"] != nil {
                return [.watchHead(), .chunk(line("ADDED", endpointJSON("a", version: 1)))]
                    + Array(repeating: [Step.chunk("\n"), .pause(0.02)], count: 25).flatMap { $0 }
                    + [.chunk(line("ADDED", endpointJSON("b", version: 2))), .endChunks]
            }
            return hold.value ? Step.status(401, "Unauthorized") : Self.node
        }
        try await withServer(asksForClients: true, script) { authority, configuration, front, server in
            let identities = [try authority.client("first"), try authority.client("second")]
            let folder = try temporaryFolder()
            defer { try? FileManager.default.removeItem(at: folder) }
            for (index, identity) in identities.enumerated() {
                try Data(Self.credential(identity).utf8).write(to: folder.appending(path: "\(index + 1)"))
            }
            configuration.credential = .exec(
                ExecCredentialPlugin(
                    version: .v1, command: "/bin/sh",
                    arguments: ["-c", #"echo >> "$FOLDER/runs"; cat "$FOLDER/$(wc -l < "$FOLDER/runs")""#],
                    environment: ["FOLDER": folder.path]))
            let client = try KubernetesClient(configuration: configuration, logger: Logger(label: "test"))
            let watch = Task {
                var versions: [String] = []
                for try await event in try await client.watch(PodEndpoint.self, resourceVersion: "0") {
                    versions.append(event.resourceVersion)
                }
                return versions
            }
            #expect(await eventually { server.requests.count == 1 })
            // Refused with the first certificate, refused with the second.
            #expect(await code { _ = try await client.get(Node.self, name: "n") } == .unauthorized)
            hold.change { $0 = false }
            _ = try await client.get(Node.self, name: "n")
            #expect(try await watch.value == ["1", "2"])
            let (first, second) = (try identities[0].der(), try identities[1].der())
            // The watch and the first try on connections of the first, then one connection of the second for both.
            #expect(front.certificates == [first, first, second])
            #expect(await eventually { server.openConnections == 1 })
            try await client.shutdown()
            #expect(await eventually { server.openConnections == 0 })
        }
    }

    private static func credential(_ identity: TestAuthority.Identity) throws -> String {
        let status = [
            "clientCertificateData": String(decoding: identity.certificate, as: UTF8.self),
            "clientKeyData": String(decoding: identity.key, as: UTF8.self),
        ]
        let text = String(decoding: try JSONEncoder().encode(status), as: UTF8.self)
        return #"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":\#(text)}"#
    }

    /// As a pod finds it: the address from the environment, token and authority from files, the token rotated.
    @Test func aPodUsesItsFilesAndFollowsItsTokensRotation() async throws {
        let good = Mutexed("first")
        let script: ScriptedServer.Script = { _, request in
            request.headers["authorization"] == "Bearer \(good.value)" ? Self.node : Step.status(401, "Unauthorized")
        }
        try await withServer(script) { authority, configuration, _, server in
            let folder = try temporaryFolder()
            defer { try? FileManager.default.removeItem(at: folder) }
            try Data("first\n".utf8).write(to: folder.appending(path: "token"))
            try Data(try authority.certificate).write(to: folder.appending(path: "ca.crt"))
            let port = configuration.server.split(separator: ":").last.map(String.init) ?? ""
            let environment = ["KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": port]
            let pod = try ClientConfiguration.inCluster(environment: environment, directory: folder.path)
            let client = try KubernetesClient(configuration: pod, logger: Logger(label: "test"))
            _ = try await client.get(Node.self, name: "n")
            // The kubelet replaces the file before the token ends; the server takes both for a while.
            try Data("second\n".utf8).write(to: folder.appending(path: "token"))
            _ = try await client.get(Node.self, name: "n")
            good.change { $0 = "second" }
            _ = try await client.get(Node.self, name: "n")
            #expect(
                server.requests.map { $0.headers["authorization"] }
                    == ["Bearer first", "Bearer first", "Bearer first", "Bearer second"])
            try await client.shutdown()
        }
    }

    @Test func aTokenFileIsLookedAtOnceAMinute() async throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "token")
        try Data("first".utf8).write(to: file)
        let begin = ContinuousClock.now
        let time = Mutexed(begin)
        let source = TokenFileSource(path: file.path, now: { time.value })
        #expect(try await source.current().token == "first")
        try Data("second".utf8).write(to: file)
        time.change { $0 = begin + .seconds(59) }
        #expect(try await source.current().token == "first")
        time.change { $0 = begin + .seconds(60) }
        #expect(try await source.current().token == "second")
        // While the file is away the last token is used; one that was never there is an error.
        try FileManager.default.removeItem(at: file)
        time.change { $0 = begin + .seconds(300) }
        #expect(try await source.current().token == "second")
        let absent = TokenFileSource(path: file.path)
        #expect(await code { _ = try await absent.current() } == .configuration)
    }
}
