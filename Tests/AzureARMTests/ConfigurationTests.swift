import AzureTestSupport
import Foundation
import JSONModel
import ProviderKit
import Testing

@testable import AzureARM

private func configuration(
    _ changes: [String: JSONValue?] = [:], environment: [String: String] = [:]
) throws -> CloudConfiguration {
    let fields: [String: JSONValue?] = ["resourceManagerEndpoint": nil]
    let data = try pluginConfiguration(endpoint: "", changes: fields.merging(changes) { _, new in new })
    return try CloudConfiguration(pluginConfiguration: data, surroundings: Surroundings(environment: environment))
}

@Suite struct CloudConfigurationFieldTests {
    @Test func `the environment's credentials win over the file's`() throws {
        let cloud = try configuration(environment: [
            "AZURE_TENANT_ID": " t ", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s",
        ])
        #expect(cloud.credential == .clientSecret(tenant: "t", clientID: "c", secret: Secret("s")))
        // An empty variable is none.
        let file = try configuration(environment: ["AZURE_CLIENT_SECRET": ""])
        #expect(file.credential.kind == "client secret" && file.credential != cloud.credential)
    }

    @Test func `methods are picked in the Go client's order`() throws {
        let all: [String: JSONValue?] = [
            "useManagedIdentityExtension": true, "aadClientCertPath": "/c.pfx",
            "useFederatedWorkloadIdentityExtension": true, "aadFederatedTokenFile": "/token",
        ]
        #expect(try configuration(all).credential.kind == "workload identity")
        let injected = try configuration(environment: ["AZURE_FEDERATED_TOKEN_FILE": "/injected"])
        guard case .federatedToken(_, _, "/injected") = injected.credential else {
            Issue.record("the injected token file is not used: \(injected.credential)")
            return
        }
        let without = all.merging(["useFederatedWorkloadIdentityExtension": false]) { _, new in new }
        #expect(try configuration(without).credential == .managedIdentity(identity: nil))
        let secret = without.merging(["useManagedIdentityExtension": nil]) { _, new in new }
        #expect(try configuration(secret).credential.kind == "client secret")
        let certificate = try configuration(secret.merging(["aadClientSecret": nil]) { _, new in new })
        #expect(certificate.credential.kind == "client certificate")
    }

    @Test func `workload identity reads the webhook's file unless another is named`() throws {
        let cloud = try configuration(["useFederatedWorkloadIdentityExtension": "true", "aadClientSecret": nil])
        guard case .federatedToken(_, _, let file) = cloud.credential else { throw ProviderError(.invalid, "kind") }
        #expect(file == "/var/run/secrets/azure/tokens/azure-identity-token")
    }

    @Test func `pace fields say what their names say`() throws {
        #expect(try configuration().pace == RequestPace())
        let cloud = try configuration([
            "cloudProviderBackoff": true, "cloudProviderBackoffRetries": 6, "cloudProviderBackoffDuration": "2",
            "cloudProviderRateLimit": true, "cloudProviderRateLimitQPS": .number(3.5),
            "cloudProviderRateLimitBucketWrite": 9,
            "enableMinimumRetryAfter": true,
        ])
        #expect(cloud.pace.retries == 6 && cloud.pace.retryBase == .seconds(2))
        #expect(cloud.pace.reads == RequestPace.Rate(perSecond: 3.5, burst: 5))
        #expect(cloud.pace.writes == RequestPace.Rate(perSecond: 1, burst: 9))
        #expect(cloud.pace.ignoresShortRetryAfter)
    }

    @Test(arguments: [
        ("azurepubliccloud", "https://management.azure.com", "https://login.microsoftonline.com"),
        ("AzureCloud", "https://management.azure.com", "https://login.microsoftonline.com"),
        ("AZURECHINACLOUD", "https://management.chinacloudapi.cn", "https://login.chinacloudapi.cn"),
        ("AzureUSGovernment", "https://management.usgovcloudapi.net", "https://login.microsoftonline.us"),
        ("AzureUSGovernmentCloud", "https://management.usgovcloudapi.net", "https://login.microsoftonline.us"),
        ("AzureGovernmentCloud", "https://management.azure.com", "https://login.microsoftonline.com"),
    ])
    func `clouds are where they are`(name: String, manager: String, authority: String) throws {
        let cloud = try configuration(["cloud": .string(name)])
        let environment = CloudEnvironment(cloud, discovered: nil)
        #expect(environment.resourceManager == manager && environment.authority == authority)
        #expect(cloud.notices.isEmpty == (name != "AzureGovernmentCloud"))
    }

    @Test func `a cloud of its own is described by a file that the environment names`() async throws {
        try await withFolder { folder in
            let file = folder.appending(path: "environment.json")
            let text = """
                {"name": "x", "resourceManagerEndpoint": "https://management.local.example/",
                 "activeDirectoryEndpoint": "https://login.local.example/", "tokenAudience": "https://arm.local.example/"}
                """
            try Data(text.utf8).write(to: file)
            let variables = ["AZURE_ENVIRONMENT_FILEPATH": file.path()]
            let cloud = try configuration(["cloud": "AzureStackCloud"], environment: variables)
            let environment = CloudEnvironment(cloud, discovered: nil)
            #expect(environment.resourceManager == "https://management.local.example")
            #expect(environment.authority == "https://login.local.example")
            #expect(environment.audience == "https://arm.local.example")
            #expect(cloud.notices.contains { $0.hasPrefix("cloudConfig.disableAzureStackCloud") })
            let agreed = try configuration(
                ["cloud": "azurestackcloud", "disableAzureStackCloud": true], environment: variables)
            #expect(agreed.notices.isEmpty)
            // Other clouds do not read it.
            let publicCloud = try configuration(environment: variables)
            #expect(CloudEnvironment(publicCloud, discovered: nil).resourceManager == "https://management.azure.com")
            let error = #expect(throws: ProviderError.self) {
                _ = try configuration(
                    ["cloud": "AzureStackCloud"], environment: ["AZURE_ENVIRONMENT_FILEPATH": "/nowhere.json"])
            }
            #expect(error?.message == "AZURE_ENVIRONMENT_FILEPATH: \"/nowhere.json\": there is no such file")
        }
    }

    @Test func `the injected authority counts where the cloud's name says nothing`() throws {
        let variables = [
            "AZURE_AUTHORITY_HOST": "https://login.example/", "AZURE_FEDERATED_TOKEN_FILE": "/token",
        ]
        let unknown = try configuration(["cloud": "Elsewhere"], environment: variables)
        #expect(CloudEnvironment(unknown, discovered: nil).authority == "https://login.example")
        let known = try configuration(environment: variables)
        #expect(CloudEnvironment(known, discovered: nil).authority == "https://login.microsoftonline.com")
    }
}

@Suite struct ConfigurationTextTests {
    private func parse(_ text: String) throws -> JSONValue { try ConfigurationText.parse(Data(text.utf8)) }

    @Test func `the YAML form of a cloud configuration is read`() throws {
        let value = try parse(
            """
            # written by hand
            ---
            cloud: AzurePublicCloud   # the usual one
            "tenantId": '00000000-0000-0000-0000-0000000000aa'
            useManagedIdentityExtension: true
            resourceGroup: "a \\"b\\""
            subnetName: it's # a name
            routeTableName:
            tags:
              - a
              - b: c
            cloudProviderRateLimitQPS: 3
            systemTags: {}
            aadClientSecret: p#ss:w0rd
            """)
        #expect(value["cloud"] == "AzurePublicCloud" && value["useManagedIdentityExtension"] == true)
        #expect(value["tenantId"] == "00000000-0000-0000-0000-0000000000aa" && value["resourceGroup"] == "a \"b\"")
        #expect(value["subnetName"] == "it's" && value["tags"] == .null && value["cloudProviderRateLimitQPS"] == 3)
        #expect(value["aadClientSecret"] == "p#ss:w0rd")
    }

    @Test(arguments: [
        ("cloud: a\n  location: b", "line 2 is indented"), ("a: 1\na: 2", "line 2 repeats the key \"a\""),
        ("a: &x 1", "line 1 has a value that begins with &"), ("a: |", "line 1 has a value that begins with |"),
        ("just words", "line 1 has no key"), ("a: \"x", "line 1 has a quoted text without an end"),
        ("a: 1\n---\nb: 2", "line 2 begins a second document"), ("", "is empty"), ("{\"a\": ", "is not JSON"),
        ("a:\n\tb: 1", "line 2 is indented by a tab"),
    ])
    func `what is beyond it is refused by line`(text: String, start: String) {
        let error = #expect(throws: FileProblem.self) { _ = try parse(text) }
        #expect(error?.text.hasPrefix(start) == true, "\(error?.text ?? "")")
    }

    @Test func `a configuration file may be YAML`() async throws {
        try await withFolder { folder in
            let file = folder.appending(path: "azure.yaml")
            let text = """
                cloud: AzurePublicCloud
                location: westeurope
                subscriptionID: 00000000-0000-0000-0000-000000000001
                resourceGroup: rg
                vnetName: vnet
                subnetName: gateways
                useManagedIdentityExtension: true
                """
            try Data(text.utf8).write(to: file)
            let entry: JSONValue = ["cloudConfig": .string(file.path())]
            let cloud = try CloudConfiguration(
                pluginConfiguration: entry.json(), surroundings: Surroundings(environment: [:]))
            #expect(cloud.subnet == "gateways" && cloud.credential == .managedIdentity(identity: nil))
        }
    }
}
