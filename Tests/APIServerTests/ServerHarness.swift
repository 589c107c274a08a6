import Foundation
import Logging
import Testing

@testable import Lab

/// An empty server and a folder, with clients for both listeners of the embedded one, or twice the same for another.
struct ServerHarness: Sendable {
    let folder: String
    let kubeconfig: String
    let tcp: RawHTTPClient
    let unix: RawHTTPClient

    static let group = "/apis/egressgateway.kubernetes.azure.com/v1alpha1"
    static let gateways = "\(group)/namespaces/default/staticgatewayconfigurations"
    static let pods = "/api/v1/namespaces/default/pods"

    /// The folder of the five CRDs in this checkout.
    static var definitionFolder: String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return root.appendingPathComponent("deploy/crds").path
    }

    /// Runs `body` against a server that is empty before it. The embedded one is started for it and shut down behind
    /// it, its folder removed.
    static func run<Result: Sendable>(
        limits: APIObjectStore.Limits = .init(), folder existing: String? = nil, clock: APIClock = APIClock(),
        _ body: @escaping @Sendable (ServerHarness) async throws -> Result
    ) async throws -> Result {
        let folder = existing ?? NSTemporaryDirectory() + "apiserver-test-" + UUID().uuidString.prefix(8)
        defer { if existing == nil { try? FileManager.default.removeItem(atPath: folder) } }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        if let external = ServerUnderTest.external {
            try await external.empty()
            return try await body(
                ServerHarness(
                    folder: folder, kubeconfig: external.kubeconfig, tcp: external.client, unix: external.client))
        }
        let socket = folder + "/api.sock"
        var logger = Logger(label: "apiserver-test")
        logger.logLevel = .error
        let server = try EmbeddedAPIServer(
            configuration: .init(storagePath: folder + "/storage", unixSocketPath: socket), logger: logger,
            clock: clock, limits: limits)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            let port = try #require(await server.boundPort)
            let harness = ServerHarness(
                folder: folder, kubeconfig: EmbeddedAPIServer.kubeconfig(for: .tcp(host: "127.0.0.1", port: port)),
                tcp: RawHTTPClient(address: .tcp(port: port)),
                unix: RawHTTPClient(address: .unix(path: socket)))
            defer { group.cancelAll() }
            return try await body(harness)
        }
    }

    /// Serves a kind shaped like StaticGatewayConfiguration, without reading YAML.
    func defineGateways() async throws {
        let answer = try await tcp.send(
            "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", Samples.definition)
        #expect(answer.status == 201, "\(answer.text)")
        // Some servers serve a kind a moment after they have taken its definition.
        #expect(try await eventually(Self.gateways) { $0.status == 200 }.status == 200)
    }

    /// Asks again until the condition holds; the last answer is given back when it never does.
    func eventually(
        _ path: String, _ condition: (RawHTTPClient.Answer) -> Bool
    ) async throws -> RawHTTPClient.Answer {
        var answer = try await tcp.send("GET", path)
        for _ in 0..<400 where !condition(answer) {
            try await Task.sleep(for: .milliseconds(25))
            answer = try await tcp.send("GET", path)
        }
        return answer
    }

    /// Posts, and deletes what it made, until the server refuses; the last status. A definition's change takes a moment.
    func eventually(_ collection: String, posting body: APIValue) async throws -> Int {
        let name = body[path: "metadata", "name"]?.stringValue ?? ""
        for _ in 0..<400 {
            let status = try await tcp.send("POST", collection, body).status
            guard status == 201 else { return status }
            _ = try await tcp.send("DELETE", "\(collection)/\(name)")
            try await Task.sleep(for: .milliseconds(25))
        }
        return 201
    }
}

enum Samples {
    static let definition: APIValue = [
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": ["name": "staticgatewayconfigurations.egressgateway.kubernetes.azure.com"],
        "spec": [
            "group": "egressgateway.kubernetes.azure.com", "scope": "Namespaced",
            "names": [
                "kind": "StaticGatewayConfiguration", "plural": "staticgatewayconfigurations", "shortNames": ["sgc"],
            ],
            "versions": [
                [
                    "name": "v1alpha1", "served": true, "storage": true, "subresources": ["status": [:]],
                    "additionalPrinterColumns": [
                        ["name": "Egress Prefix", "type": "string", "jsonPath": ".status.egressIpPrefix"],
                        ["name": "Port", "type": "integer", "jsonPath": ".status.gatewayServerProfile.port"],
                        ["name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"],
                    ], "schema": ["openAPIV3Schema": schema],
                ]
            ],
        ],
    ]

    static let schema: APIValue = [
        "type": "object",
        "properties": [
            "spec": [
                "type": "object", "required": ["provisionPublicIps"],
                "properties": [
                    "gatewayNodepoolName": ["type": "string"],
                    "gatewayVmssProfile": [
                        "type": "object",
                        "properties": [
                            "vmssName": ["type": "string"],
                            "publicIpPrefixSize": [
                                "type": "integer", "format": "int32", "minimum": 0, "maximum": 31,
                            ],
                        ],
                    ],
                    "defaultRoute": [
                        "type": "string", "default": "staticEgressGateway",
                        "enum": ["azureNetworking", "staticEgressGateway"],
                    ], "provisionPublicIps": ["type": "boolean", "default": true],
                    "excludeCidrs": ["type": "array", "items": ["type": "string"]],
                ],
            ],
            "status": [
                "type": "object",
                "properties": [
                    "egressIpPrefix": ["type": "string"],
                    "gatewayServerProfile": [
                        "type": "object", "properties": ["port": ["type": "integer", "format": "int32"]],
                    ],
                    "conditions": [
                        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                        "items": [
                            "type": "object", "required": ["type"],
                            "properties": [
                                "type": ["type": "string"], "status": ["type": "string"],
                                "reason": ["type": "string"],
                            ],
                        ],
                    ],
                ],
            ],
        ],
    ]

    static func gateway(_ name: String, spec: APIValue = ["gatewayNodepoolName": "gwpool"]) -> APIValue {
        [
            "apiVersion": "egressgateway.kubernetes.azure.com/v1alpha1", "kind": "StaticGatewayConfiguration",
            "metadata": ["name": .string(name)], "spec": spec,
        ]
    }

    static func pod(_ name: String, labels: APIValue = [:], node: String? = nil) -> APIValue {
        var pod: APIValue = [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name), "labels": labels],
            "spec": ["containers": [["name": "main", "image": "web:1"]]],
        ]
        if let node { pod[path: "spec", "nodeName"] = .string(node) }
        return pod
    }

    static func configMap(_ name: String, owner: APIValue? = nil) -> APIValue {
        var map: APIValue = [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": .string(name)], "data": ["k": "v"],
        ]
        if let owner { map[path: "metadata", "ownerReferences"] = [owner] }
        return map
    }

    static func ownerReference(to object: APIValue) -> APIValue {
        [
            "apiVersion": object["apiVersion"] ?? "", "kind": object["kind"] ?? "",
            "name": object[path: "metadata", "name"] ?? "", "uid": object[path: "metadata", "uid"] ?? "",
            "controller": true, "blockOwnerDeletion": true,
        ]
    }
}
