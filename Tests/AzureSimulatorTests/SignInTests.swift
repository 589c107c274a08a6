import AzureTestSupport
import Foundation
import JSONModel
import Testing

@testable import Lab

private typealias Client = ARMTestClient

/// Signatures that verify are made by the Azure SDK's own code, in Tests/AzureSDK; here are the refusals.
@Suite struct SignInTests {
    private static let type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    private static let claims: JSONValue = [
        "iss": "https://issuer.example", "sub": "system:serviceaccount:demo:gateway",
        "aud": "api://AzureADTokenExchange", "exp": 1_000_600, "nbf": 999_990,
    ]

    private func bench(lifetime: Duration = .seconds(3600)) throws -> Bench {
        try Bench(
            .test(
                identity: .init(
                    federated: [
                        .init(issuer: "https://issuer.example", subject: "system:serviceaccount:demo:gateway")
                    ],
                    userAssigned: [.init(clientID: "client-1", objectID: "object-1", resourceID: "/r/1")],
                    tokenLifetime: lifetime), machinePools: [.test], metadata: .init(computerName: "vm-1")))
    }

    private func assertion(_ changes: [String: JSONValue?] = [:], header: JSONValue = ["alg": "RS256"]) throws -> String
    {
        var claims = Self.claims
        for (name, value) in changes { claims[name] = value }
        let parts = try [header.json(), claims.json(), Data([1, 2, 3])]
        return parts.map { JSONWebToken.encoded([UInt8]($0)) }.joined(separator: ".")
    }

    @Test func `a trusted issuer's token is let in`() throws {
        var bench = try bench()
        let answer = bench.signIn(
            ["client_assertion_type": Self.type, "client_assertion": try assertion()], at: .zero)
        #expect(answer.status == 200)
        let token = try #require(answer.body?["access_token"]?.text)
        let list = bench.call(
            "GET", Client.machines, headers: ["authorization": "Bearer \(token)"], at: .zero)
        #expect(list.status == 200)
    }

    @Test(
        arguments: [
            (["iss": "https://other.example"], 400, 70021), (["sub": "somebody"], 400, 70021),
            (["aud": "api://other"], 400, 700_212), (["exp": 999_000], 401, 700_024), (["exp": nil], 401, 700_024),
            (["nbf": 1_000_400], 401, 700_024),
            (["iss": .string(Bench.client), "sub": .string(Bench.client)], 401, 700_027),
        ] as [([String: JSONValue?], Int, Int64)])
    func `a claim that is wrong has its own number`(changes: [String: JSONValue?], status: Int, number: Int64) throws {
        var bench = try bench()
        let answer = bench.signIn(
            ["client_assertion_type": Self.type, "client_assertion": try assertion(changes)], at: .zero)
        #expect(answer.status == status)
        #expect(answer.body?["error_codes"] == [.integer(number)])
        #expect(answer.body?["error_description"]?.text?.hasPrefix("AADSTS\(number): ") == true)
    }

    @Test(
        arguments: [
            (["client_assertion": "a.b", "client_assertion_type": type], 401, 50027),
            (["client_assertion": "a.b.c", "client_assertion_type": type], 401, 50027),
            (["client_assertion": "a.b.c"], 400, 900_144), ([:], 401, 7_000_218),
            (["client_secret": "wrong"], 401, 7_000_215), (["client_id": "other"], 400, 700_016),
            (["grant_type": "password"], 400, 70003), (["scope": "openid"], 400, 70011),
        ] as [([String: String], Int, Int64)])
    func `a form that is wrong has its own number`(fields: [String: String], status: Int, number: Int64) throws {
        var bench = try bench()
        let answer = bench.signIn(fields, at: .zero)
        #expect(answer.status == status && answer.body?["error_codes"] == [.integer(number)])
    }

    @Test func `a key that is none is refused at the start`() {
        let wrong = AzureSimulator.Identity(certificates: ["-----BEGIN CERTIFICATE-----"])
        #expect(startError(.test(identity: wrong))?.message.hasPrefix("identity.certificates[0]") == true)
        let key = AzureSimulator.Identity(federated: [.init(issuer: "i", subject: "s", publicKey: "x")])
        #expect(startError(.test(identity: key))?.message.contains("issuer i") == true)
    }

    @Test func `a token lasts as long as configured`() throws {
        var bench = try bench(lifetime: .seconds(60))
        #expect(bench.call("GET", Client.machines, at: .seconds(59)).status == 200)
        #expect(bench.call("GET", Client.machines, at: .seconds(60)).code == "ExpiredAuthenticationToken")
        #expect(bench.call("GET", Client.machines, at: .seconds(200)).code == "InvalidAuthenticationToken")
    }
}

@Suite struct MetadataTests {
    private let identity = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=x"
    private let instance = "/metadata/instance?api-version=2021-10-01&format=json"

    private func bench() throws -> Bench {
        try Bench(
            .test(
                latency: .zero,
                identity: .init(
                    userAssigned: [.init(clientID: "client-1", objectID: "object-1", resourceID: "/r/1")]),
                machinePools: [.test], metadata: .init(computerName: "vm-1")))
    }

    @Test(arguments: ["", "&client_id=CLIENT-1", "&object_id=object-1", "&msi_res_id=/r/1", "&mi_res_id=/r/1"])
    func `a managed identity's token opens the resource manager`(query: String) throws {
        var bench = try bench()
        let answer = bench.metadata(identity + query, at: .zero)
        #expect(answer.status == 200 && answer.body?["expires_in"] == "3600")
        #expect(answer.body?["expires_on"] == "1003600")
        let token = answer.body?["access_token"]?.text ?? ""
        let list = bench.call("GET", Client.machines, headers: ["authorization": "Bearer \(token)"], at: .zero)
        #expect(list.status == 200)
    }

    @Test func `what a request for a token lacks is told`() throws {
        var bench = try bench()
        #expect(bench.metadata(identity, headers: [:], at: .zero).body?["error"] == "bad_request_102")
        let forwarded = bench.metadata(identity, headers: ["metadata": "true", "x-forwarded-for": "x"], at: .zero)
        #expect(forwarded.status == 400)
        #expect(bench.metadata(identity, method: "POST", at: .zero).status == 405)
        let unknown = bench.metadata(identity + "&client_id=other", at: .zero)
        #expect(unknown.status == 400 && unknown.body?["error_description"] == "Identity not found")
        let none = bench.metadata("/metadata/identity/oauth2/token?api-version=2018-02-01", at: .zero)
        #expect(none.status == 400 && none.body?["error"] == "invalid_request")
    }

    @Test func `twenty tokens a second, five other answers`() throws {
        var bench = try bench()
        for _ in 0..<20 { #expect(bench.metadata(identity, at: .zero).status == 200) }
        #expect(bench.metadata(identity, at: .zero).status == 429)
        for _ in 0..<5 { #expect(bench.metadata(instance, at: .zero).status == 200) }
        #expect(bench.metadata(instance, at: .zero).status == 429)
        #expect(bench.metadata(instance, at: .seconds(1)).status == 200)
    }

    @Test func `an instance reads what it is, and its public address behind a load balancer only there`() throws {
        var bench = try bench()
        let first = bench.metadata(instance, at: .zero)
        #expect(first.body?["compute.osProfile.computerName"] == "vm-1")
        #expect(first.body?["compute.resourceGroupName"] == "kegw-lab")
        #expect(first.body?["compute.vmScaleSetName"] == "")
        let tags = first.body?["compute.tags"]?.text ?? ""
        #expect(tags.split(separator: ";").contains("aks-managed-nic-name:vm-1-nic"))
        let network = first.body?["network.interface"]?.elements.first
        #expect(network?["ipv4.subnet"] == [["address": "10.243.0.0", "prefix": "24"]])
        #expect(network?["macAddress"]?.text?.count == 12)
        let path = "/metadata/loadbalancer?api-version=2020-10-01"
        #expect(bench.metadata(path, at: .zero).status == 404)

        _ = bench.call("PUT", Client.loadBalancer, body: loadBalancerBody(), at: .zero)
        let nic = "\(Client.networkInterfaces)/vm-1-nic"
        var body = try #require(bench.call("GET", nic, at: .zero).body)
        var children = body["properties.ipConfigurations"]?.elements ?? []
        children[0]["properties.loadBalancerBackendAddressPools"] = [
            ["id": .string("\(Client.loadBalancer)/backendAddressPools/pool")]
        ]
        body["properties.ipConfigurations"] = .array(children)
        _ = bench.call("PUT", nic, body: body, at: .zero)
        let second = bench.metadata(path, at: .seconds(1))
        let rule = second.body?["loadbalancer.inboundRules"]?.elements.first
        #expect(rule?["frontendPort"] == 6000 && rule?["privateIpAddress"] == "10.243.0.6")
    }

    @Test func `a missing version is told with the newest one`() throws {
        var bench = try bench()
        let answer = bench.metadata("/metadata/instance", at: .zero)
        #expect(answer.status == 400 && answer.body?["newest-versions"] == ["2021-10-01"])
        #expect(bench.metadata("/metadata/instance?api-version=1999-01-01", at: .zero).status == 400)
        #expect(bench.metadata("/metadata/nothing", at: .zero).status == 404)
    }
}

@Suite struct SimulatorEdgeTests {
    @Test func `exchanges are recorded line by line without secrets`() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "record-\(UUID()).jsonl").path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await withSimulator(recordingTo: path) { simulator, client in
            _ = try await client.call(
                "PUT", Client.loadBalancer, version: Client.networkVersion, body: loadBalancerBody())
        }
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        let values = try lines.map { try JSONValue(json: Data($0.utf8)) }
        #expect(values.map { $0["operation"]?.text } == ["Token", "LoadBalancers_CreateOrUpdate"])
        #expect(values[1]["request.body.properties.probes"]?.elements.count == 1)
        #expect(values[1]["response.status"] == 201)
        #expect(values[1]["response.headers.Azure-AsyncOperation"] != nil)
        #expect(!lines.joined().contains("lab-secret") && !lines.joined().contains("Bearer lab."))
        #expect(values[0]["response.body.access_token"] == "{withheld}")
    }

    @Test func `faults are armed and the audit is read over HTTP, without a token`() async throws {
        try await withSimulator { simulator, client in
            let stranger = Client(endpoint: client.endpoint)
            let armed = try await stranger.call("POST", "/simulator/faults/throttle")
            #expect(armed.status == 200 && armed.body?["message"] == "armed: LoadBalancers_Get")
            let path = Client.loadBalancer
            #expect(try await client.call("GET", path, version: Client.networkVersion).status == 429)
            #expect(try await stranger.call("POST", "/simulator/faults/nonsense").status == 400)
            let audit = try await stranger.call("GET", "/simulator/audit")
            #expect(audit.body?["LoadBalancers_Get.throttled"] == 1)
            #expect(await simulator.audit()["LoadBalancers_Get"]?.throttled == 1)
        }
    }

    @Test func `the clock leaps when it is told to`() async throws {
        try await withSimulator(.test(latency: .seconds(100))) { simulator, client in
            let first = try await client.call(
                "PUT", Client.loadBalancer, version: Client.networkVersion, body: loadBalancerBody())
            #expect(await simulator.snapshot().rules.isEmpty)
            await simulator.advanceTime(by: .seconds(101))
            #expect(await simulator.snapshot().rules.count == 1)
            let poll = try await client.call("GET", try #require(first.headers["azure-asyncoperation"]))
            #expect(poll.body?["status"] == "Succeeded")
            await simulator.advanceTime(by: .seconds(3600))
            let late = try await client.call("GET", Client.loadBalancer, version: Client.networkVersion)
            #expect(late.code == "ExpiredAuthenticationToken")
        }
    }

    @Test func `the metadata service listens where it says`() async throws {
        try await withSimulator(.test(metadata: .init())) { simulator, _ in
            let metadata = Client(endpoint: try await simulator.metadataEndpoint())
            let answer = try await metadata.call(
                "GET", "/metadata/instance", version: "2021-10-01", headers: ["Metadata": "true"])
            #expect(answer.body?["compute.osProfile.computerName"] == "gateway-1")
            let resource = try await metadata.call("GET", Client.loadBalancer, version: Client.networkVersion)
            #expect(resource.status == 404)
        }
    }

    @Test(arguments: ["0.0.0.0", "10.0.0.1", "localhost", "::"])
    func `nothing but loopback is listened on`(host: String) {
        var configuration = AzureSimulator.Configuration.test()
        configuration.host = host
        #expect(startError(configuration)?.message.hasPrefix("host: \"\(host)\"") == true)
    }
}
