import Foundation
import Testing

@testable import Lab

/// The server that the suites over HTTP run against: the embedded one, unless the environment names another.
///
/// `scripts/apiserver/test-apiserver.sh` starts others and sets `EGRESS_APISERVER_PORT` (HTTPS on 127.0.0.1),
/// `EGRESS_APISERVER_CA` (a PEM file), `EGRESS_APISERVER_TOKEN`, `EGRESS_APISERVER_PROGRAM` and
/// `EGRESS_APISERVER_VERSION` (such as v1.20.2). Its objects are deleted by the tests.
struct ServerUnderTest: Sendable {
    let port: Int
    let authority: String
    let token: String
    /// `library-server` or `kube-apiserver`.
    let program: String
    /// Of Kubernetes 1.
    let minor: Int

    static let external: ServerUnderTest? = {
        let environment = ProcessInfo.processInfo.environment
        guard let port = environment["EGRESS_APISERVER_PORT"].flatMap({ Int($0) }),
            let authority = environment["EGRESS_APISERVER_CA"], let token = environment["EGRESS_APISERVER_TOKEN"],
            let program = environment["EGRESS_APISERVER_PROGRAM"],
            let version = environment["EGRESS_APISERVER_VERSION"]?.firstMatch(of: /^v1\.([0-9]+)/),
            let minor = Int(version.output.1)
        else { return nil }
        return ServerUnderTest(port: port, authority: authority, token: token, program: program, minor: minor)
    }()

    static var isEmbedded: Bool { external == nil }
    /// Kubernetes as it is shipped, with its built-in kinds, controllers and RBAC.
    static var isKubernetes: Bool { external?.program == "kube-apiserver" }
    /// The embedded server does what this version does.
    static let embeddedMinor = 36
    static var minor: Int { external?.minor ?? embeddedMinor }

    var client: RawHTTPClient { RawHTTPClient(address: .tls(port: port, authority: authority, token: token)) }

    var kubeconfig: String {
        """
        apiVersion: v1
        kind: Config
        clusters:
        - name: test
          cluster: {server: "https://127.0.0.1:\(port)", certificate-authority: "\(authority)"}
        users:
        - name: test
          user: {token: "\(token)"}
        contexts:
        - name: test
          context: {cluster: test, user: test, namespace: default}
        current-context: test

        """
    }

    private static let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

    /// Deletes what tests make, finalizers or not, and waits until it is gone.
    func empty() async throws {
        for definition in try await items(Self.definitions) {
            let group = definition[path: "spec", "group"]?.stringValue ?? ""
            let plural = definition[path: "spec", "names", "plural"]?.stringValue ?? ""
            let version = definition[path: "spec", "versions"]?.arrayValue?.first?["name"]?.stringValue ?? ""
            try await remove("/apis/\(group)/\(version)", plural)
            try await delete(Self.definitions, definition)
        }
        for kind in ["pods", "configmaps", "secrets", "events"] { try await remove("/api/v1", kind) }
        try await remove("/apis/coordination.k8s.io/v1", "leases")
        for namespace in try await namespaces() { try await delete("/api/v1/namespaces", namespace) }
        for _ in 0..<1200 {
            let (definitions, namespaces) = (try await items(Self.definitions), try await namespaces())
            if definitions.isEmpty, namespaces.isEmpty { return }
            try await Task.sleep(for: .milliseconds(25))
        }
        Issue.record("the server still has definitions or namespaces that were deleted thirty seconds ago")
    }

    /// Those that tests have made.
    private func namespaces() async throws -> [APIValue] {
        let kept = ["default", "kube-system", "kube-public", "kube-node-lease"]
        return try await items("/api/v1/namespaces").filter {
            !kept.contains($0[path: "metadata", "name"]?.stringValue ?? "")
        }
    }

    private func items(_ path: String) async throws -> [APIValue] {
        try await client.send("GET", path).json["items"]?.arrayValue ?? []
    }

    private func remove(_ version: String, _ plural: String) async throws {
        for item in try await items("\(version)/\(plural)") {
            let namespace = item[path: "metadata", "namespace"]?.stringValue ?? ""
            // The server's own are there.
            if namespace == "kube-system" { continue }
            try await delete("\(version)/namespaces/\(namespace)/\(plural)", item)
        }
    }

    private func delete(_ collection: String, _ item: APIValue) async throws {
        let path = "\(collection)/\(item[path: "metadata", "name"]?.stringValue ?? "")"
        if item[path: "metadata", "finalizers"] != nil, collection != Self.definitions {
            _ = try await client.send(
                "PATCH", path, ["metadata": ["finalizers": .null]], contentType: "application/merge-patch+json")
        }
        _ = try await client.send("DELETE", path, ["gracePeriodSeconds": 0])
    }
}

extension Trait where Self == ConditionTrait {
    /// For tests that look into the embedded server, or set its limits.
    static var embeddedOnly: Self {
        .enabled(if: ServerUnderTest.isEmbedded, "looks into the embedded server's own process")
    }

    /// For tests of what k8s.io/kubernetes adds to the API server's libraries: the built-in kinds' defaults, checks
    /// and lives, and garbage collection.
    static var builtInLives: Self {
        .enabled(
            if: ServerUnderTest.isEmbedded || ServerUnderTest.isKubernetes,
            "library-server lacks what k8s.io/kubernetes adds")
    }

    /// For tests of what the embedded server does in its own way.
    static var otherServersOnly: Self {
        .enabled(if: !ServerUnderTest.isEmbedded, "the embedded server keeps its whole history while it is small")
    }

    /// For tests of what kube-apiserver 1.20 does otherwise than its successors; since when is not asked.
    static func after1_20(_ what: String) -> Self {
        .enabled(if: ServerUnderTest.minor > 20, "kube-apiserver 1.20 does it otherwise: \(what)")
    }

    /// For tests of RBAC.
    static var roles: Self { .enabled(if: ServerUnderTest.isKubernetes, "only kube-apiserver has RBAC") }

    /// For tests of what servers do since Kubernetes 1.`minor`.
    static func since(_ minor: Int, _ what: String) -> Self {
        .enabled(if: ServerUnderTest.minor >= minor, "\(what): since Kubernetes 1.\(minor)")
    }
}
