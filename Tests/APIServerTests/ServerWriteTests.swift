import Foundation
import Testing

@testable import Lab

@Suite("Writes over HTTP")
struct ServerWriteTests {
    private static let mergePatch = "application/merge-patch+json"

    @Test func bothListenersShareOneStore() async throws {
        try await ServerHarness.run { harness in
            let created = try await harness.unix.send("POST", ServerHarness.pods, Samples.pod("web"))
            #expect(created.status == 201)
            let read = try await harness.tcp.send("GET", "\(ServerHarness.pods)/web")
            #expect(read.status == 200)
            #expect(read.json == created.json)
            #expect(read.json[path: "status", "phase"] == "Pending")
            #expect(read.json[path: "metadata", "uid"]?.stringValue?.count == 36)
        }
    }

    @Test func conflictsAndTheirReasons() async throws {
        try await ServerHarness.run { harness in
            let client = harness.tcp
            let created = try await client.send("POST", ServerHarness.pods, Samples.pod("web")).json
            let again = try await client.send("POST", ServerHarness.pods, Samples.pod("web"))
            #expect(again.status == 409)
            #expect(again.json["reason"] == "AlreadyExists")

            var changed = created
            changed[path: "metadata", "labels"] = ["a": "1"]
            #expect(try await client.send("PUT", "\(ServerHarness.pods)/web", changed).status == 200)
            let stale = try await client.send("PUT", "\(ServerHarness.pods)/web", changed)
            #expect(stale.status == 409)
            #expect(stale.json["reason"] == "Conflict")
            let patch = try await client.send(
                "PATCH", "\(ServerHarness.pods)/web",
                ["metadata": ["resourceVersion": created[path: "metadata", "resourceVersion"] ?? ""]],
                contentType: Self.mergePatch)
            #expect(patch.status == 409)
            let gone = try await client.send("PUT", "\(ServerHarness.pods)/none", Samples.pod("none"))
            #expect(gone.status == 404)
            #expect(gone.json["details"] == ["name": "none", "kind": "pods"])
            let mismatch = try await client.send("PUT", "\(ServerHarness.pods)/other", created)
            #expect(mismatch.status == 400)
        }
    }

    @Test(.builtInLives) func aNamespaceMustExist() async throws {
        try await ServerHarness.run { harness in
            let nowhere = try await harness.tcp.send("POST", "/api/v1/namespaces/none/pods", Samples.pod("web"))
            #expect(nowhere.status == 404)
            #expect(nowhere.json["message"] == "namespaces \"none\" not found")
        }
    }

    @Test func aWriteThatChangesNothingKeepsTheVersion() async throws {
        try await ServerHarness.run { harness in
            let created = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("web")).json
            let patched = try await harness.tcp.send(
                "PATCH", "\(ServerHarness.pods)/web", ["metadata": ["labels": .null]], contentType: Self.mergePatch)
            #expect(patched.json == created)
        }
    }

    @Test func specAndStatusAreSeparate() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let path = "\(ServerHarness.gateways)/gw"
            var body = Samples.gateway("gw")
            body["status"] = ["egressIpPrefix": "stolen"]
            let created = try await harness.tcp.send("POST", ServerHarness.gateways, body).json
            #expect(created["status"] == nil)
            #expect(created[path: "spec", "defaultRoute"] == "staticEgressGateway")
            #expect(created[path: "metadata", "generation"] == 1)

            let status = try await harness.tcp.send(
                "PATCH", "\(path)/status",
                ["spec": ["defaultRoute": "azureNetworking"], "status": ["egressIpPrefix": "203.0.113.8/31"]],
                contentType: Self.mergePatch
            ).json
            #expect(status[path: "spec", "defaultRoute"] == "staticEgressGateway")
            #expect(status[path: "status", "egressIpPrefix"] == "203.0.113.8/31")
            #expect(status[path: "metadata", "generation"] == 1)

            let spec = try await harness.tcp.send(
                "PATCH", path, ["spec": ["defaultRoute": "azureNetworking"], "status": ["egressIpPrefix": "x"]],
                contentType: Self.mergePatch
            ).json
            #expect(spec[path: "status", "egressIpPrefix"] == "203.0.113.8/31")
            #expect(spec[path: "metadata", "generation"] == 2)
            var unversioned = spec
            unversioned[path: "metadata", "resourceVersion"] = nil
            #expect(try await harness.tcp.send("PUT", path, unversioned).status == 422)
        }
    }

    @Test func schemaRefusalsAreStatusObjectsWithCauses() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let bad = Samples.gateway("gw", spec: ["defaultRoute": "moon"])
            let answer = try await harness.tcp.send("POST", ServerHarness.gateways, bad)
            #expect(answer.status == 422)
            #expect(answer.json["reason"] == "Invalid")
            let cause = answer.json[path: "details", "causes"]?.arrayValue?.first
            #expect(cause?["field"] == "spec.defaultRoute")
            #expect(cause?["reason"] == "FieldValueNotSupported")
        }
    }

    @Test func unknownFieldsArePruned() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let unknown = Samples.gateway("gw", spec: ["gatewayNodepoolName": "p", "excludeCIDRs": ["x"]])
            let stored = try await harness.tcp.send("POST", ServerHarness.gateways, unknown)
            #expect(stored.status == 201)
            #expect(stored.json[path: "spec", "gatewayNodepoolName"] == "p")
            #expect(stored.json[path: "spec", "excludeCIDRs"] == nil)
        }
    }

    @Test(.since(25, "fieldValidation")) func unknownFieldsAreToldOrRefused() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let unknown = Samples.gateway("gw", spec: ["excludeCIDRs": ["x"]])
            let strict = try await harness.tcp.send(
                "POST", "\(ServerHarness.gateways)?fieldValidation=Strict", unknown)
            #expect(strict.status == 400)
            #expect(strict.json["message"]?.stringValue?.contains("unknown field \"spec.excludeCIDRs\"") == true)
            let warned = try await harness.tcp.send("POST", ServerHarness.gateways, unknown)
            #expect(warned.status == 201)
            #expect(warned.headers["warning"] == #"299 - "unknown field \"spec.excludeCIDRs\"""#)
            #expect(warned.json[path: "spec", "excludeCIDRs"] == nil)
        }
    }

    @Test(arguments: [
        ("Bad_Name", "metadata.name"), ("", "metadata.name"),
    ])
    func namesAreChecked(_ name: String, _ field: String) async throws {
        try await ServerHarness.run { harness in
            let answer = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod(name))
            #expect(answer.status == 422)
            #expect(answer.json[path: "details", "causes"]?.arrayValue?.first?["field"]?.stringValue == field)
        }
    }

    @Test func patchFlavoursAndUnknownTypes() async throws {
        try await ServerHarness.run { harness in
            _ = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("web"))
            let path = "\(ServerHarness.pods)/web"
            let json = try await harness.tcp.send(
                "PATCH", path, [["op": "add", "path": "/metadata/annotations", "value": ["a/b": "1"]]],
                contentType: "application/json-patch+json")
            #expect(json.json[path: "metadata", "annotations", "a/b"] == "1")
            let strategic = try await harness.tcp.send(
                "PATCH", path, ["spec": ["containers": [["name": "main", "image": "web:2"]]]],
                contentType: "application/strategic-merge-patch+json")
            #expect(strategic.json[path: "spec", "containers"]?.arrayValue?.first?["image"] == "web:2")
            #expect(strategic.json[path: "spec", "containers"]?.arrayValue?.count == 1)
            let unknown = try await harness.tcp.send("PATCH", path, [:], contentType: "application/patch")
            #expect(unknown.status == 415)
            #expect(unknown.json["reason"] == "UnsupportedMediaType")
        }
    }

    @Test(.builtInLives) func aPodHasDefaultsAndABinding() async throws {
        try await ServerHarness.run { harness in
            let created = try await harness.tcp.send("POST", ServerHarness.pods, Samples.pod("web"))
            #expect(
                created.json[path: "spec", "containers"]?.arrayValue?.first?["imagePullPolicy"] == "IfNotPresent")
            let path = "\(ServerHarness.pods)/web"
            let immutable = try await harness.tcp.send(
                "PATCH", path, ["spec": ["hostNetwork": true]], contentType: Self.mergePatch)
            #expect(immutable.status == 422)
            func binding(_ node: String) -> APIValue {
                [
                    "apiVersion": "v1", "kind": "Binding", "metadata": ["name": "web"],
                    "target": ["kind": "Node", "name": .string(node)],
                ]
            }
            #expect(try await harness.tcp.send("POST", "\(path)/binding", binding("worker-1")).status == 201)
            let bound = try await harness.tcp.send("GET", path)
            #expect(bound.json[path: "spec", "nodeName"] == "worker-1")
            #expect(try await harness.tcp.send("POST", "\(path)/binding", binding("worker-2")).status == 409)
        }
    }

    @Test func generatedNamesDryRunAndSecrets() async throws {
        try await ServerHarness.run { harness in
            var pod = Samples.pod("x")
            pod["metadata"] = ["generateName": "job-"]
            let name = try await harness.tcp.send("POST", ServerHarness.pods, pod).json[path: "metadata", "name"]
            #expect(name?.stringValue?.wholeMatch(of: /job-[a-z0-9]{5}/) != nil)
            let dry = try await harness.tcp.send("POST", "\(ServerHarness.pods)?dryRun=All", Samples.pod("dry"))
            #expect(dry.status == 201)
            #expect(try await harness.tcp.send("GET", "\(ServerHarness.pods)/dry").status == 404)

            let secrets = "/api/v1/namespaces/default/secrets"
            let secret = try await harness.tcp.send(
                "POST", secrets, ["metadata": ["name": "s"], "stringData": ["PrivateKey": "abc"]]
            ).json
            #expect(secret["data"] == ["PrivateKey": "YWJj"])
            #expect(secret["stringData"] == nil)
            #expect(secret["type"] == "Opaque")
            let bad = try await harness.tcp.send("POST", secrets, ["metadata": ["name": "t"], "data": ["k": "%%%"]])
            #expect(bad.status == 400)
            #expect(bad.json["message"]?.stringValue?.contains("illegal base64 data at input byte 0") == true)
            let selected = try await harness.tcp.send("GET", "\(secrets)?fieldSelector=type%3DOpaque")
            #expect(selected.json["items"]?.arrayValue?.count == 1)
        }
    }

    @Test func malformedRequests() async throws {
        try await ServerHarness.run { harness in
            let client = harness.tcp
            #expect(try await client.send("GET", "/api/v1/unknowns").status == 404)
            #expect(try await client.send("GET", "/api/v1/unknowns").json["kind"] == "Status")
            let nonsense = try await client.send("GET", "/nonsense")
            #expect(nonsense.status == 404)
            // The libraries answer with what there is; kube-apiserver chains three servers, and the last one does not.
            if !ServerUnderTest.isKubernetes {
                #expect(nonsense.json["paths"]?.arrayValue?.contains("/api/v1") == true)
            }
            #expect(try await client.send("GET", "/").status == 200)
            #expect(try await client.send("POST", ServerHarness.pods, "text").status == 400)
            #expect(try await client.send("PUT", ServerHarness.pods, [:]).status == 405)
            #expect(try await client.send("GET", "\(ServerHarness.pods)?labelSelector=a%20in%20b").status == 400)
            #expect(try await client.send("GET", "\(ServerHarness.pods)?limit=x").status == 400)
            _ = try await client.send("POST", ServerHarness.pods, Samples.pod("one"))
            let unlimited = try await client.send("GET", "\(ServerHarness.pods)?limit=-1").json
            #expect(unlimited["items"]?.arrayValue?.count == 1)
            let wrongKind = try await client.send("POST", ServerHarness.pods, Samples.gateway("x"))
            #expect(wrongKind.status == 400)
            let large = APIValue.string(String(repeating: "x", count: APIResponder.maximumBody))
            #expect(try await client.send("POST", ServerHarness.pods, large).status == 413)
        }
    }
}
