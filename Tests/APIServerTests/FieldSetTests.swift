import Foundation
import Testing

@testable import Lab

@Suite("Field sets")
struct FieldSetTests {
    private static let conditions = FieldShape.object(
        ["conditions": .list(keys: ["type"], element: .object(["type": .scalar("string")], others: nil))], others: nil)

    @Test func fieldsV1GoesThereAndBack() throws {
        let value: APIValue = [
            "f:spec": [".": [:], "f:a": [:]], "f:list": [#"k:{"type":"x"}"#: [".": [:], "f:b": [:]], #"v:"q""#: [:]],
        ]
        let set = try #require(FieldSet(fieldsV1: value))
        #expect(set.fieldsV1 == value)
        #expect(
            set.paths == [#".list[="q"]"#, #".list[type="x"]"#, #".list[type="x"].b"#, ".spec", ".spec.a"])
    }

    @Test(arguments: [
        APIValue.string("x"), ["a": [:]], ["f:a": 1], ["i:0": [:]], ["k:nonsense": [:]], ["f:a": ["x": [:]]],
    ])
    func refusesWhatIsNoFieldsV1(_ value: APIValue) { #expect(FieldSet(fieldsV1: value) == nil) }

    @Test func setsAreCombinedFieldByField() throws {
        let left = try #require(FieldSet(fieldsV1: ["f:a": ["f:b": [:], "f:c": [:]], "f:d": [:]]))
        let right = try #require(FieldSet(fieldsV1: ["f:a": ["f:b": [:]], "f:d": ["f:e": [:]]]))
        #expect(left.intersection(right).fieldsV1 == ["f:a": ["f:b": [:]]])
        #expect(left.subtracting(right).fieldsV1 == ["f:a": ["f:c": [:]], "f:d": [:]])
        #expect(left.union(right).fieldsV1 == ["f:a": ["f:b": [:], "f:c": [:]], "f:d": [".": [:], "f:e": [:]]])
    }

    @Test(arguments: [
        (["a", "b"], ["c"], ["a", "b", "c"]), (["a", "b"], ["b", "a"], ["b", "a"]), (["c"], ["d", "c"], ["d", "c"]),
        (["a", "x"], ["b", "a"], ["b", "a", "x"]), ([], ["a"], ["a"]), (["a"], [], ["a"]),
    ])
    func elementsOfListsKeepAnOrder(_ live: [String], _ stated: [String], _ expected: [String]) {
        func list(_ types: [String]) -> APIValue {
            ["conditions": .array(types.map { ["type": .string($0)] })]
        }
        #expect(FieldMerge.merge(list(stated), into: list(live), Self.conditions) == list(expected))
    }

    @Test func manyUpdatersAreGathered() {
        var managed = ManagedFields()
        for index in 10..<25 {
            let manager = FieldManager(
                shape: .any, apiVersion: "v1", hasStatusSubresource: false, subresource: "", name: "m\(index)",
                time: "2026-01-01T00:00:\(index)Z")
            let value: APIValue = .object(["a\(index)": 1])
            managed = manager.update(from: [:], to: value, managed)
        }
        #expect(managed.entries.count == ManagedFields.maximumUpdaters)
        #expect(managed.allFields.members.count == 15)
        let gathered = managed.entries.first { $0.key.name == "ancient-changes" }
        #expect(gathered?.value.fields.members.count == 6)
    }
}
