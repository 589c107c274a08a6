import Foundation
import Testing

@testable import Lab

@Suite("Deletion")
struct ServerDeletionTests {
    private static let maps = "/api/v1/namespaces/default/configmaps"
    private static let mergePatch = "application/merge-patch+json"

    @Test func finalizersHoldAnObjectUntilTheLastIsGone() async throws {
        try await ServerHarness.run { harness in
            var map = Samples.configMap("held")
            map[path: "metadata", "finalizers"] = ["example.com/one", "example.com/two"]
            _ = try await harness.tcp.send("POST", Self.maps, map)
            let path = "\(Self.maps)/held"
            let deleted = try await harness.tcp.send("DELETE", path)
            #expect(deleted.json["kind"] == "ConfigMap")
            #expect(deleted.json[path: "metadata", "deletionTimestamp"] != nil)
            let added = try await harness.tcp.send(
                "PATCH", path, ["metadata": ["finalizers": ["example.com/one", "example.com/new"]]],
                contentType: Self.mergePatch)
            #expect(added.status == 422)
            _ = try await harness.tcp.send(
                "PATCH", path, ["metadata": ["finalizers": ["example.com/two"]]], contentType: Self.mergePatch)
            #expect(try await harness.tcp.send("GET", path).status == 200)
            _ = try await harness.tcp.send(
                "PATCH", path, ["metadata": ["finalizers": .null]], contentType: Self.mergePatch)
            #expect(try await harness.tcp.send("GET", path).status == 404)
        }
    }

    @Test func preconditionsAreHeld() async throws {
        try await ServerHarness.run { harness in
            _ = try await harness.tcp.send("POST", Self.maps, Samples.configMap("a"))
            let path = "\(Self.maps)/a"
            let wrong = try await harness.tcp.send("DELETE", path, ["preconditions": ["uid": "other"]])
            #expect(wrong.status == 409)
            let stale = try await harness.tcp.send("DELETE", path, ["preconditions": ["resourceVersion": "1"]])
            #expect(stale.status == 409)
            #expect(try await harness.tcp.send("DELETE", path).json["status"] == "Success")
            #expect(try await harness.tcp.send("DELETE", path).status == 404)
        }
    }

    @Test(.builtInLives) func dependentsGoWithTheirOwner() async throws {
        try await ServerHarness.run { harness in
            let owner = try await harness.tcp.send("POST", Self.maps, Samples.configMap("owner")).json
            let other = try await harness.tcp.send("POST", Self.maps, Samples.configMap("other")).json
            let reference = Samples.ownerReference(to: owner)
            _ = try await harness.tcp.send("POST", Self.maps, Samples.configMap("child", owner: reference))
            var shared = Samples.configMap("shared", owner: reference)
            var second = Samples.ownerReference(to: other)
            second["controller"] = false
            shared[path: "metadata", "ownerReferences"] = [reference, second]
            _ = try await harness.tcp.send("POST", Self.maps, shared)
            _ = try await harness.tcp.send("DELETE", "\(Self.maps)/owner")
            #expect(try await harness.eventually("\(Self.maps)/child") { $0.status == 404 }.status == 404)
            let kept = try await harness.eventually("\(Self.maps)/shared") {
                $0.json[path: "metadata", "ownerReferences"]?.arrayValue?.count == 1
            }
            #expect(kept.json[path: "metadata", "ownerReferences"]?.arrayValue?.first?["name"] == "other")
        }
    }

    @Test(.builtInLives) func anObjectOfAnAbsentOwnerIsCollected() async throws {
        try await ServerHarness.run { harness in
            let absent: APIValue = ["apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "never-was"]
            let created = try await harness.tcp.send("POST", Self.maps, Samples.configMap("stray", owner: absent))
            #expect(created.status == 201)
            #expect(try await harness.eventually("\(Self.maps)/stray") { $0.status == 404 }.status == 404)
        }
    }

    @Test(.builtInLives) func orphansStayAndForegroundWaits() async throws {
        try await ServerHarness.run { harness in
            let owner = try await harness.tcp.send("POST", Self.maps, Samples.configMap("owner")).json
            _ = try await harness.tcp.send(
                "POST", Self.maps, Samples.configMap("kept", owner: Samples.ownerReference(to: owner)))
            _ = try await harness.tcp.send("DELETE", "\(Self.maps)/owner", ["propagationPolicy": "Orphan"])
            let kept = try await harness.tcp.send("GET", "\(Self.maps)/kept")
            #expect(kept.status == 200)
            #expect(kept.json[path: "metadata", "ownerReferences"] == nil)

            let next = try await harness.tcp.send("POST", Self.maps, Samples.configMap("next")).json
            var child = Samples.configMap("child", owner: Samples.ownerReference(to: next))
            child[path: "metadata", "finalizers"] = ["example.com/wait"]
            _ = try await harness.tcp.send("POST", Self.maps, child)
            let waiting = try await harness.tcp.send(
                "DELETE", "\(Self.maps)/next", ["propagationPolicy": "Foreground"])
            #expect(waiting.json[path: "metadata", "finalizers"] == ["foregroundDeletion"])
            let leaving = try await harness.eventually("\(Self.maps)/child") {
                $0.json[path: "metadata", "deletionTimestamp"] != nil
            }
            #expect(leaving.json[path: "metadata", "deletionTimestamp"] != nil)
            #expect(try await harness.tcp.send("GET", "\(Self.maps)/next").status == 200)
            _ = try await harness.tcp.send(
                "PATCH", "\(Self.maps)/child", ["metadata": ["finalizers": .null]], contentType: Self.mergePatch)
            #expect(try await harness.eventually("\(Self.maps)/next") { $0.status == 404 }.status == 404)
        }
    }

    @Test(.builtInLives) func aPodOnANodeWaitsForItsKubelet() async throws {
        try await ServerHarness.run { harness in
            _ = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("free"))
            _ = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("bound", node: "worker-1"))
            _ = try await harness.tcp.send("DELETE", "\(ServerHarness.pods)/free")
            #expect(try await harness.tcp.send("GET", "\(ServerHarness.pods)/free").status == 404)
            let path = "\(ServerHarness.pods)/bound"
            let leaving = try await harness.tcp.send("DELETE", path)
            #expect(leaving.json[path: "metadata", "deletionGracePeriodSeconds"] == 30)
            #expect(try await harness.tcp.send("GET", path).status == 200)
            let last = try await harness.tcp.send("DELETE", path, ["gracePeriodSeconds": 0])
            #expect(last.status == 200 && last.json["kind"] == "Pod")
            #expect(try await harness.tcp.send("GET", path).status == 404)
        }
    }

    @Test(.builtInLives) func aNamespaceTakesItsContentAlong() async throws {
        try await ServerHarness.run { harness in
            _ = try await harness.tcp.send("POST", "/api/v1/namespaces", ["metadata": ["name": "team"]])
            let maps = "/api/v1/namespaces/team/configmaps"
            var held = Samples.configMap("held")
            held[path: "metadata", "finalizers"] = ["example.com/wait"]
            _ = try await harness.tcp.send("POST", maps, held)
            _ = try await harness.tcp.send("POST", maps, Samples.configMap("plain"))
            let deletion = try await harness.tcp.send("DELETE", "/api/v1/namespaces/team")
            #expect(deletion.json[path: "status", "phase"] == "Terminating")
            #expect(try await harness.eventually("\(maps)/plain") { $0.status == 404 }.status == 404)
            let late = try await harness.tcp.send("POST", maps, Samples.configMap("late"))
            #expect(late.status == 403)
            #expect(late.json[path: "details", "causes"]?.arrayValue?.first?["reason"] == "NamespaceTerminating")
            #expect(try await harness.tcp.send("GET", "/api/v1/namespaces/team").status == 200)
            _ = try await harness.tcp.send(
                "PATCH", "\(maps)/held", ["metadata": ["finalizers": .null]], contentType: Self.mergePatch)
            let gone = try await harness.eventually("/api/v1/namespaces/team") { $0.status == 404 }
            #expect(gone.status == 404)
        }
    }

    @Test func aDefinitionTakesItsObjectsAlong() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            _ = try await harness.tcp.send("POST", ServerHarness.gateways, Samples.gateway("gw"))
            let definition =
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
                + "staticgatewayconfigurations.egressgateway.kubernetes.azure.com"
            _ = try await harness.tcp.send("DELETE", definition)
            #expect(try await harness.eventually(definition) { $0.status == 404 }.status == 404)
            #expect(try await harness.tcp.send("GET", ServerHarness.group).status == 404)
            try await harness.defineGateways()
            let list = try await harness.tcp.send("GET", ServerHarness.gateways)
            #expect(list.json["items"]?.arrayValue?.isEmpty == true)
        }
    }

    @Test func aCollectionIsDeletedBySelector() async throws {
        try await ServerHarness.run { harness in
            for index in 0..<4 {
                let pod = Samples.pod("p\(index)", labels: ["even": index % 2 == 0 ? "yes" : "no"])
                _ = try await harness.tcp.send("POST", ServerHarness.pods, pod)
            }
            _ = try await harness.tcp.send("DELETE", "\(ServerHarness.pods)?labelSelector=even%3Dyes")
            let left = try await harness.tcp.send("GET", ServerHarness.pods).json["items"]?.arrayValue ?? []
            #expect(left.map { $0[path: "metadata", "name"] } == ["p1", "p3"])
        }
    }
}
