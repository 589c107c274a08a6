import AzureTestSupport
import Foundation
import JSONModel
import Lab
import ProviderKit
import Testing

@testable import AzureARM

/// Every way of signing in, against the simulator's sign-in and metadata services.
@Suite struct SimulatorSignInTests {
    private static let subject = "system:serviceaccount:egress:manager"

    private func certificate(_ folder: URL, _ name: String) throws -> ClientCertificate {
        try run(
            [
                "sh", "-c",
                "openssl req -x509 -newkey rsa:2048 -nodes -keyout \(name).key -out \(name).crt -days 2 -subj /CN=\(name)"
                    + " && openssl pkcs12 -export -inkey \(name).key -in \(name).crt -out \(name).pfx -passout pass:pw"
                    + " && openssl x509 -in \(name).crt -pubkey -noout -out \(name).pub",
            ], in: folder)
        return try ClientCertificate(
            file: folder.appending(path: "\(name).pfx").path(), password: Secret("pw"), at: Date())
    }

    private func text(_ folder: URL, _ name: String) throws -> String {
        try String(contentsOf: folder.appending(path: name), encoding: .utf8)
    }

    private func balancer(
        _ endpoint: String, _ host: LapseHost, _ changes: [String: JSONValue?]
    ) throws -> ARMClient {
        let standard: [String: JSONValue?] = ["aadClientSecret": nil]
        let data = try pluginConfiguration(
            endpoint: endpoint, changes: standard.merging(changes) { _, new in new })
        let surroundings = Surroundings(environment: [:])
        return ARMClient(
            host: ProviderHost(host),
            configuration: try CloudConfiguration(pluginConfiguration: data, surroundings: surroundings),
            surroundings: surroundings)
    }

    private func read(_ client: ARMClient, _ host: LapseHost) async throws -> ARMResource? {
        try await client.get(
            client.configuration.subnetID, version: APIVersion.network, deadline: host.context().deadline)
    }

    @Test func `a registered certificate signs in, and another does not`() async throws {
        try await withFolder { folder in
            _ = try certificate(folder, "known")
            _ = try certificate(folder, "unknown")
            let identity = AzureSimulator.Identity(certificates: [try text(folder, "known.crt")])
            try await withSimulator(.test(identity: identity)) { _, client in
                let host = LapseHost()
                func changes(_ name: String) -> [String: JSONValue?] {
                    [
                        "aadClientCertPath": .string(folder.appending(path: "\(name).pfx").path()),
                        "aadClientCertPassword": "pw",
                    ]
                }
                let subnet = try await read(balancer(client.endpoint, host, changes("known")), host)
                #expect(subnet != nil)
                let error = await #expect(throws: ProviderError.self) {
                    _ = try await read(balancer(client.endpoint, host, changes("unknown")), host)
                }
                #expect(error?.reason == "CredentialRefused" && error?.message.contains("AADSTS700027") == true)
                #expect(error?.message.contains("upload the certificate") == true)
            }
        }
    }

    @Test func `a projected token of a trusted issuer signs in, and one of another account does not`() async throws {
        try await withFolder { folder in
            let issuer = try certificate(folder, "issuer")
            let identity = AzureSimulator.Identity(federated: [
                .init(
                    issuer: "https://cluster.example", subject: Self.subject,
                    publicKey: try text(folder, "issuer.pub"))
            ])
            try await withSimulator(.test(identity: identity)) { _, client in
                let host = LapseHost()
                let file = folder.appending(path: "token")
                let arm = try balancer(
                    client.endpoint, host,
                    [
                        "useFederatedWorkloadIdentityExtension": true,
                        "aadFederatedTokenFile": .string(file.path()),
                    ])
                try Data(token(issuer, subject: "system:serviceaccount:other:other").utf8).write(to: file)
                let error = await #expect(throws: ProviderError.self) { _ = try await read(arm, host) }
                #expect(error?.reason == "CredentialRefused" && error?.message.contains("AADSTS70021") == true)
                try Data(token(issuer, subject: Self.subject).utf8).write(to: file)
                #expect(try await read(arm, host) != nil)
            }
        }
    }

    /// A token as Kubernetes projects it.
    private func token(_ issuer: ClientCertificate, subject: String) throws -> String {
        let now = Int64(Date().timeIntervalSince1970)
        let header: JSONValue = ["alg": "RS256", "typ": "JWT"]
        let claims: JSONValue = [
            "iss": "https://cluster.example", "sub": .string(subject), "aud": ["api://AzureADTokenExchange"],
            "nbf": .integer(now), "exp": .integer(now + 3600),
        ]
        let signed =
            "\(ClientAssertion.base64URL(try header.json())).\(ClientAssertion.base64URL(try claims.json()))"
        return "\(signed).\(ClientAssertion.base64URL(try issuer.sign(Data(signed.utf8))))"
    }

    @Test func `a token that the resource manager refuses is replaced, and its end is not waited for`() async throws {
        let identity = AzureSimulator.Identity(tokenLifetime: .seconds(60))
        try await withSimulator(.test(identity: identity)) { simulator, client in
            let host = LapseHost(speed: 1)
            let arm = try balancer(client.endpoint, host, ["aadClientSecret": "lab-secret"])
            #expect(try await read(arm, host) != nil)
            let before = await simulator.audit()["Token"]?.calls ?? 0
            // Time leaps in Azure and not here: our token has ended without our knowing.
            await simulator.advanceTime(by: .seconds(120))
            #expect(try await read(arm, host) != nil)
            #expect(await simulator.audit()["Token"]?.calls == before + 1)
            #expect(!host.log.contains { $0.contains("Bearer") || $0.contains("lab-secret") })
        }
    }
}
