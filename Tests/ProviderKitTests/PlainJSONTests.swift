import Foundation
import Testing

@testable import ProviderKit

/// The quick way to write and read tunnel requests means what `Codable` means, in each direction.
@Suite struct PlainJSONTests {
    private typealias Request = BatchRequest<Tunnel.Desired>

    private static let gateway = Tunnel.Desired(
        id: "a", namespace: "/run/netns/x", link: "wg0", addresses: ["10.0.0.1/24", "fe80::1/64"],
        gateway: .init(
            port: 6000, privateKey: "cHJpdmF0ZQ==",
            peers: [
                .init(id: "ns/one", publicKey: "b25l/+", allowedIPs: ["10.244.0.1/32", "fd00::1/128"]),
                .init(id: "ns/two", publicKey: "dHdv", allowedIPs: []),
            ]))
    private static let pod = Tunnel.Desired(
        id: "b", namespace: "/run/netns/y", link: "wg1", addresses: [],
        pod: .init(endpoint: .init(address: "10.0.0.4", port: 65535), gatewayPublicKey: "a2V5"))

    @Test(arguments: [
        "plain", "", "a/b+c=", "quote \" and \\ back", "tab\tline\nend\r\u{0}\u{1f}\u{7f}", "ü€😀", "e\u{301}",
        "\\u0041",
    ])
    func whatIsWrittenIsReadByBoth(text: String) throws {
        var items = [Self.gateway, Self.pod]
        items[0].namespace = text
        items[0].gateway?.peers[1].id = text
        items[1].addresses = [text, text]
        for namespaces in [nil, [], [text]] as [[String]?] {
            let request = Request(items: items, namespaces: namespaces)
            let json = try request.json()
            let decoded = try JSONDecoder().decode(Request.self, from: json)
            #expect(decoded.items == items && decoded.namespaces == namespaces)
            let read = try Request(json: json)
            #expect(read.items == items && read.namespaces == namespaces)
        }
    }

    /// The way is used, and not only its fallback.
    @Test func theEncodersOwnTextIsPlain() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .withoutEscapingSlashes]
        let request = Request(items: [Self.gateway, Self.pod], namespaces: ["ns"])
        let read = try #require(Request(plainJSON: try encoder.encode(request)))
        #expect(read.items == request.items && read.namespaces == ["ns"])
        #expect(Request(plainJSON: try request.json())?.items == request.items)
    }

    private static let pair = #""endpoint":{"address":"h","port":1},"gatewayPublicKey":"k""#
    private static func item(_ more: String, id: String = #""i""#) -> String {
        #"{"items":[{"id":\#(id),"namespace":"n","link":"l","addresses":[],\#(more)}]}"#
    }

    /// Texts that are not plain, or not right: both ways read the same, or neither reads any.
    @Test(arguments: [
        item(#""pod":{\#(pair)}"#, id: #""\u0041\/\n""#),
        item(#""pod":{\#(pair)}"#, id: #""one","id":"two""#),
        item(#""pod":{\#(pair)}"#, id: "1"),
        item(#""pod":{\#(pair)}"#, id: "null"),
        item(#""pod":{\#(pair),"new":{"a":[1.5,true,null]}}"#),
        item(#""pod":null,"gateway":null"#),
        item(#""pod":{\#(pair)},"gateway":{"port":1,"privateKey":"p","peers":[]}"#),
        item(#""gateway":{"port":1.0,"privateKey":"p","peers":[]}"#),
        item(#""gateway":{"port":1e2,"privateKey":"p","peers":[]}"#),
        item(#""gateway":{"port":1.5,"privateKey":"p","peers":[]}"#),
        item(#""gateway":{"port":007,"privateKey":"p","peers":[]}"#),
        item(#""gateway":{"port":-0,"privateKey":"p","peers":[]}"#),
        item(#""gateway":{"port":-12,"privateKey":"p","peers":[]}"#),
        item(#""gateway":{"port":- 12,"privateKey":"p","peers":[]}"#),
        item(#""gateway":{"port":-,"privateKey":"p","peers":[]}"#),
        item(#""gateway":{"port":1234567890123456789,"privateKey":"p","peers":[]}"#),
        item(#""gateway":{"port":12345678901234567890,"privateKey":"p","peers":[]}"#),
        item(#""gateway":{"port":"1","privateKey":"p","peers":[]}"#),
        item(#""gateway":{"port":1,"privateKey":"p","peers":[{"id":"x"}]}"#),
        item(#""gateway":{"port":1,"privateKey":"p","peers":[],}"#),
        item(#""gateway":{"port":1,"privateKey":"p","peers":[,]}"#),
        item("\"pod\":{\(pair)}", id: "\"a\u{1}b\""),
        " \n\t\r" + item(#""pod" : { \#(pair) }"#) + " \n",
        "\u{FEFF}" + item(#""pod":{\#(pair)}"#),
        item(#""pod":{\#(pair)}"#) + "x",
        item(#""pod":{\#(pair)}"#) + "{}",
        #"{"items":[]}"#, #"{"items":[],"namespaces":null}"#, #"{"items":null}"#, #"{}"#, "[]", "", " ", "{", "\"",
        "nul",
        #"{"items":[]"#, #"{"items":[}"#, #"{"items" []}"#,
    ])
    func everyTextMeansTheSameInBothWays(text: String) throws {
        try expectSameMeaning(Data(text.utf8))
    }

    @Test func bytesThatAreNoUTF8MeanTheSameInBothWays() throws {
        var json = try Request(items: [Self.pod]).json()
        let place = try #require(json.firstRange(of: Data("wg1".utf8)))
        json.replaceSubrange(place, with: [0x77, 0xFF, 0xFE])
        try expectSameMeaning(json)
    }

    /// A text that ends too early is no request, wherever it ends.
    @Test func noPrefixIsARequest() throws {
        let json = try Request(items: [Self.gateway, Self.pod], namespaces: ["ns"]).json()
        for count in 0..<json.count {
            #expect(throws: DecodingError.self) { try Request(json: json.prefix(count)) }
        }
    }

    private func expectSameMeaning(_ json: Data) throws {
        let expected = try? JSONDecoder().decode(Request.self, from: json)
        // What the quick reader takes must be what the decoder takes; what it leaves is the decoder's.
        if let plain = Request(plainJSON: json) {
            #expect(plain.items == expected?.items && plain.namespaces == expected?.namespaces)
        }
        let read = try? Request(json: json)
        #expect(read?.items == expected?.items && read?.namespaces == expected?.namespaces)
    }
}
