import Foundation
import Testing

@testable import Lab

@Suite("Server-side apply")
struct ServerApplyTests {
    private static let applyType = "application/apply-patch+yaml"
    private static let mergePatch = "application/merge-patch+json"
    private static let gateway = "\(ServerHarness.gateways)/gw"
    private static let map = "/api/v1/namespaces/default/configmaps/map"
    private static let version: APIValue = "egressgateway.kubernetes.azure.com/v1alpha1"

    private static func apply(
        _ harness: ServerHarness, _ path: String, by manager: String, _ configuration: APIValue, _ query: String = ""
    ) async throws -> RawHTTPClient.Answer {
        try await harness.tcp.send(
            "PATCH", "\(path)?fieldManager=\(manager)\(query)", configuration, contentType: applyType)
    }

    private static func applied(spec: APIValue? = nil, labels: APIValue? = nil, status: APIValue? = nil) -> APIValue {
        var object = Samples.gateway("gw")
        object["spec"] = spec
        object["status"] = status
        object[path: "metadata", "labels"] = labels
        return object
    }

    private static func configMap(_ data: APIValue) -> APIValue {
        ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "map"], "data": data]
    }

    /// Manager, operation and subresource -> what it owns.
    private static func owners(_ answer: RawHTTPClient.Answer) -> [String: APIValue] {
        let entries = answer.json[path: "metadata", "managedFields"]?.arrayValue ?? []
        return Dictionary(
            entries.map { entry in
                let parts = ["manager", "operation", "subresource"].compactMap { entry[$0]?.stringValue }
                return (parts.joined(separator: " "), entry["fieldsV1"] ?? .null)
            }
        ) { first, _ in first }
    }

    @Test func aManagerOwnsWhatItStates() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let configuration = Self.applied(
                spec: ["gatewayNodepoolName": "p", "gatewayVmssProfile": ["publicIpPrefixSize": 31]],
                labels: ["x": "1"])
            let created = try await Self.apply(harness, Self.gateway, by: "one", configuration)
            #expect(created.status == 201, "\(created.text)")
            #expect(created.json[path: "spec", "defaultRoute"] == "staticEgressGateway")
            let entry = created.json[path: "metadata", "managedFields"]?.arrayValue?.first
            #expect(entry?["apiVersion"] == Self.version)
            #expect(entry?["fieldsType"] == "FieldsV1")
            #expect(entry?["time"] == created.json[path: "metadata", "creationTimestamp"])
            #expect(
                Self.owners(created) == [
                    "one Apply": [
                        "f:metadata": ["f:labels": ["f:x": [:]]],
                        "f:spec": [
                            "f:gatewayNodepoolName": [:], "f:gatewayVmssProfile": ["f:publicIpPrefixSize": [:]],
                        ],
                    ]
                ])
            let again = try await Self.apply(harness, Self.gateway, by: "one", configuration)
            #expect(again.status == 200)
            #expect(again.json == created.json)
        }
    }

    @Test func aConflictNamesManagersAndFieldsAndCanBeForced() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let first = Self.applied(spec: ["gatewayNodepoolName": "p", "excludeCidrs": ["10.0.0.0/8"]])
            _ = try await Self.apply(harness, Self.gateway, by: "one", first)
            let second = Self.applied(spec: ["gatewayNodepoolName": "q", "defaultRoute": "azureNetworking"])
            let refused = try await Self.apply(harness, Self.gateway, by: "two", second)
            #expect(refused.status == 409)
            #expect(refused.json["reason"] == "Conflict")
            let message = "Apply failed with 1 conflict: conflict with \"one\": .spec.gatewayNodepoolName"
            #expect(refused.json["message"]?.stringValue == message)
            #expect(
                refused.json[path: "details", "causes"] == [
                    [
                        "reason": "FieldManagerConflict", "message": "conflict with \"one\"",
                        "field": ".spec.gatewayNodepoolName",
                    ]
                ])
            // What both state alike has two owners.
            let shared = Self.applied(spec: ["gatewayNodepoolName": "p"])
            #expect(try await Self.apply(harness, Self.gateway, by: "three", shared).status == 200)

            let forced = try await Self.apply(harness, Self.gateway, by: "two", second, "&force=true")
            #expect(forced.json[path: "spec", "gatewayNodepoolName"] == "q")
            #expect(forced.json[path: "spec", "excludeCidrs"] == ["10.0.0.0/8"])
            #expect(
                Self.owners(forced) == [
                    "one Apply": ["f:spec": ["f:excludeCidrs": [:]]],
                    "two Apply": ["f:spec": ["f:defaultRoute": [:], "f:gatewayNodepoolName": [:]]],
                ])
            let both = Self.applied(spec: ["gatewayNodepoolName": "p", "defaultRoute": "staticEgressGateway"])
            let twice = try await Self.apply(harness, Self.gateway, by: "one", both)
            let list =
                "Apply failed with 2 conflicts: conflicts with \"two\":\n- .spec.defaultRoute\n"
                + "- .spec.gatewayNodepoolName"
            #expect(twice.json["message"]?.stringValue == list)
        }
    }

    @Test func whatIsNoLongerStatedGoes() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let profile: APIValue = ["vmssName": "set", "publicIpPrefixSize": 31]
            let whole = Self.applied(
                spec: ["defaultRoute": "azureNetworking", "gatewayVmssProfile": profile], labels: ["a": "1", "b": "2"])
            _ = try await Self.apply(harness, Self.gateway, by: "one", whole)
            let shared = Self.applied(spec: ["gatewayVmssProfile": ["vmssName": "set"]], labels: ["b": "2"])
            _ = try await Self.apply(harness, Self.gateway, by: "two", shared)
            let less = try await Self.apply(
                harness, Self.gateway, by: "one", Self.applied(spec: ["gatewayNodepoolName": "p"]))
            // A default takes the place of what has gone; what another manager states stays.
            #expect(
                less.json["spec"] == [
                    "defaultRoute": "staticEgressGateway", "gatewayNodepoolName": "p",
                    "gatewayVmssProfile": ["vmssName": "set"], "provisionPublicIps": true,
                ])
            #expect(less.json[path: "metadata", "labels"] == ["b": "2"])
        }
    }

    @Test(.after1_20("it leaves null where the last field of an object was, and then refuses the whole"))
    func anObjectGoesWithItsLastField() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            _ = try await Self.apply(
                harness, Self.gateway, by: "one", Self.applied(spec: ["gatewayNodepoolName": "p"]))
            let more = Self.applied(spec: ["gatewayVmssProfile": ["vmssName": "set"]], labels: ["b": "2"])
            _ = try await Self.apply(harness, Self.gateway, by: "two", more)
            let none = try await Self.apply(harness, Self.gateway, by: "two", Self.applied())
            #expect(none.status == 200, "\(none.text)")
            #expect(none.json[path: "metadata", "labels"] == nil)
            #expect(none.json[path: "spec", "gatewayVmssProfile"] == nil)
            #expect(Self.owners(none) == ["one Apply": ["f:spec": ["f:gatewayNodepoolName": [:]]]])
        }
    }

    @Test func otherWritesTakeOwnershipOfWhatTheyChange() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let configuration = Self.applied(spec: ["gatewayNodepoolName": "p", "defaultRoute": "azureNetworking"])
            _ = try await Self.apply(harness, Self.gateway, by: "one", configuration)
            let patched = try await harness.tcp.send(
                "PATCH", "\(Self.gateway)?fieldManager=editor",
                [
                    "metadata": ["annotations": ["z": "1"]],
                    "spec": ["gatewayNodepoolName": "r", "excludeCidrs": ["10.0.0.0/8"]],
                ], contentType: Self.mergePatch)
            #expect(
                Self.owners(patched) == [
                    "one Apply": ["f:spec": ["f:defaultRoute": [:]]],
                    "editor Update": [
                        "f:metadata": ["f:annotations": [".": [:], "f:z": [:]]],
                        "f:spec": ["f:excludeCidrs": [:], "f:gatewayNodepoolName": [:]],
                    ],
                ])
            let refused = try await Self.apply(harness, Self.gateway, by: "one", configuration)
            let conflict = "conflict with \"editor\" using egressgateway.kubernetes.azure.com/v1alpha1"
            #expect(
                refused.json["message"]?.stringValue
                    == "Apply failed with 1 conflict: \(conflict): .spec.gatewayNodepoolName")
            // A whole object without its owners keeps them.
            var body = patched.json
            body[path: "metadata", "managedFields"] = nil
            body[path: "spec", "excludeCidrs"] = nil
            let replaced = try await harness.tcp.send("PUT", "\(Self.gateway)?fieldManager=other", body)
            #expect(replaced.status == 200, "\(replaced.text)")
            #expect(Self.owners(replaced)["editor Update"]?[path: "f:spec"] == ["f:gatewayNodepoolName": [:]])
            #expect(Self.owners(replaced)["other Update"] == nil)
        }
    }

    @Test(.since(22, "owners of subresources")) func statusIsAppliedByItselfAndConditionsByType() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let path = "\(Self.gateway)/status"
            let ready: APIValue = ["type": "Ready", "status": "True"]
            let other: APIValue = ["type": "Other", "status": "False", "reason": "None"]
            let mine = Self.applied(
                spec: ["defaultRoute": "azureNetworking"],
                status: ["egressIpPrefix": "203.0.113.8/31", "conditions": [ready]])
            #expect(try await Self.apply(harness, path, by: "one", mine).status == 404)
            _ = try await harness.tcp.send(
                "POST", "\(ServerHarness.gateways)?fieldManager=maker", Samples.gateway("gw"))
            let first = try await Self.apply(harness, path, by: "one", mine)
            #expect(first.status == 200, "\(first.text)")
            #expect(first.json[path: "spec", "defaultRoute"] == "staticEgressGateway")
            #expect(first.json[path: "metadata", "generation"] == 1)
            let second = try await Self.apply(harness, path, by: "two", Self.applied(status: ["conditions": [other]]))
            #expect(second.json[path: "status", "conditions"] == [ready, other])
            let owned: APIValue = [
                "f:status": [
                    "f:conditions": [
                        #"k:{"type":"Other"}"#: [".": [:], "f:reason": [:], "f:status": [:], "f:type": [:]]
                    ]
                ]
            ]
            #expect(Self.owners(second)["two Apply status"] == owned)
            #expect(Self.owners(second)["maker Update"]?["f:status"] == nil)
            let taken = Self.applied(status: ["conditions": [["type": "Other", "status": "True"]]])
            let refused = try await Self.apply(harness, path, by: "one", taken)
            #expect(
                refused.json[path: "details", "causes"]?.arrayValue?.first?["field"]
                    == #".status.conditions[type="Other"].status"#)
            #expect(
                refused.json[path: "details", "causes"]?.arrayValue?.first?["message"]
                    == #"conflict with "two" with subresource "status""#)
            let emptied = try await Self.apply(harness, path, by: "one", Self.applied(status: [:]))
            #expect(emptied.json["status"] == ["conditions": [other]])
        }
    }

    @Test func builtInKindsMergeToo() async throws {
        try await ServerHarness.run { harness in
            let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map\ndata:\n  a: 'yes'\n  b: \"2\"\n"
            let created = try await harness.tcp.send(
                "PATCH", "\(Self.map)?fieldManager=one", bytes: Array(yaml.utf8), contentType: Self.applyType)
            #expect(created.status == 201, "\(created.text)")
            #expect(created.json["data"] == ["a": "yes", "b": "2"])
            let added = try await Self.apply(harness, Self.map, by: "two", Self.configMap(["c": "3", "b": "2"]))
            #expect(added.json["data"] == ["a": "yes", "b": "2", "c": "3"])
            let left = try await Self.apply(harness, Self.map, by: "one", Self.configMap(["a": "yes"]))
            #expect(left.json["data"] == ["a": "yes", "b": "2", "c": "3"])
            let gone = try await Self.apply(harness, Self.map, by: "two", Self.configMap(["c": "3"]))
            #expect(gone.json["data"] == ["a": "yes", "c": "3"])
        }
    }

    @Test(.after1_20("it appends to sets")) func aSetTakesTheOrderOfTheLastApply() async throws {
        try await ServerHarness.run { harness in
            func namespace(_ finalizers: APIValue?) -> APIValue {
                var object: APIValue = ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "team"]]
                object[path: "metadata", "finalizers"] = finalizers
                return object
            }
            let team = "/api/v1/namespaces/team"
            _ = try await Self.apply(harness, team, by: "one", namespace(["a.example/c"]))
            let ordered = try await Self.apply(harness, team, by: "two", namespace(["a.example/d", "a.example/c"]))
            #expect(ordered.json[path: "metadata", "finalizers"] == ["a.example/d", "a.example/c"])
            #expect(
                Self.owners(ordered)["two Apply"] == [
                    "f:metadata": ["f:finalizers": [#"v:"a.example/c""#: [:], #"v:"a.example/d""#: [:]]]
                ])
            let rest = try await Self.apply(harness, team, by: "two", namespace(nil))
            #expect(rest.json[path: "metadata", "finalizers"] == ["a.example/c"])
        }
    }

    @Test func containersMergeByNameAndPortsByNumberAndProtocol() async throws {
        try await ServerHarness.run { harness in
            func pod(_ containers: APIValue) -> APIValue {
                ["apiVersion": "v1", "kind": "Pod", "metadata": ["name": "p"], "spec": ["containers": containers]]
            }
            let path = "\(ServerHarness.pods)/p"
            let ports: APIValue = [["containerPort": 80, "protocol": "TCP"]]
            _ = try await Self.apply(
                harness, path, by: "one", pod([["name": "a", "image": "web:1", "ports": ports]]))
            let image = try await Self.apply(
                harness, path, by: "two", pod([["name": "a", "image": "web:2"]]), "&force=true")
            let container = image.json[path: "spec", "containers"]?.arrayValue?.first
            #expect(container?["image"] == "web:2")
            #expect(container?["ports"] == ports)
            let owned: APIValue = [
                "f:spec": [
                    "f:containers": [
                        #"k:{"name":"a"}"#: [
                            ".": [:], "f:name": [:],
                            "f:ports": [
                                #"k:{"containerPort":80,"protocol":"TCP"}"#: [
                                    ".": [:], "f:containerPort": [:], "f:protocol": [:],
                                ]
                            ],
                        ]
                    ]
                ]
            ]
            #expect(Self.owners(image)["one Apply"] == owned)
        }
    }

    @Test func dryRunsStoreNothing() async throws {
        try await ServerHarness.run { harness in
            let dry = try await Self.apply(harness, Self.map, by: "one", Self.configMap(["a": "1"]), "&dryRun=All")
            #expect(dry.status == 201)
            #expect(try await harness.tcp.send("GET", Self.map).status == 404)
            _ = try await Self.apply(harness, Self.map, by: "one", Self.configMap(["a": "1"]))
            let changed = try await Self.apply(
                harness, Self.map, by: "one", Self.configMap(["b": "1"]), "&dryRun=All")
            #expect(changed.json["data"] == ["b": "1"])
            #expect(try await harness.tcp.send("GET", Self.map).json["data"] == ["a": "1"])
        }
    }

    @Test func staleVersionsAndOtherNamesAreRefused() async throws {
        try await ServerHarness.run { harness in
            var configuration = Self.configMap(["a": "1"])
            let nameless = try await Self.apply(
                harness, Self.map, by: "one", ["apiVersion": "v1", "kind": "ConfigMap"])
            #expect(nameless.status == 400)
            let created = try await Self.apply(harness, Self.map, by: "one", configuration)
            configuration[path: "metadata", "resourceVersion"] = "1"
            configuration["data"] = ["a": "2"]
            let stale = try await Self.apply(harness, Self.map, by: "one", configuration)
            #expect(stale.status == 409)
            #expect(stale.json["message"]?.stringValue?.contains("has been modified") == true)
            configuration[path: "metadata", "resourceVersion"] = created.json[path: "metadata", "resourceVersion"]
            #expect(try await Self.apply(harness, Self.map, by: "one", configuration).status == 200)
        }
    }

    @Test func refusalsOfConfigurations() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let plain = Self.applied(spec: ["gatewayNodepoolName": "p"])
            let anonymous = try await harness.tcp.send("PATCH", Self.gateway, plain, contentType: Self.applyType)
            #expect(anonymous.status == 422)
            #expect(anonymous.json[path: "details", "causes"]?.arrayValue?.first?["field"] == "fieldManager")
            let long = try await Self.apply(harness, Self.gateway, by: String(repeating: "x", count: 129), plain)
            #expect(long.status == 422)
            let forced = try await harness.tcp.send(
                "PATCH", "\(Self.gateway)?force=true", [:], contentType: Self.mergePatch)
            #expect(forced.status == 422)
            var managed = plain
            managed[path: "metadata", "managedFields"] = [[:]]
            #expect(try await Self.apply(harness, Self.gateway, by: "one", managed).status == 400)
            let kindless = try await Self.apply(harness, Self.gateway, by: "one", ["metadata": ["name": "gw"]])
            #expect(kindless.status == 400)
            #expect(try await Self.apply(harness, Self.gateway, by: "one", "text").status == 400)
            let unknown = try await Self.apply(
                harness, Self.gateway, by: "one", Self.applied(spec: ["excludeCIDRs": ["x"]]))
            #expect(unknown.status == 500)
            #expect(
                unknown.json["message"]?.stringValue?.hasSuffix(".spec.excludeCIDRs: field not declared in schema")
                    == true)
            let wrong = try await Self.apply(
                harness, Self.gateway, by: "one", Self.applied(spec: ["excludeCidrs": "x"]))
            #expect(
                wrong.json["message"]?.stringValue?.hasSuffix(".spec.excludeCidrs: expected list, got &{x}") == true)
            let outside = Self.applied(spec: ["gatewayVmssProfile": ["publicIpPrefixSize": 40]])
            #expect(try await Self.apply(harness, Self.gateway, by: "one", outside).status == 422)
            #expect(try await harness.tcp.send("GET", Self.gateway).status == 404)
        }
    }

    @Test func ownersCanBeTakenAway() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            _ = try await Self.apply(harness, Self.gateway, by: "one", Self.applied(spec: ["gatewayNodepoolName": "p"]))
            let cleared = try await harness.tcp.send(
                "PATCH", Self.gateway, ["metadata": ["managedFields": [[:]]]], contentType: Self.mergePatch)
            #expect(cleared.json[path: "metadata", "managedFields"] == nil)
            let labelled = try await Self.apply(
                harness, Self.gateway, by: "two", Self.applied(labels: ["y": "1"]))
            #expect(Self.owners(labelled)["two Apply"] == ["f:metadata": ["f:labels": ["f:y": [:]]]])
            #expect(
                Self.owners(labelled)["before-first-apply Update"] == [
                    "f:spec": [
                        ".": [:], "f:defaultRoute": [:], "f:gatewayNodepoolName": [:], "f:provisionPublicIps": [:],
                    ]
                ])
        }
    }

    @Test(.enabled(if: Kubectl.path != nil, "kubectl is not installed")) func kubectlAppliesOnTheServer() async throws {
        try await ServerHarness.run { harness in
            try await harness.defineGateways()
            let kubectl = try Kubectl(harness)
            func manifest(_ pool: String) -> String {
                """
                apiVersion: egressgateway.kubernetes.azure.com/v1alpha1
                kind: StaticGatewayConfiguration
                metadata: {name: gw}
                spec: {gatewayNodepoolName: \(pool)}
                """
            }
            let first = try await kubectl.run(
                "apply", "--server-side", Kubectl.validation, "-f", "-", input: manifest("one"))
            #expect(first.output.contains("gw serverside-applied"), "\(first.errors)")
            let other = try await kubectl.run(
                "apply", "--server-side", Kubectl.validation, "--field-manager=other", "-f", "-",
                input: manifest("two"))
            #expect(other.status != 0)
            #expect(other.errors.contains("conflict with \"kubectl\""), "\(other.errors)")
            let forced = try await kubectl.run(
                "apply", "--server-side", Kubectl.validation, "--force-conflicts", "--field-manager=other", "-f", "-",
                input: manifest("two"))
            #expect(forced.status == 0, "\(forced.errors)")
            let stored = try await harness.tcp.send("GET", Self.gateway)
            #expect(stored.json[path: "spec", "gatewayNodepoolName"] == "two")
        }
    }
}
