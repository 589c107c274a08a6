import Foundation
import Testing

@testable import Lab

@Suite("JSON values")
struct JSONValueTests {
    @Test func integersStayIntegersAndTextSurvives() throws {
        let text = #"{"a":[1,-9223372036854775808,2.5,true,null],"s":"é\n\"\u0001😀","z":{}}"#
        let value = try APIValueParser.parse(Array(text.utf8))
        #expect(value["a"] == [1, .integer(.min), .number(2.5), true, .null])
        #expect(value["s"]?.stringValue == "é\n\"\u{1}😀")
        #expect(try APIValueParser.parse(value.encoded()) == value)
        #expect(value.text.contains("[1,-9223372036854775808,2.5,true,null]"))
        #expect(try APIValueParser.parse(Array(#""\ud83d\ude00""#.utf8)) == "😀")
    }

    @Test(arguments: [
        "", "{", "{\"a\":}", "[1,]", "nul", "{\"a\":1} x", "\"\u{1}\"", "\"\\ud800\"", "-", "1e999", "{\"a\" 1}",
    ])
    func refusesWhatIsNoJSON(_ text: String) {
        #expect(throws: APIValueParser.Failure.self) { try APIValueParser.parse(Array(text.utf8)) }
    }

    @Test func boundsTheDepthAndReportsDuplicates() throws {
        let deep = String(repeating: "[", count: 129) + String(repeating: "]", count: 129)
        #expect(throws: APIValueParser.Failure.self) { try APIValueParser.parse(Array(deep.utf8)) }
        let twice = try APIValueParser.parseReportingDuplicates(Array(#"{"spec":{"a":1,"a":2}}"#.utf8))
        #expect(twice.duplicates == ["spec.a"])
        #expect(twice.value[path: "spec", "a"] == 2)
    }
}

@Suite("Selectors")
struct SelectorTests {
    @Test(arguments: [
        ("", true), ("app=web", true), ("app==web", true), ("app!=web", false), ("tier!=x", true),
        ("app in (web, db)", true), ("app notin (web)", false), ("app", true), ("!app", false), ("!tier", true),
        ("app=web,tier", false), ("a.b/c=1", true), ("tier notin (x)", true),
    ])
    func labels(_ text: String, _ expected: Bool) throws {
        #expect(try APILabelSelector.parse(text).matches(["app": "web", "a.b/c": "1"]) == expected)
    }

    @Test(arguments: ["app in web", "app in (", "=x", "a=b=c", "app like (x)", "-a=b"])
    func refusesBadLabelSelectors(_ text: String) {
        #expect(throws: APIStatusError.self) { try APILabelSelector.parse(text) }
    }

    @Test func fields() throws {
        let selector = try APIFieldSelector.parse(
            "spec.nodeName=n1,status.phase!=Failed", supported: PodBehaviour().supportedFields)
        #expect(selector.matches(["spec.nodeName": "n1", "status.phase": "Running"]))
        #expect(!selector.matches(["spec.nodeName": "n1", "status.phase": "Failed"]))
        #expect(!selector.matches(["status.phase": "Running"]))
        let error = #expect(throws: APIStatusError.self) {
            try APIFieldSelector.parse("spec.foo=1", supported: PodBehaviour().supportedFields)
        }
        #expect(error?.code == 400)
        #expect(error?.message.contains("spec.foo") == true)
    }
}

@Suite("Patches")
struct PatchTests {
    @Test func mergePatchFollowsTheRFC() {
        let patch: APIValue = ["a": ["b": .null, "c": ["d": .null, "e": 1]], "list": [2]]
        let patched = JSONMergePatch.apply(patch, to: ["a": ["b": 1, "keep": true], "list": [1, 1]])
        #expect(patched == ["a": ["keep": true, "c": ["e": 1]], "list": [2]])
    }

    @Test func jsonPatchOperations() throws {
        let patched = try JSONPatch.apply(
            [
                ["op": "test", "path": "/a/0", "value": 1], ["op": "add", "path": "/a/1", "value": 9],
                ["op": "add", "path": "/a/-", "value": 10], ["op": "replace", "path": "/m/x~1y", "value": "new"],
                ["op": "move", "from": "/m/gone", "path": "/moved"],
                ["op": "copy", "from": "/moved", "path": "/copied"],
                ["op": "remove", "path": "/a/0"],
            ], to: ["a": [1, 2], "m": ["x/y": "old", "gone": 5]])
        #expect(patched == ["a": [9, 2, 10], "m": ["x/y": "new"], "moved": 5, "copied": 5])
    }

    @Test(arguments: [
        #"[{"op":"test","path":"/a","value":2}]"#, #"[{"op":"remove","path":"/none"}]"#, #"[{"op":"add","path":"a"}]"#,
        #"[{"op":"replace","path":"/none","value":1}]"#, #"{"op":"add"}"#, #"[{"op":"jump","path":"/a"}]"#,
        #"[{"op":"add","path":"/l/7","value":1}]"#,
    ])
    func jsonPatchRefusals(_ text: String) throws {
        let patch = try APIValueParser.parse(Array(text.utf8))
        #expect(throws: APIStatusError.self) { try JSONPatch.apply(patch, to: ["a": 1, "l": [1]]) }
    }

    @Test func strategicMergeByKeyWithDirectives() throws {
        let pod: APIValue = [
            "metadata": ["finalizers": ["a", "b"]],
            "spec": [
                "containers": [
                    [
                        "name": "one", "image": "1",
                        "env": [["name": "A", "value": "1"], ["name": "B", "value": "2"]],
                    ],
                    ["name": "two", "image": "2"],
                ], "tolerations": [["key": "x"]], "volumes": [["name": "v", "emptyDir": [:]]],
            ],
        ]
        let patch: APIValue = [
            "metadata": ["finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]],
            "spec": [
                "$setElementOrder/containers": [["name": "two"], ["name": "one"]],
                "containers": [
                    ["name": "one", "env": [["name": "A", "value": "new"], ["$patch": "delete", "name": "B"]]]
                ], "tolerations": [["key": "y"]],
                "volumes": [["name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": ["path": "/x"]]],
            ],
        ]
        let patched = try StrategicMergePatch.apply(patch, to: pod, schema: .pod)
        #expect(patched[path: "metadata", "finalizers"] == ["b", "c"])
        #expect(
            patched[path: "spec", "containers"] == [
                ["name": "two", "image": "2"],
                ["name": "one", "image": "1", "env": [["name": "A", "value": "new"]]],
            ])
        #expect(patched[path: "spec", "tolerations"] == [["key": "y"]])
        #expect(patched[path: "spec", "volumes"] == [["name": "v", "hostPath": ["path": "/x"]]])
    }
}

@Suite("Structural schemas")
struct SchemaTests {
    private let schema = StructuralSchema.parse(Samples.schema, path: "schema").schema

    @Test func prunesAndDefaults() {
        var object = Samples.gateway("a", spec: ["excludeCIDRs": ["x"], "gatewayVmssProfile": ["bogus": 1]])
        #expect(schema.prune(&object) == ["spec.excludeCIDRs", "spec.gatewayVmssProfile.bogus"])
        schema.applyDefaults(&object)
        #expect(
            object["spec"] == [
                "gatewayVmssProfile": [:], "defaultRoute": "staticEgressGateway", "provisionPublicIps": true,
            ])
        #expect(schema.validate(object).isEmpty)
    }

    private static let violations: [(APIValue, String, String)] = [
        (["provisionPublicIps": "yes"], "spec.provisionPublicIps", "FieldValueTypeInvalid"),
        (["provisionPublicIps": true, "defaultRoute": "moon"], "spec.defaultRoute", "FieldValueNotSupported"),
        ([:], "spec.provisionPublicIps", "FieldValueRequired"),
        (
            ["provisionPublicIps": true, "gatewayVmssProfile": ["publicIpPrefixSize": 32]],
            "spec.gatewayVmssProfile.publicIpPrefixSize", "FieldValueInvalid"
        ),
        (
            ["provisionPublicIps": true, "gatewayVmssProfile": ["publicIpPrefixSize": -1]],
            "spec.gatewayVmssProfile.publicIpPrefixSize", "FieldValueInvalid"
        ),
        (["provisionPublicIps": true, "excludeCidrs": [1]], "spec.excludeCidrs[0]", "FieldValueTypeInvalid"),
    ]

    @Test(arguments: violations)
    func namesTheFieldAndWhatIsAllowed(_ spec: APIValue, _ field: String, _ reason: String) {
        let causes = schema.validate(Samples.gateway("a", spec: spec))
        #expect(causes.map(\.field) == [field])
        #expect(causes.map(\.reason) == [reason])
    }

    @Test func refusesSchemasItCannotServe() {
        let issues = StructuralSchema.parse(
            ["type": "object", "properties": ["a": ["type": "text"], "b": ["type": "string", "pattern": "("]]],
            path: "s"
        ).issues
        #expect(Set(issues.causes.map(\.field)) == ["s.properties[a].type", "s.properties[b].pattern"])
    }

    @Test func aDefinitionWithTwoServedVersionsIsRefused() {
        var definition = Samples.definition
        let version = definition[path: "spec", "versions"]?.arrayValue?.first ?? [:]
        var second = version
        second["name"] = "v1"
        second["storage"] = false
        definition[path: "spec", "versions"] = [version, second]
        #expect(CustomResourceDefinition.parse(definition).causes.map(\.field) == ["spec.versions"])
    }
}

@Suite("Store state")
struct StoreStateTests {
    private static let kind = GroupResource(group: "", resource: "configmaps")

    private func object(_ name: String, _ revision: Int64) -> APIStoredObject {
        var value = Samples.configMap(name)
        value[path: "metadata", "uid"] = .string("uid-\(name)")
        value[path: "metadata", "resourceVersion"] = .string(String(revision))
        return APIStoredObject(
            key: APIObjectKey(kind: Self.kind, namespace: "d", name: name), value: value, revision: revision,
            extraFields: [:])
    }

    @Test func historyIsBoundedAndForgetsInOrder() {
        var history = APIWatchHistory(capacity: 3, floor: 10)
        for revision in Int64(11)...15 {
            history.append(APIStoreChange(kind: .added, object: object("o\(revision)", revision)))
        }
        #expect(history.count == 3)
        #expect(history.changes(after: 11) == nil)
        #expect(history.changes(after: 12)?.map(\.revision) == [13, 14, 15])
        #expect(history.changes(after: 15)?.isEmpty == true)
    }

    @Test func aListAtAnOldRevisionIsExact() {
        var state = APIStoreState(revision: 1, objects: [], historyCapacity: 100)
        let (a, b, b2) = (object("a", 2), object("b", 3), object("b", 4))
        state.apply([APIStoreChange(kind: .added, object: a)])
        state.apply([APIStoreChange(kind: .added, object: b)])
        state.apply([APIStoreChange(kind: .modified, object: b2, previous: b)])
        state.apply([APIStoreChange(kind: .deleted, object: object("a", 5), previous: a)])
        #expect(state.list(Self.kind, namespace: nil).map(\.key.name) == ["b"])
        #expect(
            state.list(Self.kind, namespace: "d", at: 3)?.map { "\($0.key.name)@\($0.revision)" } == ["a@2", "b@3"])
        #expect(state.list(Self.kind, namespace: nil, at: 0) == nil)
        #expect(state.keysByUID["uid-a"] == nil)
    }
}

@Suite("Tables")
struct TableTests {
    @Test func pathExpressions() throws {
        let object: APIValue = [
            "status": [
                "conditions": [["type": "Ready", "status": "True"], ["type": "Other", "status": "False"]],
                "nodes": [["name": "a"], ["name": "b"]], "x": ["a.b/c": 7],
            ]
        ]
        func values(_ path: String) throws -> [APIValue] { try #require(APIPathExpression(path)).values(in: object) }
        #expect(try values(#".status.conditions[?(@.type=="Ready")].status"#) == ["True"])
        #expect(try values(".status.nodes[*].name") == ["a", "b"])
        #expect(try values("{.status.nodes[1].name}") == ["b"])
        #expect(try values(".status.x['a.b/c']") == [7])
        #expect(try values(".status.none").isEmpty)
        #expect(APIPathExpression("status") == nil)
    }

    @Test(arguments: [
        (0, "0s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (3600, "60m"), (4 * 3600 + 60, "4h1m"),
        (36 * 3600, "36h"),
        (3 * 86400 + 7200, "3d2h"), (100 * 86400, "100d"), (-5, "<invalid>"),
    ])
    func durationsReadAsKubectlPrintsThem(_ seconds: Int, _ expected: String) {
        #expect(APITime.humanDuration(seconds: seconds) == expected)
    }

    @Test func base64() {
        for text in ["", "f", "fo", "foo", "foob", "fooba", "foobar"] {
            let encoded = Base64Text.encode(Array(text.utf8))
            #expect(encoded == Data(text.utf8).base64EncodedString())
            #expect(Base64Text.decodedCount(encoded) == text.utf8.count)
            #expect(Base64Text.firstIllegalByte(encoded) == nil)
        }
        for (text, position) in [("a*==", 1), ("%%%", 0), ("abc", 3), ("ab=c", 2)] {
            #expect(Base64Text.firstIllegalByte(text) == position)
        }
    }
}
