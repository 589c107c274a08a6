import Foundation
import Testing

@testable import JSONModel

/// A schema, values that fit it and values that do not, as texts.
struct KeywordCase: Sendable, CustomTestStringConvertible {
    var schema: String
    var good: [String]
    var bad: [String]

    var testDescription: String { schema }
}

func json(_ text: String) throws -> JSONValue {
    try JSONValue(json: Data(text.utf8))
}

@Suite struct JSONSchemaKeywordTests {
    static let cases: [KeywordCase] = [
        .init(schema: #"{"type":"null"}"#, good: ["null"], bad: ["0", "false", #""""#]),
        .init(schema: #"{"type":"boolean"}"#, good: ["true", "false"], bad: ["0", "null", #""true""#]),
        .init(schema: #"{"type":"integer"}"#, good: ["1", "-1", "2.0", "1e300"], bad: ["1.5", #""1""#, "true"]),
        .init(schema: #"{"type":"number"}"#, good: ["1", "1.5"], bad: [#""1""#, "null"]),
        .init(schema: #"{"type":"string"}"#, good: [#""""#], bad: ["1", "[]"]),
        .init(schema: #"{"type":"array"}"#, good: ["[]", "[1]"], bad: ["{}", #""[]""#]),
        .init(schema: #"{"type":"object"}"#, good: ["{}"], bad: ["[]", "null"]),
        .init(schema: #"{"type":["string","null"]}"#, good: ["null", #""a""#], bad: ["1", "{}"]),
        .init(
            schema: #"{"enum":["a",2,null,[1]]}"#, good: [#""a""#, "2", "2.0", "null", "[1]"], bad: ["3", "[2]", "{}"]),
        .init(schema: #"{"const":{"a":1}}"#, good: [#"{"a":1}"#, #"{"a":1.0}"#], bad: [#"{"a":2}"#, "{}", "1"]),
        .init(schema: #"{"minimum":1,"maximum":3}"#, good: ["1", "3", "2.5", #""0""#], bad: ["0", "4", "3.01"]),
        .init(
            schema: #"{"exclusiveMinimum":1,"exclusiveMaximum":3}"#, good: ["2", "1.1"], bad: ["1", "3", "1.0"]),
        .init(
            schema: #"{"maximum":9007199254740993}"#, good: ["9007199254740993"], bad: ["9007199254740994"]),
        .init(
            schema: #"{"minLength":2,"maxLength":3}"#, good: [#""ab""#, #""äöü""#, "1"], bad: [#""a""#, #""abcd""#]),
        .init(schema: #"{"pattern":"^a+$"}"#, good: [#""aa""#, "1"], bad: [#""""#, #""ab""#]),
        .init(schema: #"{"pattern":"b"}"#, good: [#""abc""#], bad: [#""a""#]),
        .init(
            schema: #"{"properties":{"a":{"type":"integer"}},"required":["a","b"]}"#,
            good: [#"{"a":1,"b":null}"#, "1"], bad: [#"{"a":1}"#, #"{"a":"1","b":1}"#, "{}"]),
        .init(
            schema: #"{"properties":{"a":true},"additionalProperties":false}"#, good: ["{}", #"{"a":1}"#],
            bad: [#"{"b":1}"#, #"{"a":1,"b":1}"#]),
        .init(
            schema: #"{"properties":{"a":true},"additionalProperties":{"type":"string"}}"#,
            good: [#"{"a":1,"b":"x"}"#], bad: [#"{"b":1}"#]),
        .init(
            schema: #"{"minProperties":1,"maxProperties":2}"#, good: [#"{"a":1}"#, "[]"],
            bad: ["{}", #"{"a":1,"b":1,"c":1}"#]),
        .init(schema: #"{"items":{"type":"integer"}}"#, good: ["[]", "[1,2]", "{}"], bad: [#"[1,"2"]"#]),
        .init(schema: #"{"items":false}"#, good: ["[]"], bad: ["[1]"]),
        .init(schema: #"{"minItems":1,"maxItems":2}"#, good: ["[1]", "[1,2]"], bad: ["[]", "[1,2,3]"]),
        .init(
            schema: #"{"uniqueItems":true}"#, good: ["[1,2]", #"[{"a":1},{"a":2}]"#, #"[1,"1",true]"#],
            bad: ["[1,2,1]", "[1,1.0]", #"[{"a":[1]},{"a":[1.0]}]"#]),
        .init(schema: #"{"uniqueItems":false}"#, good: ["[1,1]"], bad: []),
        .init(schema: #"{"allOf":[{"minimum":1},{"maximum":3}]}"#, good: ["2"], bad: ["0", "4"]),
        .init(schema: #"{"anyOf":[{"type":"string"},{"minimum":3}]}"#, good: ["3", #""a""#], bad: ["2"]),
        .init(
            schema: #"{"oneOf":[{"required":["a"]},{"required":["b"]}]}"#, good: [#"{"a":1}"#, #"{"b":1}"#],
            bad: ["{}", #"{"a":1,"b":1}"#]),
        .init(schema: #"{"not":{"type":"string"}}"#, good: ["1"], bad: [#""a""#]),
        .init(schema: #"{"not":{"not":{"type":"string"}}}"#, good: [#""a""#], bad: ["1"]),
        .init(
            schema: ##"{"$ref":"#/$defs/a~1b","maximum":5,"$defs":{"a/b":{"minimum":2}}}"##, good: ["2", "5"],
            bad: ["1", "6"]),
        .init(
            schema:
                ##"{"$ref":"#/$defs/t","$defs":{"t":{"type":"object","properties":{"next":{"$ref":"#/$defs/t"}}}}}"##,
            good: [#"{"next":{"next":{}}}"#], bad: [#"{"next":{"next":1}}"#]),
        .init(schema: "true", good: ["1", "{}"], bad: []),
        .init(schema: "false", good: [], bad: ["1", "null"]),
        .init(schema: #"{"default":1,"x-order":1,"$comment":"c","examples":[1],"title":"t"}"#, good: ["1"], bad: []),
        .init(
            schema: #"{"format":"ipv4"}"#, good: [#""10.0.0.4""#, "1"],
            bad: [#""10.0.0""#, #""10.0.0.256""#, #""10.0.0.04""#, #""10.0.0.4/32""#, #""a.b.c.d""#]),
        .init(
            schema: #"{"format":"ipv6"}"#,
            good: [#""::""#, #""fe80::1""#, #""1:2:3:4:5:6:7:8""#, #""::ffff:10.0.0.1""#],
            bad: [
                #"":""#, #""1:2:3:4:5:6:7""#, #""1::2::3""#, #"":::""#, #""1:2:3:4:5:6:7:8::""#, #""g::""#,
                #""fe80::1%eth0""#,
            ]),
        .init(
            schema: #"{"format":"cidr"}"#, good: [#""10.0.0.0/8""#, #""fe80::2/64""#, #""::/0""#],
            bad: [#""10.0.0.0""#, #""10.0.0.0/33""#, #""::/129""#, #""10.0.0.0/08""#, #""/8""#]),
        .init(
            schema: #"{"format":"byte"}"#, good: [#""""#, #""QUJD""#, #""QQ==""#],
            bad: [#""QQ""#, #""Q===""#, #""Q=Q=""#, #""QU-_""#]),
        .init(schema: #"{"format":"uri"}"#, good: [#""not a uri""#], bad: []),
    ]

    @Test(arguments: cases)
    func keywordHoldsGoodAndRefusesBad(_ keyword: KeywordCase) throws {
        let schema = try JSONSchema(compiling: json(keyword.schema))
        for text in keyword.good { #expect(schema.mistakes(in: try json(text)).isEmpty, "\(text)") }
        for text in keyword.bad { #expect(!schema.mistakes(in: try json(text)).isEmpty, "\(text)") }
    }

    @Test(arguments: [
        (#"{"minLenght":1}"#, "/minLenght"), (#"{"properties":{"a":{"if":true}}}"#, "/properties/a/if"),
        (#"{"patternProperties":{}}"#, "/patternProperties"), (#"{"prefixItems":[true]}"#, "/prefixItems"),
        (#"{"dependentRequired":{}}"#, "/dependentRequired"), (#"{"multipleOf":2}"#, "/multipleOf"),
        (#"{"type":"int"}"#, "/type"), (#"{"type":[]}"#, "/type"), (#"{"enum":[]}"#, "/enum"),
        (#"{"minItems":-1}"#, "/minItems"), (#"{"maximum":"1"}"#, "/maximum"), (#"{"required":[1]}"#, "/required"),
        (#"{"items":[true]}"#, "/items"), (#"{"anyOf":[]}"#, "/anyOf"), (#"{"uniqueItems":1}"#, "/uniqueItems"),
        (##"{"$ref":"#/$defs/a"}"##, "/$ref"), (#"{"$ref":"https://example.com/a"}"#, "/$ref"),
        (#"{"$schema":"http://json-schema.org/draft-07/schema#"}"#, "/$schema"),
        (#"{"properties":{"a":{"$defs":{}}}}"#, "/properties/a/$defs"), (#"{"pattern":"(a"}"#, "/pattern"),
        (##"{"$defs":{"a":{"$ref":"#/$defs/a"}}}"##, "/$defs/a"),
        (##"{"$defs":{"a":{"anyOf":[{"not":{"$ref":"#/$defs/a"}}]}}}"##, "/$defs/a"), ("1", ""),
    ])
    func mistakesOfASchemaAreNamed(_ text: String, pointer: String) throws {
        let value = try json(text)
        do throws(JSONSchemaError) {
            _ = try JSONSchema(compiling: value)
            Issue.record("must throw")
        } catch {
            #expect(error.pointer == pointer, "\(error)")
        }
    }

    @Test func aSchemaInsideADocumentIsFoundByPointer() throws {
        let document = try json(##"{"$defs":{"a":{"type":"string"}},"verbs":{"x/y":{"$ref":"#/$defs/a"}}}"##)
        let schema = try JSONSchema(compiling: document, at: "/verbs/x~1y")
        #expect(schema.mistakes(in: "a").isEmpty)
        #expect(schema.mistakes(in: 1).count == 1)
        #expect(throws: JSONSchemaError.self) { try JSONSchema(compiling: document, at: "/verbs/z") }
    }
}

@Suite struct JSONSchemaMessageTests {
    private func mistakes(_ schema: String, _ value: String, limit: Int = 20) throws -> [String] {
        try JSONSchema(compiling: json(schema)).mistakes(in: json(value), limit: limit).map(\.description)
    }

    @Test func aMistakeNamesPathValueAndWhatIsAllowed() throws {
        let schema = #"""
            {"properties":{"items":{"items":{"properties":{"port":{"type":"integer","maximum":65535},
            "mode":{"enum":["a","b"]},"a/b":{"minLength":2}},"required":["mode"],"additionalProperties":false}}}}
            """#
        #expect(
            try mistakes(schema, #"{"items":[{"port":"80","a/b":"x"},{"port":70000,"mode":"c","more":1}]}"#) == [
                #"/items/0/a~1b: is "x"; allowed: at least 2 characters, not 1"#,
                #"/items/0/mode: is missing; must be there"#,
                #"/items/0/port: is "80"; allowed: an integer"#,
                #"/items/1/mode: is "c"; allowed: "a", "b""#,
                #"/items/1/port: is 70000; allowed: at most 65535"#,
                #"/items/1/more: is not a member that is known here; allowed: a/b, mode, port"#,
            ])
    }

    @Test func alternativesAreNamedByTitleOrReason() throws {
        let schema = #"{"oneOf":[{"title":"by name","required":["name"]},{"required":["id"]}]}"#
        #expect(
            try mistakes(schema, "{}") == [
                "is an object; allowed: by name; or one without: /id: is missing; must be there"
            ])
        #expect(
            try mistakes(schema, #"{"name":1,"id":1}"#).first?.hasPrefix("fits by name and alternative") == true)
    }

    /// Wherever a secret's mistake is found: by its own schema, by another one for the same place, or by one around it.
    @Test(arguments: [
        #"{"properties":{"key":{"writeOnly":true,"maxLength":3}}}"#,
        #"{"properties":{"key":{"writeOnly":true}},"allOf":[{"properties":{"key":{"pattern":"^x"}}}]}"#,
        #"{"properties":{"key":{"writeOnly":true,"anyOf":[{"type":"integer"},{"enum":["hunter2"]}]}}}"#,
        ##"{"properties":{"key":{"$ref":"#/$defs/s"}},"$defs":{"s":{"writeOnly":true,"format":"ipv4"}}}"##,
        #"{"additionalProperties":{"writeOnly":true,"type":"integer"}}"#,
        #"{"properties":{"key":{"writeOnly":true,"not":{"type":"string"}}}}"#,
    ])
    func noMessageHoldsASecret(schema: String) throws {
        let found = try mistakes(schema, #"{"key":"swordfish-77"}"#)
        #expect(found.count == 1)
        for text in found { #expect(!text.contains("swordfish") && text.contains("secret")) }
    }

    @Test func valuesAreCutAndKeptOnOneLine() throws {
        let value = "a\n\u{202E}" + String(repeating: "ä", count: 500)
        let found = try JSONSchema(compiling: json(#"{"maxLength":1}"#)).mistakes(in: .string(value))
        let text = try #require(found.first?.message)
        #expect(!text.contains("\n") && !text.contains("\u{202E}") && text.unicodeScalars.count < 200)
        #expect(text.contains(#"\u{a}"#))
    }

    @Test func theListEndsAtTheLimit() throws {
        let value = JSONValue.array([JSONValue](repeating: "x", count: 1000))
        let schema = try JSONSchema(compiling: json(#"{"items":{"type":"integer"}}"#))
        #expect(schema.mistakes(in: value).count == 20)
        #expect(schema.mistakes(in: value, limit: 3).count == 3)
        #expect(schema.mistakes(in: value, limit: 0).count == 1)
    }
}

@Suite struct JSONSchemaBoundTests {
    @Test func deepValuesAreRefusedWithoutOverflow() throws {
        var value: JSONValue = [:]
        for _ in 0..<400 { value = .object(["a": value]) }
        let schema = try JSONSchema(
            compiling: json(##"{"$ref":"#/$defs/t","$defs":{"t":{"properties":{"a":{"$ref":"#/$defs/t"}}}}}"##))
        let found = schema.mistakes(in: value)
        #expect(found.count == 1)
        #expect(found.first?.message.hasPrefix("is nested too deeply") == true)
    }

    @Test func deepSchemasAreRefused() throws {
        var value: JSONValue = true
        for _ in 0..<400 { value = .object(["items": value]) }
        #expect(throws: JSONSchemaError.self) { try JSONSchema(compiling: value) }
    }

    /// Thirty levels of two alternatives each would be 2^30 visits.
    @Test(.timeLimit(.minutes(1)))
    func alternativesOfAlternativesEndWithAMistake() throws {
        var definitions: [String: JSONValue] = ["d30": false]
        for level in 0..<30 {
            let next: JSONValue = ["$ref": .string("#/$defs/d\(level + 1)")]
            definitions["d\(level)"] = ["anyOf": [next, next]]
        }
        for schema: JSONValue in [["$ref": "#/$defs/d0"], ["not": ["$ref": "#/$defs/d0"]]] {
            var document = schema
            document["$defs"] = .object(definitions)
            let found = try JSONSchema(compiling: document).mistakes(in: 1)
            #expect(found.map(\.message) == ["takes too many steps to be checked"])
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func patternsTakeTimeLinearInTheText() throws {
        for pattern in ["^(a+)+$", "^(a|a)*$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"] {
            let schema = try JSONSchema(compiling: ["pattern": .string(pattern)])
            let text = String(repeating: "a", count: 20_000) + "!"
            #expect(schema.mistakes(in: .string(text)).count == 1, "\(pattern)")
        }
    }
}
