import FoundationEssentials
import Testing

@testable import JSONModel

/// The plain reader against `JSONDecoder`, which it takes the place of.
@Suite struct PlainJSONValueTests {
    private static func plain(_ text: String) -> JSONValue? { plain(Array(text.utf8)) }

    private static func plain(_ bytes: [UInt8]) -> JSONValue? {
        bytes.withUnsafeBufferPointer { JSONValue.plain($0) }
    }

    @Test(arguments: [
        "null", "true", "false", "0", "-1", "999999999999999999", "\"\"", "[]", "{}", " \r\n\t[ 1 , 2 ]\n",
        ##"{"etag":"W/\"0815\"","a/b":"c\/d","tab":"\t\b\f\n\r","back":"\\"}"##,
        ##"{"u":"\u00e9\u20AC","pair":"\ud83d\ude00!","null":"\u0000","mixed":"€\u0041"}"##,
        ##"{"\"quoted\"":[{"deep":[[["x"]]]},null,false]}"##,
        ##"{"properties.dotted":{"properties":{"primary":true,"port":6000}}}"##,
    ])
    func readsAsJSONDecoderDoes(text: String) throws {
        let value = try #require(Self.plain(text))
        #expect(value == (try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))))
        #expect(try JSONValue(json: Data(text.utf8)) == value)
    }

    @Test(arguments: [
        "", "{", "[1", "{\"a\":}", "{a:1}", "tru", "nul", "01", "- 1", "1 2", "\"open", "\"\\x\"",
        "\"\\u12\"", "\"\\u+123\"", "\"\\ud83d\"", "\"\\ud83d\\u0041\"", "\"\\ude00\"", "\"\\", "\"\\\"", "\"a\nb\"",
        "[\"a\" \"b\"]",
    ])
    func refusesWhatIsNoJSON(text: String) {
        #expect(Self.plain(text) == nil)
        #expect(throws: (any Error).self) { try JSONValue(json: Data(text.utf8)) }
    }

    @Test func refusesWhatIsNotUTF8() {
        let text: [UInt8] = Array("\"a".utf8) + [0xFF] + Array("\"".utf8)
        #expect(Self.plain(text) == nil)
        #expect(Self.plain(Array("\"\\n".utf8) + [0xC3] + Array("\"".utf8)) == nil)
    }

    @Test(arguments: [
        ("1.5", JSONValue.number(1.5)), ("[2e3]", .array([2000])), ("9223372036854775807", .integer(.max)),
        ("1e300", .number(1e300)),
    ])
    func leavesRareNumbersToJSONDecoder(text: String, value: JSONValue) throws {
        #expect(Self.plain(text) == nil)
        #expect(try JSONValue(json: Data(text.utf8)) == value)
    }

    @Test func leavesDeepNestingToJSONDecoder() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(Self.plain(nested(64)) != nil)
        #expect(Self.plain(nested(65)) == nil)
        #expect(try JSONValue(json: Data(nested(65).utf8)) != .null)
    }
}
