import FoundationEssentials
import JSONModel
import Testing

@Suite struct JSONValueTests {
    private func read(_ text: String) throws -> JSONValue { try JSONValue(json: Data(text.utf8)) }

    private func written(_ value: JSONValue) throws -> String { String(decoding: try value.json(), as: UTF8.self) }

    @Test func everyKindIsReadAsItselfAndWrittenSorted() throws {
        let text = #"{"a":null,"b":[1,2.5,true,"x",{}],"path":"/a/b","é":"\n\"😀"}"#
        let value = try read(text)
        #expect(value == ["a": .null, "b": [1, .number(2.5), true, "x", [:]], "path": "/a/b", "é": "\n\"😀"])
        #expect(try written(value) == text)
        #expect(try written(["b": 1, "a": 2]) == #"{"a":2,"b":1}"#)
    }

    @Test func wholeNumbersKeepAllTheirDigits() throws {
        let text = "[-9223372036854775808,9007199254740993,9223372036854775807]"
        let value = try read(text)
        #expect(value == [.integer(.min), .integer(9_007_199_254_740_993), .integer(.max)])
        #expect(try written(value) == text)
        #expect(try read("9223372036854775808") == .number(0x1p63))
    }

    @Test func wordsAndDigitsInQuotesStayText() throws {
        #expect(try read(#"["true","1","null"]"#) == ["true", "1", "null"])
    }

    @Test(arguments: ["", "{", "{} {}", "[1 2]", "nul", #"{"a"}"#, "[1e999]"])
    func whatIsNotOneValueIsRefused(text: String) {
        #expect(throws: DecodingError.self) { try read(text) }
    }

    @Test func infinityCannotBeWritten() {
        #expect(throws: EncodingError.self) { try JSONValue.number(.infinity).json() }
    }

    @Test func aPathReadsThroughObjects() throws {
        let value: JSONValue = ["sku": ["name": "Standard", "tier": .null], "tags": ["a.b": "c"]]
        #expect(value["sku.name"] == "Standard")
        #expect(value["sku.tier"] == .some(.null))
        #expect(value["sku.size"] == nil)
        #expect(value["sku.name.length"] == nil)
        #expect(value["tags.a.b"] == nil)
        #expect(value["tags"]?[member: "a.b"] == "c")
        #expect(JSONValue.array([value])["sku"] == nil)
        #expect(JSONValue.array([value])[member: "sku"] == nil)
    }

    @Test func aPathWritesAndRemoves() {
        var value: JSONValue = ["name": "x", "sku": ["name": "Basic", "tier": "Regional"]]
        value["sku.name"] = "Standard"
        value["properties.probe.port"] = 80
        value["name.first"] = true
        #expect(
            value == [
                "name": ["first": true], "sku": ["name": "Standard", "tier": "Regional"],
                "properties": ["probe": ["port": 80]],
            ])
        value["sku.tier"] = nil
        value["name"] = nil
        value["properties.probe.port"] = .null
        #expect(value == ["sku": ["name": "Standard"], "properties": ["probe": ["port": .null]]])
    }

    @Test func viewsAnswerOnlyForTheirKind() {
        let values: [JSONValue] = [.null, true, 7, .number(7.5), "seven", [7], ["seven": 7]]
        #expect(values.map(\.bool) == [nil, true, nil, nil, nil, nil, nil])
        #expect(values.map(\.int) == [nil, nil, 7, nil, nil, nil, nil])
        #expect(values.map(\.text) == [nil, nil, nil, nil, "seven", nil, nil])
        #expect(values.map(\.elements) == [[], [], [], [], [], [7], []])
        #expect(values.map(\.members) == [nil, nil, nil, nil, nil, nil, ["seven": 7]])
        #expect(
            values.map(\.kind) == ["null", "a boolean", "a number", "a number", "a string", "an array", "an object"])
    }

    @Test func anEncodableBecomesItsJSON() throws {
        struct Lease: Encodable {
            var holder: String
            var seconds: Int?
            var key: Data
        }
        let lease = Lease(holder: "a/b", seconds: nil, key: Data([1, 2, 3]))
        #expect(try JSONValue(encoding: lease) == ["holder": "a/b", "key": "AQID"])
        #expect(try JSONValue(encoding: ["x"]) == ["x"])
    }

    @Test func theLastOfTwoLiteralMembersWins() {
        #expect((["a": 1, "a": 2] as JSONValue) == ["a": 2])
    }
}
