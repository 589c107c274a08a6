import AzureTestSupport
import Foundation
import JSONModel
import Lab
import ProviderKit
import Testing

@testable import AzureARM

@Suite struct NamesTests {
    @Test(arguments: [
        ("gatewaypool", "9c272841-f078-394e-bcf6-c919545ea745"), ("testgw", "13ffb2ec-b84e-3e00-8265-06efd5a2f4f2"),
        ("GatewayPool", "becbedc7-0b22-357b-b5d5-a4799f3fe60b"),
    ])
    func `pools of machines have the Go system's UUID`(name: String, expected: String) {
        #expect(Names.virtualMachinePoolID(name) == expected)
    }

    @Test(arguments: [
        ("aks-gatewaypool-38077839-vmsnic-1", "ca640ab3d3e0564c"), ("gateway-nic", "1734dacc4f92a8a"),
        ("", "cbf29ce484222325"),
    ])
    func `the hash has no padding`(name: String, expected: String) {
        #expect(Names.publicAddress(prefix: "p", networkInterface: name) == "p-\(expected)")
    }

    @Test func `the Go system's own example`() {
        #expect(
            Names.publicAddress(prefix: "test-prefix", networkInterface: "aks-nodepool1-12345678-vmss000000")
                == "test-prefix-65d70f8df610e8df")
    }

    /// RFC 1321 appendix A.5, and lengths around the padding's edge.
    @Test(arguments: [
        ("", "d41d8cd98f00b204e9800998ecf8427e"), ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a"
        ), (String(repeating: "a", count: 55), "ef1772b6dff9a122358552954ad0df65"),
        (String(repeating: "a", count: 56), "3b0c8ac703f828b04c6c197006d17218"),
        (String(repeating: "a", count: 64), "014842d480b571495a4a0363793f7367"),
    ])
    func `MD5 of the RFC`(text: String, expected: String) {
        let hex = MD5.digest(Array(text.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(hex == expected)
    }

    @Test func `ids parse and compare without case`() throws {
        let text = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/loadBalancers/lb/probes/p"
        let id = try #require(ResourceID(text))
        #expect(id.description == text && id.name == "p" && id.type == "loadbalancers/probes")
        #expect(id == ResourceID(text.uppercased()))
        for bad in ["", "p", "/subscriptions/S", String(text.dropLast(2)), text + "/", "x" + text] {
            #expect(ResourceID(bad) == nil, "\(bad)")
        }
    }
}

@Suite struct CloudConfigurationTests {
    private func read(_ changes: [String: JSONValue?]) throws -> CloudConfiguration {
        try CloudConfiguration(
            pluginConfiguration: pluginConfiguration(endpoint: "http://127.0.0.1:1/", changes: changes))
    }

    @Test func `defaults are the Go system's`() throws {
        let cloud = try read([:])
        #expect(cloud.loadBalancer == "kubeegressgateway-ilb")
        #expect(cloud.userAgent == "kube-egress-gateway-controller")
        #expect(cloud.loadBalancerResourceGroup == "kegw-lab" && cloud.virtualNetworkResourceGroup == "kegw-lab")
        #expect(cloud.resourceManagerEndpoint == "http://127.0.0.1:1")
    }

    @Test func `every name of a resource can be another one`() throws {
        let cloud = try read([
            "vnetResourceGroup": "nets", "gatewayLoadBalancerName": "mine", "loadBalancerResourceGroup": "balancers",
            "userAgent": "me/1",
        ])
        let group = "/subscriptions/\(cloud.subscriptionID)/resourceGroups"
        let network = "providers/Microsoft.Network"
        #expect(cloud.loadBalancerID.description == "\(group)/balancers/\(network)/loadBalancers/mine")
        #expect(cloud.subnetID.description == "\(group)/nets/\(network)/virtualNetworks/kegw-vnet/subnets/gateways")
        #expect(cloud.userAgent == "me/1")
    }

    @Test func `backoff and limits are as the fields say, and off where their switch is`() throws {
        let fields: [String: JSONValue?] = [
            "cloudProviderBackoffRetries": 7, "cloudProviderBackoffDuration": 2,
            "cloudProviderRateLimitQPS": .number(3.5),
            "cloudProviderRateLimitBucket": 11, "cloudProviderRateLimitQPSWrite": .number(0.5),
            "cloudProviderRateLimitBucketWrite": 2,
        ]
        #expect(try read(fields).pace == RequestPace())
        let on: [String: JSONValue?] = [
            "cloudProviderBackoff": true, "cloudProviderRateLimit": "true", "enableMinimumRetryAfter": true,
        ]
        let pace = try read(fields.merging(on) { $1 }).pace
        #expect(pace.retries == 7 && pace.retryBase == .seconds(2))
        #expect(pace.reads?.perSecond == 3.5 && pace.reads?.burst == 11)
        #expect(pace.writes?.perSecond == 0.5 && pace.writes?.burst == 2)
        #expect(pace.ignoresShortRetryAfter)
    }

    @Test func `field names have no case and foreign fields are ignored`() throws {
        let cloud = try read([
            "subscriptionId": nil, "SubscriptionID": "other", "vmType": "vmss", "tagsMap": ["a": "b"],
        ])
        #expect(cloud.subscriptionID == "other")
    }

    @Test(
        arguments: [
            (["location": nil], "cloudConfig.location: is missing"),
            (["vnetName": ""], "cloudConfig.vnetName: is missing"),
            (["subnetName": 3], "cloudConfig.subnetName: must be a string, not a number"),
            (["aadClientSecret": nil], "cloudConfig.aadClientSecret: is missing"),
            (["tenantId": nil], "cloudConfig.tenantId: is missing"),
            (
                ["useManagedIdentityExtension": "maybe"],
                "cloudConfig.useManagedIdentityExtension: must be true or false"
            ),
            (["userAssignedIdentityID": "x"], "cloudConfig.userAssignedIdentityID: \"x\" is only allowed with"),
            (["useFederatedWorkloadIdentityExtension": true, "tenantId": nil], "cloudConfig.tenantId: is missing"),
            (
                ["aadClientSecret": nil, "auxiliaryTokenProvider": "x"],
                "cloudConfig.auxiliaryTokenProvider: is a credential of Azure's own services"
            ),
            (["cloud": "AzureStackCloud", "resourceManagerEndpoint": nil], "cloudConfig.cloud: \"AzureStackCloud\""),
            (
                ["cloudProviderBackoff": true, "cloudProviderBackoffRetries": 11],
                "cloudConfig.cloudProviderBackoffRetries: 11.0 is not in 0.0..10.0"
            ),
            (["resourceManagerEndpoint": "there"], "cloudConfig.resourceManagerEndpoint: \"there\" must be an http"),
        ] as [([String: JSONValue?], String)])
    func `a mistake is named with field and what is allowed`(changes: [String: JSONValue?], start: String) {
        let error = #expect(throws: ProviderError.self) { _ = try read(changes) }
        #expect(error?.message.hasPrefix(start) == true, "\(error?.message ?? "")")
        #expect(error?.code == .invalid || error?.code == .unsupported)
    }

    @Test func `the file may be named by its path`() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "azure-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        let inline = try JSONValue(json: pluginConfiguration(endpoint: "http://127.0.0.1:1"))
        try inline["cloudConfig"]?.json().write(to: file)
        let named: JSONValue = ["cloudConfig": .string(file.path())]
        #expect(try CloudConfiguration(pluginConfiguration: named.json()).subnet == "gateways")
        let error = #expect(throws: ProviderError.self) {
            _ = try CloudConfiguration(pluginConfiguration: Data(#"{"cloudConfig": "/nowhere/azure.json"}"#.utf8))
        }
        #expect(error?.message.hasPrefix("config.cloudConfig: cannot read \"/nowhere/azure.json\"") == true)
    }

    @Test func `a secret prints as a placeholder`() throws {
        let cloud = try read(["aadClientSecret": "hunter2"])
        #expect(!"\(cloud)".contains("hunter2") && !String(reflecting: cloud).contains("hunter2"))
        var dumped = ""
        dump(cloud, to: &dumped)
        #expect(!dumped.contains("hunter2"))
    }
}

@Suite struct ErrorTableTests {
    @Test(
        arguments: [
            (412, "PreconditionFailed", [], ResultCode.conflict), (409, "AnotherOperationInProgress", [], .conflict),
            (429, "TooManyRequests", [], .throttled), (429, "OperationNotAllowed", [], .throttled),
            (429, "RetryableError", ["ReferencedResourceNotProvisioned"], .retry),
            (429, "RetryableError", ["RetryableErrorDueToAnotherOperation"], .conflict),
            (403, "AuthorizationFailed", [], .terminal), (404, "ResourceGroupNotFound", [], .invalid),
            (404, "ResourceNotFound", [], .retry), (400, "InvalidParameter", [], .invalid),
            (400, "InUsePublicIpPrefixCannotBeDeleted", [], .retry), (200, "SubnetIsFull", [], .terminal),
            (200, "Canceled", ["CanceledAndSupersededDueToAnotherOperation"], .conflict), (503, "", [], .retry),
            (418, "Teapot", [], .retry),
        ] as [(Int, String, [String], ResultCode)])
    func `a failure becomes what the host shall do`(
        status: Int, code: String, details: [String], expected: ResultCode
    ) {
        let failure = ARMFailure(
            status: status, code: code, message: "m", detailCodes: details, retryAfterSeconds: 7, request: "PUT x")
        #expect(failure.providerError.code == expected)
        #expect(failure.providerError.retryAfterMilliseconds == (expected == .throttled ? 7000 : nil))
    }

    @Test func `Microsoft.Compute's bare error object is read`() throws {
        let body = try JSONValue(json: Data(#"{"code": "TooManyRequests", "message": "slow\ndown"}"#.utf8))
        let failure = ARMFailure(status: 429, body: body, retryAfterSeconds: nil, request: "PUT x")
        #expect(failure.providerError.message == "PUT x: 429 TooManyRequests: slow down")
    }
}
