import Foundation
import JSONModel
import Kubernetes
import Logging
import Testing

@testable import Lab

/// The roles of the rendered manifests before Kubernetes' own authorizer. That each role needs all it has, and no more, is
/// held elsewhere; here, that RBAC reads the manifests as those tests do.
@Suite("Roles", .roles, .enabled(if: Kubectl.path != nil, "kubectl is not installed"))
struct ServerRoleTests {
    private static let namespace = "kube-egress-gateway-system"
    private static let manager = "kube-egress-gateway-controller-manager"
    private static let gateway = "kube-egress-gateway-daemon-manager"
    private static let node = "kube-egress-gateway-cni-manager"
    private static let group = "egressgateway.kubernetes.azure.com"

    /// Applies the definitions and those documents of the manifests that give rights.
    private static func run(_ body: @escaping @Sendable (ServerHarness) async throws -> Void) async throws {
        try await ServerHarness.run { harness in
            let kubectl = try Kubectl(harness)
            let definitions = try await kubectl.applyDefinitions()
            #expect(definitions.status == 0, "\(definitions.errors)")
            let rights = try DeliveredManifests.documents { kind in
                kind == "Namespace" || kind == "ServiceAccount" || kind.contains("Role")
            }
            let applied = try await kubectl.run("apply", "-f", "-", input: rights)
            #expect(applied.status == 0, "\(applied.errors)")
            do {
                try await body(harness)
            } catch {
                try await kubectl.run("delete", "--wait=false", "-f", "-", input: rights)
                throw error
            }
            try await kubectl.run("delete", "--wait=false", "-f", "-", input: rights)
        }
    }

    private struct Question: CustomStringConvertible {
        var account: String
        var verb: String
        var group: String
        var resource: String
        var namespace: String
        var name = ""
        var isAllowed: Bool

        /// - Parameter resource: with its subresource and group, such as `pods/status` or `leases.coordination.k8s.io`.
        init(
            _ account: String, _ verb: String, _ resource: String, in namespace: String, of name: String = "",
            _ isAllowed: Bool
        ) {
            let parts = resource.split(separator: ".", maxSplits: 1).map(String.init)
            self.account = account
            self.verb = verb
            self.resource = parts[0]
            self.group = parts.count > 1 ? parts[1] : ""
            self.namespace = namespace
            self.name = name
            self.isAllowed = isAllowed
        }

        var description: String { "\(account): \(verb) \(group)/\(resource) \(name) in \(namespace)" }

        var review: APIValue {
            let parts = resource.split(separator: "/").map(String.init)
            return [
                "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
                "spec": [
                    "user": .string("system:serviceaccount:\(ServerRoleTests.namespace):\(account)"),
                    "groups": ["system:serviceaccounts", "system:authenticated"],
                    "resourceAttributes": [
                        "verb": .string(verb), "group": .string(group), "resource": .string(parts[0]),
                        "subresource": .string(parts.count > 1 ? parts[1] : ""), "namespace": .string(namespace),
                        "name": .string(name),
                    ],
                ],
            ]
        }
    }

    private static let questions: [Question] = [
        .init(manager, "patch", "staticgatewayconfigurations.\(group)", in: "team", true),
        .init(manager, "delete", "staticgatewayconfigurations.\(group)", in: "team", false),
        .init(manager, "patch", "staticgatewayconfigurations/status.\(group)", in: "team", true),
        .init(manager, "create", "gatewaylbconfigurations.\(group)", in: "team", true),
        .init(manager, "update", "gatewaylbconfigurations/finalizers.\(group)", in: "team", true),
        .init(manager, "watch", "nodes", in: "", true), .init(manager, "get", "nodes", in: "", false),
        .init(manager, "list", "pods", in: "team", false),
        .init(manager, "get", "secrets", in: namespace, of: "sgw-1", true),
        .init(manager, "list", "secrets", in: namespace, true),
        .init(manager, "watch", "secrets", in: namespace, false), .init(manager, "list", "secrets", in: "team", false),
        .init(manager, "get", "secrets", in: "team", of: "sgw-1", false),
        .init(manager, "create", "leases.coordination.k8s.io", in: namespace, true),
        .init(manager, "patch", "leases.coordination.k8s.io", in: namespace, of: "0a299682.microsoft.com", true),
        .init(manager, "patch", "leases.coordination.k8s.io", in: namespace, of: "another", false),
        .init(manager, "create", "events.events.k8s.io", in: "team", true),
        .init(manager, "create", "events", in: "team", false),
        .init(gateway, "watch", "podendpoints.\(group)", in: "team", true),
        .init(gateway, "create", "podendpoints.\(group)", in: "team", false),
        .init(gateway, "get", "nodes", in: "", true), .init(gateway, "list", "nodes", in: "", false),
        .init(gateway, "get", "secrets", in: namespace, true), .init(gateway, "get", "secrets", in: "team", false),
        .init(gateway, "patch", "gatewaystatuses.\(group)", in: namespace, true),
        .init(gateway, "patch", "gatewaystatuses.\(group)", in: "team", false),
        .init(node, "create", "podendpoints.\(group)", in: "team", true),
        .init(node, "patch", "podendpoints.\(group)", in: "team", false),
        .init(node, "watch", "pods", in: "team", true), .init(node, "create", "pods", in: "team", false),
        .init(node, "update", "pods/finalizers", in: "team", true),
        .init(node, "get", "secrets", in: namespace, false),
    ]

    @Test func theAuthorizerReadsTheManifestsAsWeDo() async throws {
        try await Self.run { harness in
            // The authorizer's caches take a moment.
            #expect(try await Self.settled(harness, Self.questions[0]))
            for question in Self.questions {
                let answer = try await harness.tcp.send("POST", Self.reviews, question.review)
                #expect(
                    answer.json[path: "status", "allowed"] == .bool(question.isAllowed), "\(question): \(answer.text)")
            }
        }
    }

    /// With a token that the server itself has issued, as a pod has it.
    @Test func theManagersOwnTokenDoesWhatItMayAndNoMore() async throws {
        try await Self.run { harness in
            #expect(try await Self.settled(harness, Self.questions[0]))
            let issued = try await harness.tcp.send(
                "POST", "/api/v1/namespaces/\(Self.namespace)/serviceaccounts/\(Self.manager)/token",
                ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": [:]])
            let token = try #require(issued.json[path: "status", "token"]?.stringValue, "\(issued.text)")
            let server = try #require(ServerUnderTest.external)
            var configuration = ClientConfiguration(
                server: "https://127.0.0.1:\(server.port)", credential: .token(token))
            configuration.certificateAuthority = Array(try Data(contentsOf: URL(filePath: server.authority)))
            let client = try KubernetesClient(
                configuration: configuration,
                logger: Logger(label: "apiserver-test") { _ in SwiftLogNoOpLogHandler() })
            let gateways = try await client.list(StaticGatewayConfiguration.self)
            #expect(gateways.items.isEmpty)
            let refused = await #expect(throws: KubernetesError.self) {
                _ = try await client.list(Secret.self, namespace: "team")
            }
            #expect(refused?.code == .forbidden)
            #expect(refused?.message.contains(Self.manager) == true, "\(String(describing: refused))")
            try await client.shutdown()

            configuration.credential = .token("nobody")
            let stranger = try KubernetesClient(
                configuration: configuration,
                logger: Logger(label: "apiserver-test") { _ in SwiftLogNoOpLogHandler() })
            let unknown = await #expect(throws: KubernetesError.self) {
                _ = try await stranger.list(StaticGatewayConfiguration.self)
            }
            #expect(unknown?.code == .unauthorized)
            try await stranger.shutdown()
        }
    }

    private static let reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

    private static func settled(_ harness: ServerHarness, _ question: Question) async throws -> Bool {
        for _ in 0..<400 {
            let answer = try await harness.tcp.send("POST", reviews, question.review)
            if answer.json[path: "status", "allowed"] == .bool(question.isAllowed) { return true }
            try await Task.sleep(for: .milliseconds(25))
        }
        return false
    }
}

/// The manifests as they are delivered, document by document.
enum DeliveredManifests {
    static var path: String {
        URL(filePath: ServerHarness.definitionFolder).deletingLastPathComponent()
            .appending(path: "manifests/kube-egress-gateway.yaml").path
    }

    /// The documents whose kind is wanted, as one stream.
    static func documents(_ isWanted: (String) -> Bool) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8).components(separatedBy: "\n---\n").filter { document in
            let kind = document.split(separator: "\n").first { $0.hasPrefix("kind: ") }
            return kind.map { isWanted(String($0.dropFirst("kind: ".count))) } ?? false
        }.joined(separator: "\n---\n")
    }
}
