import Testing

@testable import JSONModel

@Suite struct SchemaPatternTests {
    @Test(arguments: [
        ("^[a-z][a-z0-9-]*/[1-9]$", ["tunnel/1", "a-b/2"], ["Tunnel/1", "tunnel/", "tunnel/0", "xtunnel/11"]),
        ("a|bc|^d", ["xax", "bc", "d"], ["b", "c", "xd", ""]), ("^(?:ab)+$", ["ab", "abab"], ["", "aba"]),
        ("^a{2}$", ["aa"], ["a", "aaa"]), ("^a{2,}$", ["aa", "aaaa"], ["a"]),
        ("^a{1,3}$", ["a", "aa", "aaa"], ["", "aaaa"]), ("^a{0}b??$", ["", "b"], ["a", "ab"]),
        ("^(a?){3}$", ["", "aaa"], ["aaaa"]), ("^(a*)*$", ["", "aaaa"], ["b"]),
        (#"^\d+\.\w*\s\S$"#, ["12.a_Z x", "1. y"], ["a. x", "1. "]), (#"^[^\d\s]+$"#, ["ab"], ["a1", "a b", ""]),
        (#"^[\D]$"#, ["a", "ä"], ["1"]), (#"^[\]\-^]+$"#, ["]-^"], ["a"]), ("^[a-]$", ["a", "-"], ["b"]),
        ("^.$", ["a", "ä", "😀"], ["\n", "ab"]), (#"^\x41\u0042\u{1F600}$"#, ["AB😀"], ["AB"]),
        ("^[ä-ü]$", ["ö"], ["o"]), ("", ["", "a"], []), ("^$", [""], ["a"]), ("a^b", [], ["ab", "a^b"]),
        ("$", ["", "a"], []), (#"^/[^\u0000]+$"#, ["/run"], ["/", "run", "/a\u{0}"]), ("[]", [], ["", "a", "]"]),
    ])
    func patternMatches(_ pattern: String, _ good: [String], _ bad: [String]) throws {
        let pattern = try SchemaPattern(pattern)
        for text in good {
            var steps = 0
            #expect(pattern.matches(text, steps: &steps, maximum: 1_000_000) == true, "\(text)")
        }
        for text in bad {
            var steps = 0
            #expect(pattern.matches(text, steps: &steps, maximum: 1_000_000) == false, "\(text)")
        }
    }

    @Test(arguments: [
        "(", ")", "[a", "a**", "*", "+a", "a{", "a{2,1}", "a{x}", "(?=a)", "(?<n>a)", #"\1"#, #"\b"#, #"\p{L}"#, #"\"#,
        "[z-a]", #"[a-\d]"#, #"\u12"#, #"\u{110000}"#, #"\xg0"#, "a{5000}", "((a{100}){100}){100}",
        String(repeating: "(", count: 40) + String(repeating: ")", count: 40), String(repeating: "a", count: 2000),
    ])
    func whatIsNotSupportedIsRefused(_ pattern: String) {
        #expect(throws: SchemaPatternError.self) { try SchemaPattern(pattern) }
    }

    @Test func stepsAreBounded() throws {
        let pattern = try SchemaPattern("a.{1000}b")
        var steps = 0
        #expect(pattern.matches(String(repeating: "a", count: 10_000), steps: &steps, maximum: 100_000) == nil)
    }
}
