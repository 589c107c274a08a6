import Foundation
import Testing

@testable import Lab

/// The server that the suites over HTTP run against: the embedded one, unless the environment names another.
///
/// `scripts/apiserver/test-apiserver.sh` starts the other one and sets `EGRESS_APISERVER_PORT` (HTTPS on 127.0.0.1),
/// `EGRESS_APISERVER_CA` (a PEM file) and `EGRESS_APISERVER_TOKEN`. Its objects are deleted by the tests.
struct ServerUnderTest: Sendable {
    let port: Int
    let authority: String
    let token: String

    static let external: ServerUnderTest? = {
        let environment = ProcessInfo.processInfo.environment
        guard let port = environment["EGRESS_APISERVER_PORT"].flatMap({ Int($0) }),
            let authority = environment["EGRESS_APISERVER_CA"], let token = environment["EGRESS_APISERVER_TOKEN"]
        else { return nil }
        return ServerUnderTest(port: port, authority: authority, token: token)
    }()

    static var isEmbedded: Bool { external == nil }

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
        let kept = ["default", "kube-system", "kube-public", "kube-node-lease"]
        for namespace in try await items("/api/v1/namespaces")
        where !kept.contains(namespace[path: "metadata", "name"]?.stringValue ?? "") {
            try await delete("/api/v1/namespaces", namespace)
        }
        for _ in 0..<400 {
            if try await items(Self.definitions).isEmpty { return }
            try await Task.sleep(for: .milliseconds(25))
        }
        Issue.record("the server still has definitions that were deleted ten seconds ago")
    }

    private func items(_ path: String) async throws -> [APIValue] {
        try await client.send("GET", path).json["items"]?.arrayValue ?? []
    }

    private func remove(_ version: String, _ plural: String) async throws {
        for item in try await items("\(version)/\(plural)") {
            let namespace = item[path: "metadata", "namespace"]?.stringValue ?? ""
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
        .enabled(if: ServerUnderTest.isEmbedded, "library-server lacks what k8s.io/kubernetes adds")
    }
}
