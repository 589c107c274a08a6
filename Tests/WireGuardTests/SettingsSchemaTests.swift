import JSONModel
import ProviderKit
import Testing

@testable import WireGuardProvider

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

@Suite("WireGuard provider's schema")
struct SettingsSchemaTests {
    @Test(arguments: [
        ("{}", true), (#"{"form": "auto", "mtu": 1280, "stallSeconds": 0, "userspaceBinary": "/x"}"#, true),
        (#"{"form": null, "mtu": null, "userspaceBinary": null, "stallSeconds": null}"#, true),
        (#"{"mtu": 65455, "stallSeconds": 15, "persistentKeepaliveSeconds": 65535}"#, true),
        (#"{"mtu": 1500.0}"#, true), (#"{"mtu": 1279}"#, false), (#"{"mtu": 65456}"#, false),
        (#"{"mtu": "1500"}"#, false), (#"{"mtu": 1500.5}"#, false), (#"{"stallSeconds": 16}"#, false),
        (#"{"stallSeconds": -1}"#, false), (#"{"persistentKeepaliveSeconds": 65536}"#, false),
        (#"{"form": "fast"}"#, false), (#"{"form": 1}"#, false), (#"{"userspaceBinary": "wireguard-go"}"#, false),
        (#"{"userspaceBinary": ""}"#, false), (#"{"colour": 1}"#, false), ("[]", false), ("null", false),
    ])
    func theSchemaAndTheParserAgree(json: String, isGood: Bool) throws {
        let text = Data(json.utf8)
        let schema = try JSONSchema(compiling: #require(WireGuardProvider.descriptor.configurationSchema))
        let mistakes = schema.mistakes(in: try JSONValue(json: text))
        #expect(mistakes.isEmpty == isGood, "\(mistakes)")
        #expect(((try? WireGuardSettings(json: text)) != nil) == isGood)
    }
}
