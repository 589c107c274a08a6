import AzureTestSupport
import Foundation
import JSONModel
import Testing

@testable import Lab

private typealias Client = ARMTestClient

/// A load balancer body that is accepted; each refusal test breaks it in one place.
func loadBalancerBody(rules: [JSONValue]? = nil) -> JSONValue {
    let id = ARMTestClient.loadBalancer
    return [
        "location": "labregion", "sku": ["name": "Standard", "tier": "Regional"],
        "properties": [
            "frontendIPConfigurations": [
                [
                    "name": "front",
                    "properties": [
                        "privateIPAddressVersion": "IPv4", "privateIPAllocationMethod": "Dynamic",
                        "subnet": ["id": .string(ARMTestClient.gatewaysSubnet)],
                    ],
                ]
            ],
            "backendAddressPools": [["name": "pool", "properties": [:]]],
            "probes": [
                [
                    "name": "probe",
                    "properties": [
                        "protocol": "Http", "port": 8082, "requestPath": "/gw/1", "intervalInSeconds": 5,
                        "probeThreshold": 1,
                    ],
                ]
            ],
            "loadBalancingRules": .array(rules ?? [loadBalancerRule("rule", port: 6000, loadBalancer: id)]),
        ],
    ]
}

func loadBalancerRule(
    _ name: String, port: Int64, loadBalancer id: String = ARMTestClient.loadBalancer, protocol kind: String = "Udp",
    floating: Bool = true
) -> JSONValue {
    [
        "name": .string(name),
        "properties": [
            "protocol": .string(kind), "enableFloatingIP": .bool(floating), "frontendPort": .integer(port),
            "backendPort": .integer(port),
            "frontendIPConfiguration": ["id": .string("\(id)/frontendIPConfigurations/front")],
            "backendAddressPool": ["id": .string("\(id)/backendAddressPools/pool")],
            "probe": ["id": .string("\(id)/probes/probe")],
        ],
    ]
}

/// One way to break a load balancer, and the refusal it must meet.
struct BrokenBody: Sendable, CustomTestStringConvertible {
    let name: String
    let code: String
    let target: String?
    let change: @Sendable (inout JSONValue) -> Void

    init(_ name: String, _ code: String, _ target: String?, _ change: @escaping @Sendable (inout JSONValue) -> Void) {
        self.name = name
        self.code = code
        self.target = target
        self.change = change
    }

    var testDescription: String { name }

    static func first(_ body: inout JSONValue, _ collection: String, _ member: String, _ value: JSONValue?) {
        var elements = body["properties.\(collection)"]?.elements ?? []
        elements[0][member] = value
        body["properties.\(collection)"] = .array(elements)
    }

    static let loadBalancers: [BrokenBody] = [
        .init("unknown member at the top", "InvalidRequestContent", "colour") { $0["colour"] = "blue" },
        .init("unknown member below", "InvalidRequestFormat", "properties.colour") { $0["properties.colour"] = 1 },
        .init("wrong type", "InvalidRequestFormat", nil) { first(&$0, "probes", "properties.port", "8082") },
        .init("wrong enumeration", "InvalidParameter", nil) {
            first(&$0, "loadBalancingRules", "properties.protocol", "Sctp")
        },
        .init("missing required member", "InvalidRequestFormat", nil) {
            first(&$0, "loadBalancingRules", "properties.frontendPort", nil)
        },
        .init("no location", "LocationRequired", "location") { $0["location"] = nil },
        .init("other location", "LocationNotAvailableForResourceType", "location") { $0["location"] = "moon" },
        .init("malformed reference", "LinkedInvalidPropertyId", nil) {
            first(&$0, "loadBalancingRules", "properties.probe.id", "probe")
        },
        .init("unknown probe", "InvalidResourceReference", nil) {
            first(&$0, "loadBalancingRules", "properties.probe.id", .string("\(Client.loadBalancer)/probes/other"))
        },
        .init("unknown pool", "InvalidResourceReference", nil) {
            first(
                &$0, "loadBalancingRules", "properties.backendAddressPool.id",
                .string("\(Client.loadBalancer)/backendAddressPools/other"))
        },
        .init("pool of another load balancer", "InvalidResourceReference", nil) {
            first(
                &$0, "loadBalancingRules", "properties.backendAddressPool.id",
                .string("\(Client.network)/loadBalancers/other/backendAddressPools/pool"))
        },
        .init("unknown subnet", "InvalidResourceReference", nil) {
            first(
                &$0, "frontendIPConfigurations", "properties.subnet.id",
                .string("\(Client.network)/virtualNetworks/kegw-vnet/subnets/none"))
        },
        .init("probe interval", "InvalidParameter", nil) {
            first(&$0, "probes", "properties.intervalInSeconds", 4)
        },
        .init("probe without path", "InvalidParameter", nil) { first(&$0, "probes", "properties.requestPath", nil) },
        .init("probe port of another service", "InvalidParameter", nil) {
            first(&$0, "probes", "properties.port", 25)
        },
        .init("frontend port", "InvalidParameter", nil) {
            first(&$0, "loadBalancingRules", "properties.frontendPort", 65535)
        },
        .init("two rules on one frontend port", "RulesUseSameFrontendPortProtocolAndIPConfig", nil) {
            $0["properties.loadBalancingRules"] = [
                loadBalancerRule("one", port: 6000), loadBalancerRule("two", port: 6000),
            ]
        },
        .init("two names", "InvalidParameter", nil) {
            $0["properties.loadBalancingRules"] = [
                loadBalancerRule("one", port: 6000), loadBalancerRule("ONE", port: 6001),
            ]
        },
        .init("children without frontend", "LoadBalancerWithoutFrontendIPCantHaveChildResources", nil) {
            $0["properties.frontendIPConfigurations"] = []
        },
        .init("Basic SKU", "InvalidParameter", "sku.name") { $0["sku.name"] = "Basic" },
    ]
}

@Suite struct SimulatorRefusalTests {
    @Test func `without a valid token nothing is answered`() async throws {
        try await withSimulator { _, client in
            let path = Client.loadBalancer
            let none = try await Client(endpoint: client.endpoint).call("GET", path, version: Client.networkVersion)
            #expect(none.status == 401 && none.code == "AuthenticationFailed")
            let wrong = try await Client(endpoint: client.endpoint, token: "made-up")
                .call("GET", path, version: Client.networkVersion)
            #expect(wrong.status == 401 && wrong.code == "InvalidAuthenticationToken")
            #expect(wrong.headers["www-authenticate"]?.hasPrefix("Bearer") == true)
            let refused = try await Client(endpoint: client.endpoint).signedIn(secret: "wrong")
            #expect(refused.token == nil)
        }
    }

    @Test func `the discovery document names this endpoint without a token`() async throws {
        try await withSimulator { _, client in
            let answer = try await Client(endpoint: client.endpoint)
                .call("GET", "/metadata/endpoints", version: "2019-05-01")
            #expect(answer.body?.elements.first?["resourceManager"]?.text == "\(client.endpoint)/")
            #expect(answer.body?.elements.first?["authentication.loginEndpoint"]?.text == "\(client.endpoint)/")
        }
    }

    @Test(arguments: [
        ("", "MissingApiVersionParameter"), ("?api-version=soon", "InvalidApiVersionParameter"),
        ("?api-version=2018-11-01", "NoRegisteredProviderFound"),
    ])
    func `an api-version other than the served one is refused`(query: String, code: String) async throws {
        try await withSimulator { _, client in
            let answer = try await client.call("GET", Client.loadBalancer + query)
            #expect(answer.status == 400 && answer.code == code)
            #expect(answer.headers["x-ms-failure-cause"] == "gateway")
        }
    }

    @Test(arguments: [
        (
            "/subscriptions/none/resourceGroups/kegw-lab/providers/Microsoft.Network/loadBalancers/x",
            "SubscriptionNotFound"
        ),
        (
            "/subscriptions/\(ARMTestClient.subscription)/resourceGroups/no/providers/Microsoft.Network/loadBalancers",
            "ResourceGroupNotFound"
        ),
        ("\(ARMTestClient.group)/providers/Microsoft.Web/sites/x", "InvalidResourceNamespace"),
        ("\(ARMTestClient.network)/firewalls/x", "InvalidResourceType"),
        ("\(ARMTestClient.network)/loadBalancers/none", "ResourceNotFound"),
        ("\(ARMTestClient.network)/virtualNetworks/kegw-vnet/subnets/none", "NotFound"),
    ])
    func `what is not there is 404 with the right code`(path: String, code: String) async throws {
        try await withSimulator { _, client in
            let answer = try await client.call("GET", path, version: Client.networkVersion)
            #expect(answer.status == 404 && answer.code == code)
        }
    }

    @Test(arguments: BrokenBody.loadBalancers)
    func `a broken load balancer is refused and nothing is stored`(broken: BrokenBody) async throws {
        try await withSimulator { simulator, client in
            var body = loadBalancerBody()
            broken.change(&body)
            let answer = try await client.call("PUT", Client.loadBalancer, version: Client.networkVersion, body: body)
            #expect(answer.status == 400)
            #expect(answer.code == broken.code, "\(answer.body.map(String.init(describing:)) ?? "")")
            if let target = broken.target, broken.code != "LocationRequired" {
                #expect(answer.body?["error.target"]?.text == target)
            }
            #expect(await simulator.managedResources() == [])
        }
    }

    @Test(
        arguments: [
            (["properties.prefixLength": 27], "InvalidParameter"),
            (["properties.prefixLength": 32], "InvalidParameter"),
            (["properties.prefixLength": "31"], "InvalidRequestFormat"), (["sku.name": nil], "InvalidParameter"),
            (["properties.publicIPAddressVersion": "IPv6"], "InvalidParameter"),
            (["zone": "1"], "InvalidRequestContent"),
        ] as [([String: JSONValue?], String)])
    func `a broken prefix is refused`(changes: [String: JSONValue?], code: String) async throws {
        try await withSimulator { _, client in
            var body = prefixBody(length: 31)
            for (path, value) in changes { body[path] = value }
            let answer = try await client.call(
                "PUT", "\(Client.network)/publicIPPrefixes/p", version: Client.networkVersion, body: body)
            #expect(answer.status == 400 && answer.code == code)
        }
    }

    @Test func `a body that is no JSON is refused`() async throws {
        try await withSimulator { _, client in
            let answer = try await client.call(
                "PUT", Client.loadBalancer, version: Client.networkVersion, raw: Data("{".utf8))
            #expect(answer.status == 400 && answer.code == "InvalidRequestContent")
        }
    }

    @Test(arguments: [
        ("subnet gateways: addressPrefix", AzureSimulator.Configuration.test(subnet: "10.243.9.0/33")),
        ("subnet gateways: addressPrefix", AzureSimulator.Configuration.test(subnet: "10.99.0.0/24")),
        ("publicAddressSpace", AzureSimulator.Configuration.test(publicAddressSpace: "203.0.113.1/24")),
        (
            "scale set gateways: d: Subnet gateways",
            AzureSimulator.Configuration.test(subnet: "10.243.0.0/29", computerNames: ["a", "b", "c", "d"])
        ),
    ])
    func `a wrong configuration names its field`(start: String, configuration: AzureSimulator.Configuration) {
        let message = startError(configuration)?.message ?? "no error"
        #expect(message.hasPrefix(start), "\(message)")
    }
}

func prefixBody(length: Int64) -> JSONValue {
    [
        "location": "labregion", "sku": ["name": "Standard", "tier": "Regional"],
        "properties": ["prefixLength": .integer(length), "publicIPAddressVersion": "IPv4"],
    ]
}
